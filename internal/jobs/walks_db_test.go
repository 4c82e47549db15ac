package jobs

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// step takes one step of a walk at once, in a pool of any query mode.
func (h *house) step(t *testing.T, pool *pgxpool.Pool, name string) {
	t.Helper()
	h.exec(t, "UPDATE waybill.walk SET next_at = '-infinity' WHERE name = $1", name)
	l := &loop{cfg: Config{Logger: slog.Default(), Meter: NoMeter{}}, store: &store{pool: pool}}
	w := newWalks(l)
	for _, step := range w.steps {
		if step.name == name {
			_, err := w.take(t.Context(), step)
			require.NoError(t, err)
			return
		}
	}
	t.Fatalf("there is no walk %q", name)
}

func TestRetention(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			pool := h.db.Pool(t, func(cfg *pgxpool.Config) { cfg.ConnConfig.DefaultQueryExecMode = mode })
			ids := h.enqueue(t, bought("old", "u1"), bought("young", "u2"), bought("waiting", "u3"), bought("refused", "u4"))
			h.exec(t, "UPDATE waybill.bundle SET enqueued_at = now() - interval '40 days'")
			for i, d := range []struct{ outcome, age string }{{"delivered", "31 days"}, {"delivered", "29 days"}, {}, {"rejected", "39 days"}} {
				if d.outcome != "" {
					h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome, at) VALUES ($1, $2, now() - $3::text::interval)", ids[i], d.outcome, d.age)
				}
			}
			h.step(t, pool, "payloads")
			require.Equal(t, ids[0], ask[int64](t, h, "SELECT min(id) FROM waybill.bundle WHERE payload IS NULL"), "delivered long ago")
			require.Equal(t, 1, ask[int](t, h, "SELECT count(*) FROM waybill.bundle WHERE payload IS NULL"), "and nothing else")
			require.Equal(t, "duplicate", ask[string](t, h, "SELECT outcome FROM waybill.enqueue($1::text::jsonb)", bought("old", "u1")), "the key is known for ever")

			h.exec(t, `INSERT INTO waybill.profile (dest, kind, id, sent_at, counters, request_id) VALUES
				('d', 'user', 'idle', now() - interval '91 days', '{}', NULL),
				('d', 'user', 'active', now() - interval '89 days', '{}', NULL),
				('d', 'user', 'counting', now() - interval '91 days', '{"n": 1}', NULL),
				('d', 'user', 'reserved', now() - interval '91 days', '{}', 7),
				('d', 'user', 'new', NULL, '{}', NULL)`)
			h.exec(t, "INSERT INTO waybill.profile (dest, kind, id, parked_until) VALUES ('d', 'user', 'was parked', now() - interval '1 second'), ('d', 'user', 'is parked', now() + interval '1 hour')")
			h.step(t, pool, "profiles")
			require.Equal(t, "active counting is parked new reserved", ask[string](t, h, "SELECT string_agg(id, ' ' ORDER BY id) FROM waybill.profile"))

			h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, finalized_at) VALUES
				('bundle', 'analytics', '{}', 'completed', now() - interval '61 minutes'),
				('bundle', 'analytics', '{}', 'completed', now() - interval '59 minutes'),
				('bundle', 'analytics', '{}', 'discarded', now() - interval '90 days'),
				('foreign', 'default', '{}', 'completed', now() - interval '90 days')`)
			before := ask[int](t, h, "SELECT count(*) FROM waybill.river_job")
			h.step(t, pool, "jobs")
			require.Equal(t, before-1, ask[int](t, h, "SELECT count(*) FROM waybill.river_job"))
		})
	}
}

// TestTheSweepGoesAllTheWay walks over more bundles than one step looks at, of which the
// first and the last have lost their jobs.
func TestTheSweepGoesAllTheWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.exec(t, `INSERT INTO waybill.bundle (key_hash, action_key, payload, occurred_at, enqueued_at, job_id)
		SELECT sha256(i::text::bytea), 'k' || i, '{}', now(), now() - interval '1 hour', i FROM generate_series(1, 12000) AS i`)
	h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome) SELECT id, 'delivered' FROM waybill.bundle WHERE id NOT IN (1, 6000, 12000)")
	h.exec(t, `INSERT INTO waybill.river_job (id, kind, queue, args) VALUES (6000, 'bundle', 'analytics', '{}')`)
	mark := func() string {
		return ask[string](t, h, "SELECT format('%s %s', position, settled) FROM waybill.walk WHERE name = 'orphans'")
	}

	h.step(t, h.pool, "orphans")
	require.Equal(t, 2, ask[int](t, h, "SELECT count(*) FROM waybill.river_job"), "the first has a job again")
	require.Equal(t, "5000 0", mark())
	h.step(t, h.pool, "orphans")
	h.step(t, h.pool, "orphans")
	require.Equal(t, 3, ask[int](t, h, "SELECT count(*) FROM waybill.river_job"), "and so has the last")
	require.Equal(t, "0 0", mark(), "the next round begins where everything before is settled")

	h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome) SELECT id, 'delivered' FROM waybill.bundle ON CONFLICT DO NOTHING")
	for range 4 {
		h.step(t, h.pool, "orphans")
	}
	require.Equal(t, "12000 12000", mark(), "nothing is looked at twice")
	require.Equal(t, 3, ask[int](t, h, "SELECT count(*) FROM waybill.river_job"))
	require.Equal(t, fmt.Sprint(h.enqueue(t, bought("next", "u"))[0]), ask[string](t, h, "SELECT max(id)::text FROM waybill.bundle"))

	// Once a day it starts over, for a transaction that committed late.
	h.exec(t, "DELETE FROM waybill.delivery WHERE bundle_id = 17")
	h.step(t, h.pool, "orphans")
	require.Equal(t, 4, ask[int](t, h, "SELECT count(*) FROM waybill.river_job"))
	h.exec(t, "UPDATE waybill.walk SET restart_at = '-infinity' WHERE name = 'orphans'")
	h.step(t, h.pool, "orphans")
	require.Equal(t, 5, ask[int](t, h, "SELECT count(*) FROM waybill.river_job"))
}

// TestAWalkIsPlannedAnewEachTime: a plan from when the tables were small reads all of one for
// each row of another once they are not.
func TestAWalkIsPlannedAnewEachTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	pool := h.db.Pool(t, func(cfg *pgxpool.Config) { cfg.MaxConns = 1 })
	for _, name := range []string{"orphans", "jobs", "payloads", "profiles", "violations"} {
		h.step(t, pool, name)
	}
	var kept int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%waybill.' || 'walk%'").Scan(&kept))
	require.Zero(t, kept)
}

// TestTheSweepTakesFromWorkersWithoutARow covers what a worker leaves whose heartbeat row
// somebody deleted.
func TestTheSweepTakesFromWorkersWithoutARow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, bought("a", "u1"))
	h.exec(t, "UPDATE waybill.river_job SET state = 'running', attempt = 1, attempted_at = now() - interval '1 minute', attempted_by = '{gone}'")
	h.exec(t, "INSERT INTO waybill.request (worker, bundle_ids, started_at) VALUES ('gone', $1, now() - interval '1 minute')", ids)

	h.step(t, h.pool, "orphans")

	require.Equal(t, "available 0", ask[string](t, h, "SELECT format('%s %s', state, attempt) FROM waybill.river_job"))
	outcome, _ := h.outcome(t, ids[0])
	require.Equal(t, "in_doubt", outcome)
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.request"))
}

// TestAJobWhoseClaimWasNeverAnsweredIsGivenBack covers a fetch that reached the database
// and whose answer did not reach the worker: it lives and beats, so nobody takes over.
func TestAJobWhoseClaimWasNeverAnsweredIsGivenBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, bought("stray", "u1"))
	h.enqueue(t, bought("held", "u2"))
	h.enqueue(t, bought("young", "u3"))
	h.enqueue(t, bought("foreign", "u4"))
	h.enqueue(t, bought("claimed again", "u5"))
	h.enqueue(t, bought("ending", "u6"))
	h.exec(t, `UPDATE waybill.river_job SET state = 'running', attempt = 1, attempted_by = '{before,me}',
		attempted_at = clock_timestamp() - CASE args ->> 'action_key' WHEN 'young' THEN interval '5 seconds' ELSE interval '1 minute' END`)
	h.exec(t, "UPDATE waybill.river_job SET attempted_by = '{me,somebody}' WHERE args ->> 'action_key' = 'foreign'")
	running := func() int { return ask[int](t, h, "SELECT count(*) FROM waybill.river_job WHERE state = 'running'") }
	b := newBatcher(10)
	b.admit(ask[int64](t, h, "SELECT id FROM waybill.river_job WHERE args ->> 'action_key' = 'held'"), 1, 1, []int64{2})
	l := &loop{cfg: Config{Logger: slog.New(slog.DiscardHandler), Meter: NoMeter{}}, store: &store{pool: h.pool, worker: "me"}, batcher: b}

	w := newWalks(l)

	require.NoError(t, w.freeStrays(t.Context()))
	require.Equal(t, 6, running(), "one look is not enough")
	h.exec(t, "UPDATE waybill.river_job SET attempt = 2 WHERE args ->> 'action_key' = 'claimed again'")
	h.exec(t, "UPDATE waybill.river_job SET state = 'completed', finalized_at = now() WHERE args ->> 'action_key' = 'ending'")
	require.NoError(t, w.freeStrays(t.Context()))
	require.Equal(t, "stray", ask[string](t, h, "SELECT string_agg(args ->> 'action_key', ' ') FROM waybill.river_job WHERE state = 'available' AND attempt = 0"))
	require.Equal(t, 4, running())

	h.exec(t, "UPDATE waybill.river_job SET state = 'running', attempt = 1 WHERE args ->> 'action_key' = 'stray'")
	require.NoError(t, w.freeStrays(t.Context()))
	require.Equal(t, 4, running(), "it was found once since")
}

// Completed jobs go page after page while there are more; what is not due is left alone.
func TestCompletedJobsGoAsFastAsTheyCome(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	complete := func(n int) {
		h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, finalized_at)
			SELECT 'bundle', 'analytics', '{}', 'completed', now() - interval '2 hours' FROM generate_series(1, $1::int)`, n)
	}
	left := func() int { return ask[int](t, h, "SELECT count(*)::int FROM waybill.river_job") }
	w := newWalks(&loop{cfg: Config{Logger: slog.Default(), Meter: NoMeter{}}, store: &store{pool: h.pool}})
	h.exec(t, "UPDATE waybill.walk SET next_at = CASE name WHEN 'jobs' THEN '-infinity' ELSE 'infinity' END::timestamptz")

	complete(2*jobsPage + 1)
	require.NoError(t, w.takeDue(t.Context()))
	require.Zero(t, left())

	complete(1)
	require.NoError(t, w.takeDue(t.Context()))
	require.Equal(t, 1, left(), "after a page that was not full it is due in half a minute")
}

