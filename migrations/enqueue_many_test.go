package migrations_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

func TestEnqueueManyAnswersInOrderAndPacksAHundred(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	var bundles []string
	for i := range 250 {
		bundles = append(bundles, order(fmt.Sprintf("order:%03d", i)))
	}

	got := enqueue(t, onPool{pool}, "["+strings.Join(bundles, ",")+"]")

	require.Len(t, got, 250)
	for i, a := range got {
		require.Equal(t, i+1, a.N)
		require.Equal(t, fmt.Sprintf("order:%03d", i), *a.Key)
		require.Equal(t, "queued", a.Outcome)
		if i > 0 {
			require.Greater(t, *a.BundleID, *got[i-1].BundleID, "of two equal times the later bundle is the newer")
		}
	}
	require.Equal(t, []string{"1 100 3", "2 100 3", "3 50 3"}, column(t, pool, `
		SELECT format('%s %s %s', row_number() OVER (ORDER BY id), jsonb_array_length(args -> 'bundle_ids'), priority)
		FROM waybill.river_job ORDER BY id`))
	require.Zero(t, one[int](t, pool, `
		SELECT count(*) FROM waybill.bundle AS b
		WHERE NOT EXISTS (SELECT FROM waybill.river_job AS j WHERE j.id = b.job_id AND j.args -> 'bundle_ids' @> to_jsonb(b.id))`))
}

func TestConcurrentCallsWithTheSameKeysNeitherDeadlockNorDouble(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	var forward, backward []string
	for i := range 50 {
		forward = append(forward, order(fmt.Sprintf("shared:%d", i)))
		backward = append([]string{order(fmt.Sprintf("shared:%d", i))}, backward...)
	}

	queued := make([]int, 6)
	errs := make([]error, 6)
	var all sync.WaitGroup
	for i := range queued {
		bundles := forward
		if i%2 == 1 {
			bundles = backward
		}
		all.Go(func() {
			got, err := onPool{pool}.Query(t, "SELECT * FROM waybill.enqueue($1::text::jsonb)", "["+strings.Join(bundles, ",")+"]")
			errs[i] = err
			for _, a := range got {
				if a.Outcome == "queued" {
					queued[i]++
				}
			}
		})
	}
	all.Wait()

	var sum int
	for i, n := range queued {
		require.NoError(t, errs[i])
		sum += n
	}
	require.Equal(t, 50, sum)
	require.Equal(t, 50, one[int](t, pool, "SELECT count(*) FROM waybill.bundle"))
}

// TestATransactionGetsOneSubtransactionAtMost: rows of a subtransaction carry its id, and others
// that of the transaction.
func TestATransactionGetsOneSubtransactionAtMost(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	within := func(calls ...string) (own []bool) {
		t.Helper()
		require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			for _, call := range calls {
				rows, err := tx.Query(t.Context(), "SELECT bundle_id FROM waybill.enqueue($1::text::jsonb)", call)
				require.NoError(t, err)
				ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
				require.NoError(t, err)
				var isOwn bool
				require.NoError(t, tx.QueryRow(t.Context(), `
					SELECT bool_and(xmin <> pg_current_xact_id()::xid) FROM waybill.bundle WHERE id = ANY ($1)`, ids).Scan(&isOwn))
				own = append(own, isOwn)
			}
			return nil
		}))
		return own
	}
	several := func(key string) string { return "[" + order(key+":1") + "," + order(key+":2") + "]" }

	require.Equal(t, []bool{true, false, false}, within(several("a"), several("b"), several("c")))
	require.Equal(t, []bool{false, false}, within(order("d"), several("e")), "of a transaction that has written")
}

// TestAKeyThatIsUnderWayElsewhereIsWaitedFor: what the other transaction comes to decides.
func TestAKeyThatIsUnderWayElsewhereIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, committed := range map[string]bool{"committed": true, "rolled back": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t).Pool(t)
			other, err := pool.Begin(t.Context())
			require.NoError(t, err)
			_, err = other.Exec(t.Context(), "SELECT waybill.enqueue($1::text::jsonb)", order("b"))
			require.NoError(t, err)

			answered := make(chan []string, 1)
			go func() {
				got, err := onPool{pool}.Query(t, "SELECT * FROM waybill.enqueue($1::text::jsonb)", "["+order("a")+","+order("b")+","+order("c")+"]")
				if err != nil {
					answered <- []string{err.Error()}
					return
				}
				answered <- outcomes(got)
			}()
			require.Eventually(t, func() bool {
				return one[bool](t, pool, `SELECT EXISTS (
					SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`)
			}, 10*time.Second, time.Millisecond)
			if committed {
				require.NoError(t, other.Commit(t.Context()))
				require.Equal(t, []string{"queued", "duplicate", "queued"}, <-answered)
			} else {
				require.NoError(t, other.Rollback(t.Context()))
				require.Equal(t, []string{"queued", "queued", "queued"}, <-answered)
			}
			require.Equal(t, 3, one[int](t, pool, "SELECT count(*) FROM waybill.bundle"))
			require.Zero(t, one[int](t, pool, `
				SELECT count(*) FROM waybill.bundle AS b
				WHERE NOT EXISTS (SELECT FROM waybill.river_job AS j WHERE j.id = b.job_id AND (j.args -> 'bundle_ids') @> to_jsonb(b.id))`))
		})
	}
}
