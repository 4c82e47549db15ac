package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

// fixture is a database of its own and a way to bring bundles into any state.
type fixture struct {
	t    *testing.T
	db   *pgtest.DB
	pool *pgxpool.Pool
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	db := pgtest.New(t)
	return &fixture{t: t, db: db, pool: db.Pool(t)}
}

// as is the same database seen by a role.
func (f *fixture) as(role string) *pgxpool.Pool {
	return f.db.Pool(f.t, func(c *pgxpool.Config) {
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET SESSION AUTHORIZATION "+role)
			return err
		}
	})
}

func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := f.pool.Exec(f.t.Context(), sql, args...)
	require.NoError(f.t, err)
}

// one reads a single value.
func one[T any](f *fixture, sql string, args ...any) T {
	f.t.Helper()
	rows, err := f.pool.Query(f.t.Context(), sql, args...)
	require.NoError(f.t, err)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(f.t, err)
	return value
}

// all reads a column.
func all[T any](f *fixture, sql string, args ...any) []T {
	f.t.Helper()
	rows, err := f.pool.Query(f.t.Context(), sql, args...)
	require.NoError(f.t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(f.t, err)
	return values
}

// enqueue records bundles in one call, as an application would; the event of each is
// the part of its key before the colon.
func (f *fixture) enqueue(keys ...string) []int64 {
	f.t.Helper()
	bundles := make([]map[string]any, len(keys))
	for i, key := range keys {
		bundles[i] = map[string]any{
			"key": key, "user_id": "u-" + key,
			"track": map[string]any{"event": "Event_" + key[:1], "properties": map[string]any{"secret": payloadCanary}},
		}
	}
	text, err := json.Marshal(bundles)
	require.NoError(f.t, err)
	return all[int64](f, "SELECT bundle_id FROM waybill.enqueue($1::jsonb) ORDER BY n", text)
}

// payloadCanary stands in every payload, and nowhere else.
const payloadCanary = "payload-canary-5f1c"

// settle gives bundles an outcome, as a worker would, and ends their jobs.
func (f *fixture) settle(outcome, reason string, ids ...int64) {
	f.t.Helper()
	f.exec(`INSERT INTO waybill.delivery (bundle_id, outcome, reason, attempt)
		SELECT id, $1, nullif($2, ''), 1 FROM unnest($3::bigint[]) AS id`, outcome, reason, ids)
	f.exec(`UPDATE waybill.river_job SET state = 'completed', attempt = 1, finalized_at = clock_timestamp()
		WHERE id IN (SELECT job_id FROM waybill.bundle WHERE id = ANY ($1))`, ids)
}

// given enqueues bundles in one call and settles them.
func (f *fixture) given(outcome, reason string, keys ...string) []int64 {
	f.t.Helper()
	ids := f.enqueue(keys...)
	f.settle(outcome, reason, ids...)
	return ids
}

func (f *fixture) outcome(id int64) string {
	f.t.Helper()
	return one[string](f, "SELECT coalesce((SELECT outcome FROM waybill.delivery WHERE bundle_id = $1), 'none')", id)
}

func keys(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s:%d", prefix, i)
	}
	return list
}

// beat writes a worker's heartbeat, so long ago.
func (f *fixture) beat(id string, ago time.Duration, about string) {
	f.t.Helper()
	f.exec(`INSERT INTO waybill.worker (id, beat_at, started_at, about)
		VALUES ($1, clock_timestamp() - make_interval(secs => $2), clock_timestamp() - interval '3 hours', $3::jsonb)`, id, ago.Seconds(), about)
}
