package waybill

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
	"waybill/internal/devpg/pgtest"
)

var completed = Event{Name: "Order_Completed", Key: "order:1:completed"}

func TestCommitKeepsTheEventWithTheOrder(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	var receipt Receipt
	require.NoError(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) (err error) {
		receipt, err = client.Track(ctx, tx, User("42").In(Account("acc_1")), completed)
		return err
	}))
	shop.holds(t, 1, 1, 1)
	require.Equal(t, 1, receipt.Queued())
	require.EqualValues(t, shop.value(t, `SELECT id FROM waybill.bundle`), receipt.Items[0].BundleID)
	require.Equal(t, 1, shop.value(t, `SELECT count(*) FROM waybill.bundle WHERE action_key = 'order:1:completed'
		AND event = 'Order_Completed' AND user_id = '42' AND payload -> 'groups' -> 0 ->> 'id' = 'acc_1'`))
}

func TestRollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	track := func(ctx context.Context, tx pgx.Tx) {
		receipt, err := client.Track(ctx, tx, User("42"), completed)
		require.NoError(t, err)
		require.Equal(t, 1, receipt.Queued())
	}
	changedMind := errors.New("changed my mind")
	require.ErrorIs(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		track(ctx, tx)
		return changedMind
	}), changedMind)
	shop.holds(t, 0, 0, 0)

	require.PanicsWithValue(t, "bug", func() {
		_ = shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
			track(ctx, tx)
			panic("bug")
		})
	})
	shop.holds(t, 0, 0, 0)

	require.NoError(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		track(ctx, tx)
		return nil
	}))
	shop.holds(t, 1, 1, 1)
}

func TestOneKeyIsOneEvent(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	var first, second Receipt
	require.NoError(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) (err error) {
		first, err = client.Track(ctx, tx, User("42"), completed, Event{Name: "Paid", Key: "order:1:paid"}, completed)
		return err
	}))
	require.Equal(t, []Outcome{Queued, Queued, Duplicate}, outcomes(first))
	require.NoError(t, shop.order(t, 2, func(ctx context.Context, tx pgx.Tx) (err error) {
		second, err = client.Track(ctx, tx, User("43"), completed)
		return err
	}))
	require.Equal(t, []Outcome{Duplicate}, outcomes(second))
	require.Equal(t, first.Items[0].BundleID, second.Items[0].BundleID)
	require.Equal(t, first.Items[0].BundleID, first.Items[2].BundleID)
	shop.holds(t, 2, 2, 1)
}

func TestACallIsOneRoundTripInEveryMode(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			shop, client := openShop(t, db, mode), strictClient(t, Config{})
			strict, try := int64(1), int64(1)
			if mode == pgx.QueryExecModeDescribeExec {
				strict = 2 // it describes every statement anew
			}
			call := func(client *Client[pgx.Tx], tx pgx.Tx, key string) func() error {
				return func() error {
					receipt, err := client.Track(t.Context(), tx, User("42"),
						Event{Name: "A", Key: mode.String() + key + "1", Properties: Properties{"quote": `' \ $1 "`}},
						Event{Name: "B", Key: mode.String() + key + "2"}, Event{Name: "C", Key: mode.String() + key + "3"})
					require.Equal(t, 3, receipt.Queued(), "%+v", receipt)
					return err
				}
			}
			require.NoError(t, pgx.BeginFunc(t.Context(), shop.pool, func(tx pgx.Tx) error {
				require.NoError(t, call(client, tx, "warm")()) // prepares, in the modes that do
				require.Equal(t, strict, shop.trips.during(t, call(client, tx, "strict")))
				require.Equal(t, try, shop.trips.during(t, call(client.BestEffort(), tx, "try")))
				return nil
			}))
			require.Equal(t, 3, shop.value(t, fmt.Sprintf(
				`SELECT count(*) FROM waybill.bundle WHERE starts_with(action_key, '%s') AND payload -> 'track' -> 'properties' ->> 'quote' = E'\' \\ $1 "'`, mode)))
		})
	}
}

func TestRejectionLeavesTheTransactionUsable(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	require.NoError(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		_, err := client.Track(ctx, tx, User("42"), completed, Event{Name: "$bad", Key: "k", Properties: Properties{"n": math.NaN()}})
		require.ErrorAs(t, err, new(*RejectedError))
		return insertOrder(ctx, tx, 2)
	}))
	shop.holds(t, 2, 0, 0)
}

