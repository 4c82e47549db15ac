package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/migrations"
)

// skewed is River's executor in a worker whose clock differs from the database's.
func (h *house) skewed(t *testing.T, clock *databaseClock) riverdriver.Executor {
	t.Helper()
	return driver{riverpgxv5.New(h.pool), besideOthers(h.pool), newBatcher(10), clock, &polls{}}.GetExecutor()
}

// A worker whose clock is hours off puts a bundle off by as long as one whose clock is right.
func TestASkewedWorkerPutsOffByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 2 * time.Hour, "right": 0, "behind": -2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.enqueue(t, bought("put off", "u1"))
			h.enqueue(t, bought("completed", "u2"))
			h.exec(t, "UPDATE waybill.river_job SET state = 'running', attempt = 1")
			shows := func() time.Time { return time.Now().Add(off) } // the worker's clock
			clock := &databaseClock{}
			b := &beat{store: &store{pool: h.pool, worker: "w"}, clock: clock, about: func() string { return "{}" }}
			require.NoError(t, b.start(t.Context()))
			require.InDelta(t, 0, clock.ahead(), float64(time.Second), "the first heartbeat reads it")
			clock.read = clock.read.Add(off) // as it is read by such a worker

			later, done := shows().Add(30*time.Second), shows()
			_, err := h.skewed(t, clock).JobSetStateIfRunningMany(t.Context(), &riverdriver.JobSetStateIfRunningManyParams{
				ID: []int64{
					ask[int64](t, h, "SELECT id FROM waybill.river_job WHERE args ->> 'action_key' = 'put off'"),
					ask[int64](t, h, "SELECT id FROM waybill.river_job WHERE args ->> 'action_key' = 'completed'"),
				},
				Attempt: make([]*int, 2), ErrData: make([][]byte, 2), FinalizedAt: []*time.Time{nil, &done},
				MetadataDoMerge: make([]bool, 2), MetadataUpdates: make([][]byte, 2), ScheduledAt: []*time.Time{&later, nil},
				State: []rivertype.JobState{rivertype.JobStateScheduled, rivertype.JobStateCompleted}, Schema: migrations.Schema,
			})
			require.NoError(t, err)

			require.Equal(t, 1, ask[int](t, h, `SELECT count(*)::int FROM waybill.river_job
				WHERE state = 'scheduled' AND scheduled_at BETWEEN now() + interval '25 seconds' AND now() + interval '30 seconds'`))
			require.Equal(t, 1, ask[int](t, h, `SELECT count(*)::int FROM waybill.river_job
				WHERE state = 'completed' AND finalized_at BETWEEN now() - interval '5 seconds' AND now()`), "or retention takes it at once")
		})
	}
}

// Until when a bundle waits is what Prepare said, whatever the clock does until River has
// written it down: a quota that ends with the day ends with the day.
func TestAStepWhileAJobIsPutOffMovesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, bought("k", "u1"))
	h.exec(t, "UPDATE waybill.river_job SET state = 'running', attempt = 1")
	id, midnight := ask[int64](t, h, "SELECT id FROM waybill.river_job"), nextUTCDay(time.Now())
	clock, b, now := &databaseClock{}, newBatcher(10), time.Now()
	clock.learn(now, now, midnight.Add(-2*time.Hour))
	result := make(chan error, 1)
	go func() {
		result <- (&worker{batcher: b, clock: clock}).Work(context.WithoutCancel(t.Context()), &river.Job[Args]{
			JobRow: &rivertype.JobRow{ID: id, Attempt: 1}, Args: Args{BundleIDs: []int64{1}},
		})
	}()
	b.postpone(&item{job: b.gather(t.Context(), 1, time.Second, func() {})[0].job}, midnight)
	var snooze *river.JobSnoozeError
	require.ErrorAs(t, <-result, &snooze)
	require.InDelta(t, 2*time.Hour, snooze.Duration, float64(time.Second))

	clock.learn(now, now, midnight.Add(time.Minute)) // the day ends in one step
	b.admit(id, 2, 1, numbered(1, 1))                // and the job was taken for lost, and claimed once more
	later, exec := time.Now().Add(snooze.Duration), driver{riverpgxv5.New(h.pool), besideOthers(h.pool), b, clock, &polls{}}.GetExecutor()
	_, err := exec.JobSetStateIfRunningMany(t.Context(), &riverdriver.JobSetStateIfRunningManyParams{
		ID: []int64{id}, Attempt: make([]*int, 1), ErrData: make([][]byte, 1), FinalizedAt: make([]*time.Time, 1),
		MetadataDoMerge: make([]bool, 1), MetadataUpdates: make([][]byte, 1), ScheduledAt: []*time.Time{&later},
		State: []rivertype.JobState{rivertype.JobStateScheduled}, Schema: migrations.Schema,
	})

	require.NoError(t, err)
	require.True(t, midnight.Equal(ask[time.Time](t, h, "SELECT scheduled_at FROM waybill.river_job")))
	require.Empty(t, b.putOff, "it is over")
}

