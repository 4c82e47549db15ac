package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"waybill/internal/amplitude/amplitudetest"
)

func alone(pool *pgxpool.Pool) *claims {
	c := &claims{pool: pool, isAlone: func() bool { return true }, packs: asManyAsThereAre}
	c.busy.Store(true)
	return c
}

func besideOthers(pool *pgxpool.Pool) *claims {
	return &claims{pool: pool, isAlone: func() bool { return false }, packs: asManyAsThereAre}
}

func asManyAsThereAre() int { return math.MaxInt32 }

// inBothWays runs a test for a worker that is alone and for one that is not.
func inBothWays(t *testing.T, test func(t *testing.T, h *house, c *claims)) {
	t.Parallel()
	for name, way := range map[string]func(*pgxpool.Pool) *claims{"alone": alone, "beside others": besideOthers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			test(t, h, way(h.pool))
		})
	}
}

func (h *house) enqueueMany(t *testing.T, jobs int) {
	t.Helper()
	for i := range jobs { // a call each, as applications do
		h.enqueue(t, bought(fmt.Sprintf("order:%08d:completed", i), fmt.Sprintf("user_%08d", i)))
	}
}

func jobIDs(t *testing.T, h *house) []int64 {
	t.Helper()
	return ask[[]int64](t, h, "SELECT array_agg(id ORDER BY id) FROM waybill.river_job")
}

// somebody does something in a transaction that stays open until it is committed, or the test
// ends.
func (h *house) somebody(t *testing.T, sql string, args ...any) pgx.Tx {
	t.Helper()
	tx, err := h.pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	return tx
}

func claiming(by string, most int) *riverdriver.JobGetAvailableParams {
	return &riverdriver.JobGetAvailableParams{ClientID: by, MaxAttemptedBy: 3, MaxToLock: most, Queue: Queue}
}

func fetchIDs(ctx context.Context, c *claims, most int) (ids []int64, err error) {
	claimed, err := c.fetch(ctx, claiming("w", most))
	if err != nil {
		return nil, err
	}
	for _, job := range claimed.Jobs {
		ids = append(ids, job.ID)
	}
	return ids, nil
}

// TestNoMorePacksAreTakenThanAreWanted, and never more jobs than River has asked for.
func TestNoMorePacksAreTakenThanAreWanted(t *testing.T) {
	inBothWays(t, func(t *testing.T, h *house, c *claims) {
		pack := func() { h.enqueue(t, bought("a:"+rand.Text(), "u"), bought("b:"+rand.Text(), "v")) }
		for range 5 {
			pack()
		}
		h.enqueueMany(t, 3)
		packs, singles := jobIDs(t, h)[:5], jobIDs(t, h)[5:]
		wanted := 0
		c.packs = func() int { return wanted }
		take := func(most int) []int64 {
			t.Helper()
			ids, err := fetchIDs(t.Context(), c, most)
			require.NoError(t, err)
			c.busy.Store(true) // a claim of nothing is not made alone again
			return ids
		}

		require.Equal(t, singles[:2], take(2))
		require.False(t, c.more.Load())
		wanted = 2
		require.Equal(t, []int64{singles[2], packs[0]}, take(2), "one pack fits")
		require.False(t, c.more.Load(), "River asks again by itself")
		require.Equal(t, packs[1:3], take(10), "two are wanted")
		require.True(t, c.more.Load())
		wanted = 0
		require.Empty(t, take(10))
		require.False(t, c.more.Load(), "nothing changes until one ends")
		wanted = 10
		require.Equal(t, packs[3:4], take(1), "one is asked for")
		require.Equal(t, packs[4:], take(10))
		require.False(t, c.more.Load(), "that was the last")
	})
}

// TestTheVersionsOfAJobStayOnItsPage: the log then holds of each what differs from the one
// before, instead of all of it. That the table grows is how it shows.
func TestTheVersionsOfAJobStayOnItsPage(t *testing.T) {
	inBothWays(t, func(t *testing.T, h *house, c *claims) {
		const jobs = 100
		h.enqueueMany(t, jobs)
		size := func() int { return ask[int](t, h, "SELECT pg_relation_size('waybill.river_job')") }
		waiting := size()

		claimed, err := c.fetch(t.Context(), claiming("w-ABCDEFGHIJKLMNOP", jobs))
		require.NoError(t, err)
		require.Len(t, claimed.Jobs, jobs)
		require.Equal(t, waiting, size(), "fetched")

		// Who fetched it stands behind everything else that stays as it is, and shortens what is
		// written only if each version stores it alike.
		stored := func() int { return ask[int](t, h, "SELECT sum(pg_column_size(attempted_by)) FROM waybill.river_job") }
		fetched := stored()
		h.exec(t, "VACUUM waybill.river_job") // whoever comes to a page tidies it up, unless somebody looks at the database
		h.exec(t, "UPDATE waybill.river_job SET state = 'completed', finalized_at = clock_timestamp()")
		require.Equal(t, waiting, size(), "completed")
		require.Equal(t, fetched, stored())
	})
}