// The application's clock may be wrong; the database's decides.
func TestWhatOnlyTheDatabaseCanSeeIsOnRecord(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	client.now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	require.NoError(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		early := completed
		early.OccurredAt = time.Now().Add(36 * time.Hour)
		receipt, err := client.Track(ctx, tx, User("42"), early)
		var rejected *RejectedError
		require.ErrorAs(t, err, &rejected)
		require.True(t, rejected.Recorded)
		require.Equal(t, "occurred_at", rejected.Rejections[0].Field)
		require.NotZero(t, receipt.Items[0].BundleID)
		return nil
	}))
	shop.holds(t, 1, 1, 0)
}

// What Go lets pass, Postgres stores, and the worker's validator still accepts.
func TestWhateverIsQueuedIsStillSoundWhenReadBack(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	deep := func(levels int) any {
		var v any = "bottom"
		for range levels {
			v = []any{v}
		}
		return v
	}
	full := Properties{}
	for i := range 237 {
		full[fmt.Sprint("p", i)] = strings.Repeat("é", 512)
	}
	values := map[string]any{
		"NUL":               "a\x00b",
		"invalid UTF-8":     "a\xff\xed\xa0\x80b",
		"half surrogates":   json.RawMessage(`"\ud800 \udc00 \ude00\ud83d"`),
		"10 MB":             strings.Repeat("😀", 10<<18),
		"nested":            deep(37),
		"large floats":      []float64{1e21, 1.2345678901234567e25, math.MaxFloat64, 1e-300, math.SmallestNonzeroFloat64, 0},
		"large integers":    []int64{1 << 53, -1 << 53},
		"digits":            json.RawMessage(`[1.10, 0.` + strings.Repeat("3", 700) + `, 0e-999, 1E+2]`),
		"escapes":           "\" \\ / \b \f \n \r \t \u2028 </script>",
		"nothing":           nil,
		"the largest":       full,
		"\x00 bad name\xff": 1,
	}
	for name, value := range values {
		require.NoError(t, shop.order(t, len(name), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM orders`)
			require.NoError(t, err)
			receipt, err := client.Track(ctx, tx, User("42").With(Set("trait", "x\x00")),
				Event{Name: "A", Key: "k:" + strings.ToValidUTF8(strings.Trim(name, "\x00"), ""), Properties: Properties{name: value}})
			require.NoError(t, err, name)
			require.Equal(t, 1, receipt.Queued(), name)
			return nil
		}))
	}
	rows, err := shop.pool.Query(t.Context(), `SELECT payload::text FROM waybill.bundle`)
	require.NoError(t, err)
	payloads, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Len(t, payloads, len(values))
	for _, payload := range payloads {
		require.LessOrEqual(t, len(payload), bundle.MaxBytes)
		clean, cleaned, err := bundle.Clean([]byte(payload))
		require.NoError(t, err, "%.200s", payload)
		require.Zero(t, cleaned)
		b, err := bundle.Parse(clean)
		require.NoError(t, err)
		require.Empty(t, b.Refusals(time.Now()))
	}
}

func TestStrictSaysWhatIsNotSetUp(t *testing.T) {
	t.Parallel()
	shop, client := stocked(t, openShop(t, pgtest.Blank(t), pgx.QueryExecModeCacheStatement)), strictClient(t, Config{})
	require.ErrorContains(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		_, err := client.Track(ctx, tx, User("42"), completed)
		require.ErrorAs(t, err, new(*pgconn.PgError))
		return err
	}), "this database has no waybill schema; run: worker migrate")
	require.Zero(t, shop.value(t, `SELECT count(*) FROM orders`))
}

func TestProducerRoleMayEnqueueAndNothingElse(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	as := func(role string, do func(ctx context.Context, tx pgx.Tx) error) error {
		return pgx.BeginFunc(t.Context(), shop.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `SET LOCAL ROLE `+role)
			require.NoError(t, err)
			return do(t.Context(), tx)
		})
	}
	track := func(ctx context.Context, tx pgx.Tx) error {
		_, err := client.Track(ctx, tx, User("42"), completed)
		return err
	}
	require.NoError(t, as("waybill_producer", track))
	shop.holds(t, 0, 1, 1)
	require.ErrorContains(t, as("pg_monitor", track), "grant it the role waybill_producer")
	for _, table := range []string{"bundle", "delivery", "river_job"} {
		require.ErrorContains(t, as("waybill_producer", func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT FROM waybill.`+table)
			return err
		}), "SQLSTATE 42501", table)
	}
	require.NoError(t, as("pg_monitor", func(ctx context.Context, tx pgx.Tx) error {
		receipt, err := client.BestEffort().Track(ctx, tx, User("42"), completed)
		require.NoError(t, err)
		require.Equal(t, []Outcome{Skipped}, outcomes(receipt))
		_, err = tx.Exec(ctx, `SELECT`)
		return err
	}))
}