// River makes jobs available by the worker's clock and claims them by the database's: what
// one has put out of the other's reach is pulled back, what waits on purpose is not.
func TestJobsOutOfTheDatabasesReachArePulledBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	for state, ahead := range map[string]string{"available": "2 hours", "scheduled": "2 hours"} {
		h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, scheduled_at)
			VALUES ('bundle', 'analytics', '{}', $1::text::waybill.river_job_state, now() + $2::text::interval)`, state, ahead)
	}
	h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, scheduled_at) VALUES ('bundle', 'analytics', '{}', now() + interval '5 seconds')`)
	h.exec(t, "UPDATE waybill.walk SET next_at = now() + interval '2 hours'")
	w := newWalks(&loop{cfg: Config{Logger: slog.New(slog.DiscardHandler), Meter: NoMeter{}}, store: &store{pool: h.pool}})

	require.NoError(t, w.pullAhead(t.Context()))
	require.NoError(t, w.takeDue(t.Context()))

	require.Equal(t, "available available scheduled", ask[string](t, h, "SELECT string_agg(state::text, ' ' ORDER BY state) FROM waybill.river_job"))
	require.Equal(t, 1, ask[int](t, h, "SELECT count(*)::int FROM waybill.river_job WHERE scheduled_at <= now()"))
	require.Equal(t, "payloads profiles violations", ask[string](t, h, "SELECT string_agg(name, ' ' ORDER BY name) FROM waybill.walk WHERE next_at > now() + interval '10 minutes'"),
		"the sweep does not stand still until the clock is back where it was")
}