// TestAJobRemembersWhoFetchedItLast, as many as River asks for.
func TestAJobRemembersWhoFetchedItLast(t *testing.T) {
	inBothWays(t, func(t *testing.T, h *house, c *claims) {
		h.enqueueMany(t, 1)
		for n, want := range []string{"w0", "w0,w1", "w0,w1,w2", "w1,w2,w3", "w2,w3,w4"} {
			_, err := c.fetch(t.Context(), claiming(fmt.Sprintf("w%d", n), 1))
			require.NoError(t, err)
			require.Equal(t, want, ask[string](t, h, "SELECT array_to_string(attempted_by, ',') FROM waybill.river_job WHERE array_lower(attempted_by, 1) = 1"))
			h.exec(t, "UPDATE waybill.river_job SET state = 'available'")
		}
	})
}

// TestAClaimTakesTheMostUrgentOfWhatIsDue, and nothing that is not.
func TestAClaimTakesTheMostUrgentOfWhatIsDue(t *testing.T) {
	inBothWays(t, func(t *testing.T, h *house, c *claims) {
		h.enqueueMany(t, 6)
		ids := jobIDs(t, h)
		h.exec(t, "UPDATE waybill.river_job SET priority = 3 WHERE id = $1", ids[0]) // it stands first in the table
		h.exec(t, "UPDATE waybill.river_job SET scheduled_at = now() + interval '1 hour' WHERE id = $1", ids[1])
		h.exec(t, "UPDATE waybill.river_job SET queue = 'another' WHERE id = $1", ids[2])
		h.exec(t, "UPDATE waybill.river_job SET state = 'cancelled', finalized_at = now() WHERE id = $1", ids[3])
		first, err := fetchIDs(t.Context(), c, 2)
		require.NoError(t, err)
		require.ElementsMatch(t, ids[4:], first)
		rest, err := fetchIDs(t.Context(), c, 10)
		require.NoError(t, err)
		require.Equal(t, ids[:1], rest)

		h.exec(t, "UPDATE waybill.river_job SET state = 'available', finalized_at = NULL, queue = $1, scheduled_at = now(), priority = 1 + (id % 2)", Queue)
		h.exec(t, "UPDATE waybill.river_job SET scheduled_at = now() - interval '1 second' WHERE id = $1", ids[5])
		want := ask[[]int64](t, h, "SELECT array_agg(id ORDER BY priority, scheduled_at, id) FROM waybill.river_job")
		c.busy.Store(true)
		all, err := fetchIDs(t.Context(), c, 10)
		require.NoError(t, err)
		require.Equal(t, want, all, "and in that order")
	})
}

// TestAJobThatAnOperatorPutFirstIsClaimedFirst, however far back: a claim is one answer, and
// what cannot be read of one job would keep all others waiting.
func TestAJobThatAnOperatorPutFirstIsClaimedFirst(t *testing.T) {
	inBothWays(t, func(t *testing.T, h *house, c *claims) {
		h.enqueueMany(t, 3)
		ids := jobIDs(t, h)
		h.exec(t, "UPDATE waybill.river_job SET scheduled_at = '-infinity' WHERE id = $1", ids[1])
		h.exec(t, "UPDATE waybill.river_job SET scheduled_at = '4713-01-01 BC' WHERE id = $1", ids[2])

		claimed, err := fetchIDs(t.Context(), c, 10)

		require.NoError(t, err)
		require.ElementsMatch(t, ids, claimed)
		require.Equal(t, ids[0], claimed[2])
	})
}

func TestAClaimIsHeldUpByLocksAndByTime(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"55P03": true, "40P01": true, "57014": true, "40001": false, "57P01": false} {
		require.Equal(t, want, isHeldUp(fmt.Errorf("claim jobs: %w", &pgconn.PgError{Code: code})), code)
	}
	require.False(t, isHeldUp(nil))
	require.False(t, isHeldUp(context.DeadlineExceeded))
}

// TestAWorkerThatIsAloneLocksNoJobs before it takes them: the log has a record less of each.
func TestAWorkerThatIsAloneLocksNoJobs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	const jobs = 100
	h.enqueueMany(t, jobs)
	records := func(statement string) int {
		h.exec(t, "UPDATE waybill.river_job SET state = 'available'")
		h.exec(t, "VACUUM waybill.river_job")
		var plan []struct {
			Plan struct {
				Records int `json:"WAL Records"`
				Rows    int `json:"Actual Rows"`
			}
		}
		text := ask[string](t, h, "EXPLAIN (ANALYZE, WAL, FORMAT JSON) "+statement, Queue, jobs, 100, "w", jobs)
		require.NoError(t, json.Unmarshal([]byte(text), &plan))
		require.Equal(t, jobs, plan[0].Plan.Rows)
		return plan[0].Plan.Records
	}
	require.Less(t, records(claimAloneSQL), records(claimSQL)-jobs/2)
}