// A leader whose clock is hours off wakes what is due, no sooner and no later.
func TestASkewedLeaderWakesByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 2 * time.Hour, "right": 0, "behind": -2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, scheduled_at)
				SELECT 'bundle', 'analytics', '{}', 'scheduled', now() + due * interval '1 minute' FROM unnest('{-1,1}'::int[]) AS due`)
			clock, now := &databaseClock{}, time.Now().Add(off)
			clock.learn(now, now, ask[time.Time](t, h, "SELECT clock_timestamp()"))

			tx, err := h.skewed(t, clock).Begin(t.Context())
			require.NoError(t, err)
			params := riverdriver.JobScheduleParams{Max: 10, Now: &now, Schema: migrations.Schema}
			_, err = tx.JobSchedule(t.Context(), &params)
			require.NoError(t, err)
			require.NoError(t, tx.Commit(t.Context()))

			require.Equal(t, "true available, false scheduled", ask[string](t, h,
				"SELECT string_agg(format('%s %s', CASE WHEN scheduled_at < now() THEN 'true' ELSE 'false' END, state), ', ' ORDER BY scheduled_at) FROM waybill.river_job"))
			require.Equal(t, &now, params.Now, "River's own parameters are left alone")
		})
	}
}

// A job that somebody put before all others does not keep River from scheduling it and the rest.
func TestAJobThatWaitsSinceForeverIsScheduled(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, scheduled_at) VALUES
		('bundle', 'analytics', '{}', 'retryable', '-infinity'), ('bundle', 'analytics', '{}', 'scheduled', '-infinity'),
		('bundle', 'analytics', '{}', 'scheduled', now() - interval '1 minute'), ('bundle', 'analytics', '{}', 'scheduled', now() + interval '1 hour')`)
	clock, now := &databaseClock{}, time.Now()
	clock.learn(now, now, ask[time.Time](t, h, "SELECT clock_timestamp()"))

	tx, err := h.skewed(t, clock).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.JobSchedule(t.Context(), &riverdriver.JobScheduleParams{Max: 10, Now: &now, Schema: migrations.Schema})
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))

	require.Equal(t, "available,available,available,scheduled", ask[string](t, h, "SELECT string_agg(state::text, ',' ORDER BY id) FROM waybill.river_job"))
}

// A claim after the step is put off by the clock as it is then, though no beat has read it.
func TestAClaimReadsTheDatabasesClock(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, bought("k", "u1"))
	clock, now := &databaseClock{}, time.Now()
	clock.learn(now, now, now.Add(2*time.Hour)) // the database's clock has stepped back since

	claimed, err := h.skewed(t, clock).JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
		ClientID: "w", MaxAttemptedBy: 10, MaxToLock: 10, Queue: Queue, Schema: migrations.Schema,
	})

	require.NoError(t, err)
	require.Len(t, claimed.Jobs, 1)
	require.WithinDuration(t, time.Now(), clock.when(time.Now()), unsureBy)
	require.Equal(t, 1, clock.steppedBack())
}

// Of a request that was cut off, its own bundles go first, for a minute: not for hours,
// because the clock has stepped back meanwhile.
func TestAStepBackDoesNotKeepOthersBehindACutOffRequest(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.exec(t, `INSERT INTO waybill.delivery (bundle_id, outcome, request_id, at) VALUES
		(1, 'in_doubt', 1, now() - interval '59 seconds'), (2, 'in_doubt', 2, now() - interval '61 seconds'),
		(3, 'in_doubt', 3, now() + interval '50 seconds'), (4, 'in_doubt', 4, now() + interval '2 hours')`)
	rows, err := h.pool.Query(t.Context(), requestsHeldSQL, []int64{1, 2, 3, 4})
	require.NoError(t, err)
	first := map[int64]bool{}
	var id int64
	var live, doubtful bool
	_, err = pgx.ForEachRow(rows, []any{&id, &live, &doubtful}, func() error {
		first[id] = doubtful
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, map[int64]bool{1: true, 2: false, 3: true, 4: false}, first)
}
