//go:build unix

package main

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

func newLedger(t *testing.T) ledger {
	t.Helper()
	return ledger{pgtest.New(t).Pool(t)}
}

func (l ledger) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := l.pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// enqueue makes bundles 1 to n, each with a job of its own.
func (l ledger) enqueue(t *testing.T, n int) {
	t.Helper()
	l.exec(t, `
		SELECT waybill.enqueue(jsonb_build_object('key', 'order_completed:' || n, 'user_id', 'u' || n,
			'track', '{"event": "order_completed"}'::jsonb))
		FROM generate_series(1, $1) AS n`, n)
}

func TestHeldIsWhatADeadWorkerOwes(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.enqueue(t, 6)
	// w-1 has bundles 1 and 2 in a request and the jobs of 2, 3 and 4; 4 is delivered and
	// 3 in doubt. w-2 has the rest.
	l.exec(t, `INSERT INTO waybill.worker (id) VALUES ('w-1'), ('w-2')`)
	l.exec(t, `INSERT INTO waybill.request (worker, bundle_ids) VALUES ('w-1', '{1,2}'), ('w-2', '{5}')`)
	l.exec(t, `UPDATE waybill.river_job SET state = 'running', attempted_at = now(),
		attempted_by = ARRAY['w-0', CASE WHEN (args ->> 'bundle_ids')::jsonb ->> 0 IN ('2', '3', '4') THEN 'w-1' ELSE 'w-2' END]`)
	l.exec(t, `INSERT INTO waybill.delivery (bundle_id, outcome) VALUES (3, 'in_doubt'), (4, 'delivered')`)

	held, err := l.held(t.Context(), "w-1")
	require.NoError(t, err)
	require.ElementsMatch(t, []int64{1, 2, 3}, held)

	l.exec(t, `INSERT INTO waybill.profile (dest, kind, id, parked_until) VALUES
		('d', 'device', 'srv:u2', now() + interval '10 seconds'), ('d', 'user', 'u3', now() - interval '1 second')`)
	held, err = l.held(t.Context(), "w-1")
	require.NoError(t, err)
	require.ElementsMatch(t, []int64{1, 3}, held, "u2 waits for Amplitude, and u3 no longer")

	now, err := l.look(t.Context(), &worker{process: &process{name: "worker-1"}, id: "w-1"})
	require.NoError(t, err)
	require.Equal(t, 2, now.Holding)
	require.WithinDuration(t, time.Now(), now.At, time.Minute)
	now, err = l.look(t.Context(), &worker{process: &process{name: "worker-3"}, id: "w-3"})
	require.NoError(t, err)
	require.Zero(t, now.Holding)

	s, err := l.sample(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2+6, s.Unfinished, "requests and jobs")
}

func TestRescuedMeasuresUntilTheLastOne(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.enqueue(t, 4)
	l.exec(t, `INSERT INTO waybill.delivery (bundle_id, outcome, at) VALUES
		(1, 'delivered', '2026-11-22 12:00:09.5Z'), (2, 'delivered', '2026-11-22 12:00:08Z'),
		(3, 'in_doubt', '2026-11-22 12:00:20Z'), (4, 'delivered', '2026-11-22 12:00:30Z')`)

	r, err := l.rescued(t.Context(), []int64{1, 2, 3}, noon)
	require.NoError(t, err)
	require.Equal(t, rescue{Delivered: 2, Seconds: 9.5}, r, "3 is not delivered and 4 is none of them")

	r, err = l.rescued(t.Context(), []int64{3}, noon)
	require.NoError(t, err)
	require.Equal(t, rescue{}, r)
}

func TestASampleCountsWhatHasNoOutcomeAsWaiting(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	empty, err := l.sample(t.Context())
	require.NoError(t, err)
	require.Equal(t, sample{}, empty)

	l.enqueue(t, 5)
	l.exec(t, `SELECT waybill.enqueue('{"key": "k", "user_id": "u", "track": {"event": "Other"}}')`)
	l.exec(t, `INSERT INTO waybill.delivery (bundle_id, outcome) VALUES (1, 'delivered'), (2, 'in_doubt'), (3, 'rejected')`)
	l.exec(t, `UPDATE waybill.bundle SET enqueued_at = now() - interval '1 hour' WHERE id IN (1, 2)`)

	s, err := l.sample(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 3600, s.Oldest, 60)
	s.Oldest = 0
	require.Equal(t, sample{Orders: 5, Settled: 2, Waiting: 4, Unfinished: 6}, s)

	records, err := l.records(t.Context())
	require.NoError(t, err)
	require.Contains(t, records, record{"order_completed:1", "delivered"})
	require.Contains(t, records, record{"order_completed:4", "waiting"})
}

func TestBackendsCountsTheConnectionsOfAProgram(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	err := l.pool.AcquireFunc(t.Context(), func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(t.Context(), `SET application_name = 'worker-9'`)
		require.NoError(t, err)
		n, err := l.backends(t.Context(), "worker-9")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = conn.Exec(t.Context(), `RESET application_name`)
		return err
	})
	require.NoError(t, err)
	n, err := l.backends(t.Context(), "worker-9")
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestEveryQueryIsThereAndNothingElse(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "no such query: nonsense", func() { query("nonsense") })
	l := newLedger(t)
	_, err := l.business(context.Background())
	require.ErrorContains(t, err, "business.sql", "the shop has not been here")
	install, err := l.install(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, install)
}