// TestTwoWorkersThatTakeThemselvesForAloneTakeNoJobTwice: each looks for others now and then,
// and one may have come since.
func TestTwoWorkersThatTakeThemselvesForAloneTakeNoJobTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	const jobs, workers = 300, 4
	h.enqueueMany(t, jobs)
	var all [workers][]int64
	var sum atomic.Int64
	group, ctx := errgroup.WithContext(t.Context())
	for w := range workers {
		c := alone(h.pool)
		if w == 0 {
			c = besideOthers(h.pool)
		}
		group.Go(func() error {
			for sum.Load() < jobs {
				ids, err := fetchIDs(ctx, c, 7)
				if err != nil {
					return err
				}
				all[w] = append(all[w], ids...)
				sum.Add(int64(len(ids)))
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	taken := slices.Concat(all[:]...)
	slices.Sort(taken)
	require.Equal(t, jobIDs(t, h), taken)
	require.Equal(t, jobs, ask[int](t, h, "SELECT sum(attempt) FROM waybill.river_job"))
}

// TestAJobThatSomebodyHoldsHoldsUpOneClaim, of a worker that is alone, and none after it.
func TestAJobThatSomebodyHoldsHoldsUpOneClaim(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueueMany(t, 3)
	ids := jobIDs(t, h)
	somebody := h.somebody(t, "SELECT FROM waybill.river_job WHERE id = $1 FOR UPDATE", ids[0])

	c := alone(h.pool)
	got, err := fetchIDs(t.Context(), c, 2)
	require.NoError(t, err)
	require.Equal(t, ids[1:], got, "the others, after a moment")
	begun := c.crowded.Load()
	require.NotNil(t, begun)
	got, err = fetchIDs(t.Context(), c, 2)
	require.NoError(t, err)
	require.Empty(t, got)
	require.Same(t, begun, c.crowded.Load(), "it did not wait again")

	long := begun.Add(-2 * crowdedFor)
	c.crowded.Store(&long)
	c.busy.Store(true)
	got, err = fetchIDs(t.Context(), c, 2)
	require.NoError(t, err)
	require.Empty(t, got)
	require.WithinDuration(t, time.Now(), *c.crowded.Load(), crowdedFor, "it tried again after a while")
	require.NoError(t, somebody.Commit(t.Context()))
	c.crowded.Store(&long)
	c.busy.Store(true)
	got, err = fetchIDs(t.Context(), c, 2)
	require.NoError(t, err)
	require.Equal(t, ids[:1], got)
}

// TestAClaimIsBoundedAsAWhole: each of many locks may be had just in time. The limit is set in
// the transaction of the claim, and has to hold for the statement after it.
func TestAClaimIsBoundedAsAWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueueMany(t, 1)
	h.somebody(t, "SELECT FROM waybill.river_job FOR UPDATE")
	c := alone(h.db.Pool(t, func(cfg *pgxpool.Config) { cfg.MaxConns = 1 }))

	var batch pgx.Batch
	batch.Queue(strings.ReplaceAll(claimAloneLimitsSQL, "'50ms'", "'0'"))
	_, err := c.ask(t.Context(), &batch, claimAloneSQL, claiming("w", 1), 1)

	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "57014", refused.Code)
	var after string
	require.NoError(t, c.pool.QueryRow(t.Context(), "SELECT current_setting('statement_timeout')").Scan(&after))
	require.Equal(t, "0", after, "and for nothing else")
}

// TestAJobThatIsCancelledDuringAClaimIsNotTaken by a worker that is alone and waits for it.
func TestAJobThatIsCancelledDuringAClaimIsNotTaken(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueueMany(t, 2)
	ids := jobIDs(t, h)
	somebody := h.somebody(t, "UPDATE waybill.river_job SET state = 'cancelled', finalized_at = now() WHERE id = $1", ids[0])

	var got []int64
	var group errgroup.Group
	group.Go(func() error {
		var batch pgx.Batch // without limits: what is tested is what comes after the wait
		claimed, err := alone(h.pool).ask(t.Context(), &batch, claimAloneSQL, claiming("w", 2), 2)
		if err != nil {
			return err
		}
		for _, job := range claimed {
			got = append(got, job.ID)
		}
		return err
	})
	require.Eventually(t, func() bool {
		return ask[bool](t, h, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')")
	}, patience, time.Millisecond)
	require.NoError(t, somebody.Commit(t.Context()))
	require.NoError(t, group.Wait())
	require.Equal(t, ids[1:], got)
	require.Equal(t, "cancelled", ask[string](t, h, "SELECT state FROM waybill.river_job WHERE id = $1", ids[0]))
}