func TestEndedAndMissingTransactions(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	tx, err := shop.pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))

	for _, ended := range []pgx.Tx{tx, nil} {
		_, err = client.Track(t.Context(), ended, User("42"), completed)
		require.Error(t, err)
		receipt, err := client.BestEffort().Track(t.Context(), ended, User("42"), completed)
		require.NoError(t, err)
		require.Equal(t, []Outcome{Skipped}, outcomes(receipt))
	}
	shop.holds(t, 0, 0, 0)

	_, sqlClient := openSQL(t, shop)
	var none *sql.Tx
	_, err = sqlClient.Track(t.Context(), none, User("42"), completed)
	require.ErrorContains(t, err, "the transaction is nil")
	receipt, err := sqlClient.BestEffort().Track(t.Context(), none, User("42"), completed)
	require.NoError(t, err)
	require.Equal(t, []Outcome{Skipped}, outcomes(receipt))
}

// The connection of a transaction that has ended serves somebody else.
func TestEndedTransactionReachesNobodyElses(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t, func(c *pgxpool.Config) { c.MaxConns = 1 })
	client := strictClient(t, Config{})
	ended, err := pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, ended.Commit(t.Context()))
	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(pgx.Tx) error {
		_, err := client.Track(t.Context(), ended, User("42"), completed)
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		receipt, err := client.BestEffort().Track(t.Context(), ended, User("42"), completed)
		require.NoError(t, err)
		require.Equal(t, []Outcome{Skipped}, outcomes(receipt))
		return nil
	}))
	var bundles int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM waybill.bundle`).Scan(&bundles))
	require.Zero(t, bundles)
}

func TestNestedTransactions(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	require.NoError(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		inner, err := tx.Begin(ctx)
		require.NoError(t, err)
		_, err = client.Track(ctx, inner, User("42"), completed)
		require.NoError(t, err)
		_, err = client.BestEffort().Track(ctx, inner, User("42"), Event{Name: "A", Key: "inner"})
		require.NoError(t, err)
		require.NoError(t, inner.Rollback(ctx))
		_, err = client.BestEffort().Track(ctx, tx, User("42"), Event{Name: "A", Key: "outer"})
		return err
	}))
	shop.holds(t, 1, 1, 1)
}

func TestDatabaseSQL(t *testing.T) {
	t.Parallel()
	shop := newShop(t)
	db, client := openSQL(t, shop)
	within := func(end func(*sql.Tx) error, client *Client[*sql.Tx], want ...Outcome) {
		t.Helper()
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		receipt, err := client.Track(t.Context(), tx, User("42"), completed, Event{Name: "A", Key: "k", Properties: Properties{"nul": "\x00"}})
		require.NoError(t, err)
		require.Equal(t, want, outcomes(receipt))
		require.Equal(t, 1, receipt.Items[1].Replaced)
		require.NoError(t, end(tx))
	}
	within((*sql.Tx).Rollback, client, Queued, Queued)
	within((*sql.Tx).Rollback, client.BestEffort(), Queued, Queued)
	shop.holds(t, 0, 0, 0)
	within((*sql.Tx).Commit, client, Queued, Queued)
	within((*sql.Tx).Commit, client.BestEffort(), Duplicate, Duplicate)
	shop.holds(t, 0, 2, 1)
}

func TestManyEventsInOneCall(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	var events []Trackable
	for i := range 1000 {
		events = append(events, Event{Name: "A", Key: fmt.Sprint("import:", i)})
	}
	require.NoError(t, pgx.BeginFunc(t.Context(), shop.pool, func(tx pgx.Tx) error {
		receipt, err := client.Track(t.Context(), tx, User("42"), events...)
		require.NoError(t, err)
		require.Equal(t, 1000, receipt.Queued())
		for i, item := range receipt.Items {
			require.Equal(t, fmt.Sprint("import:", i), item.Key)
			if i > 0 {
				require.Greater(t, item.BundleID, receipt.Items[i-1].BundleID)
			}
		}
		return nil
	}))
	shop.holds(t, 0, 1000, 10)
}
