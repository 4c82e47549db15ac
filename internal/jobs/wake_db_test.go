package jobs

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// stepped is a worker that has seen the database's clock step back by two hours so often.
func (h *house) stepped(t *testing.T, log *slog.Logger, times int) *loop {
	t.Helper()
	clock := &databaseClock{}
	for range times {
		now := time.Now()
		clock.learn(now, now, now.Add(2*time.Hour))
		clock.learn(now, now, now)
	}
	require.Equal(t, times, clock.steppedBack())
	return &loop{cfg: Config{Logger: log, Meter: NoMeter{}}, store: &store{pool: h.pool}, beat: &beat{clock: clock}}
}

// putOff makes jobs that wait, and were put off by an attempt.
func (h *house) putOff(t *testing.T, n int, name, state, attempted, due string) {
	t.Helper()
	h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, attempted_at, scheduled_at)
		SELECT 'bundle', 'analytics', jsonb_build_object('name', $2::text), $3::text::waybill.river_job_state, now() + $4::text::interval, now() + $5::text::interval
		FROM generate_series(1, $1::int)`, n, name, state, attempted, due)
}

const awake = "SELECT coalesce(string_agg(args ->> 'name', ', ' ORDER BY args ->> 'name'), '') FROM waybill.river_job WHERE state = 'available' AND scheduled_at <= now()"

func TestAStepBackOfTheDatabasesClockWakesWhatItMisled(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.putOff(t, 1, "parked", "scheduled", "119 minutes", "2 hours")
	h.putOff(t, 1, "failed", "retryable", "119 minutes", "121 minutes")
	h.putOff(t, 1, "due at once", "scheduled", "119 minutes", "5 seconds")
	h.putOff(t, 1, "put off since", "scheduled", "-1 second", "2 hours")
	h.putOff(t, 1, "held", "running", "119 minutes", "0")
	h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, scheduled_at) VALUES
		('bundle', 'analytics', '{"name": "never tried"}', 'scheduled', now() + interval '2 hours')`)
	h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, attempted_at, scheduled_at) VALUES
		('foreign', 'default', '{"name": "foreign"}', 'scheduled', now() + interval '119 minutes', now() + interval '2 hours')`)
	var log lockedBuffer
	l := h.stepped(t, slog.New(slog.NewTextHandler(&log, nil)), 0)
	w, now := wakes{loop: l}, time.Now()

	require.NoError(t, w.look(t.Context(), now))
	require.Empty(t, ask[string](t, h, awake), "nothing has happened")

	w.loop = h.stepped(t, l.cfg.Logger, 1)
	require.NoError(t, w.look(t.Context(), now))

	require.Equal(t, "failed, parked", ask[string](t, h, awake))
	require.Contains(t, log.String(), "nothing need be done")
	require.Contains(t, log.String(), "jobs=2")
}

// What was being put off when the clock stepped may reach the database after the first look.
func TestWhatIsPutOffDuringTheStepIsWokenToo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	w, now := wakes{loop: h.stepped(t, slog.New(slog.DiscardHandler), 1)}, time.Now()
	require.NoError(t, w.look(t.Context(), now))
	h.putOff(t, 1, "late", "scheduled", "2 hours", "2 hours")

	require.NoError(t, w.look(t.Context(), now.Add(wakeAgain-time.Second)))
	require.Empty(t, ask[string](t, h, awake), "one step is looked at twice, not at every look")
	require.NoError(t, w.look(t.Context(), now.Add(wakeAgain)))
	require.Equal(t, "late", ask[string](t, h, awake))

	h.putOff(t, 1, "later", "scheduled", "2 hours", "2 hours")
	require.NoError(t, w.look(t.Context(), now.Add(3*wakeAgain)))
	require.Equal(t, "late", ask[string](t, h, awake), "and not a third time")

	w.loop = h.stepped(t, slog.New(slog.DiscardHandler), 2)
	require.NoError(t, w.look(t.Context(), now.Add(4*wakeAgain)))
	require.Equal(t, "late, later", ask[string](t, h, awake), "the next step is another one")
}

// Any number of bundles is woken, a bounded number at a look.
func TestAStepBackWakesABacklogBitByBit(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	const most = wakePages * wakePage
	h.putOff(t, most+1, "parked", "scheduled", "119 minutes", "2 hours")
	w, now := wakes{loop: h.stepped(t, slog.New(slog.DiscardHandler), 1)}, time.Now()
	left := func() int {
		return ask[int](t, h, "SELECT count(*)::int FROM waybill.river_job WHERE state = 'scheduled'")
	}

	for look, want := range []int{1, 0, 0} {
		require.NoError(t, w.look(t.Context(), now.Add(time.Duration(look)*walkTick)), fmt.Sprint(look))
		require.Equal(t, want, left(), fmt.Sprint(look))
	}
	require.False(t, w.more)
}

// A park that no pause and no day explains would put its bundles off again and again.
func TestAParkThatAStepBackMadeLongIsEnded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	midnight := nextUTCDay(ask[time.Time](t, h, "SELECT now()"))
	now := ask[time.Time](t, h, "SELECT now()")
	for name, until := range map[string]time.Time{
		"a pause": now.Add(longestPause), "the day": midnight, "over": now.Add(-time.Hour),
		"another day": midnight.Add(24 * time.Hour), "a little more": midnight.Add(time.Second),
	} {
		h.exec(t, "INSERT INTO waybill.profile (dest, kind, id, parked_until) VALUES ('test', 'user', $1, $2)", name, until)
	}
	long := []string{"a little more", "another day"}
	if midnight.Sub(now) > 3*time.Hour {
		h.exec(t, "INSERT INTO waybill.profile (dest, kind, id, parked_until) VALUES ('test', 'user', 'hours', $1)", now.Add(2*time.Hour))
		long = append(long, "hours")
	}
	h.exec(t, "INSERT INTO waybill.profile (dest, kind, id, parked_until) VALUES ('another', 'user', 'elsewhere', $1)", midnight.Add(48*time.Hour))
	l := h.stepped(t, slog.New(slog.DiscardHandler), 0)
	l.store.dest = "test"

	require.NoError(t, (&wakes{loop: l}).look(t.Context(), time.Now()))

	require.Equal(t, long, ask[[]string](t, h, "SELECT array_agg(id ORDER BY id) FROM waybill.profile WHERE parked_until IS NULL"))
}

// What the sweeps think too young to touch is old when it lies in the future.
func TestTheSweepsDoNotWaitForAClockThatHasSteppedBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, bought("lost", "u1"), bought("stray", "u2"), bought("ownerless", "u3"))
	_ = ids
	h.exec(t, "DELETE FROM waybill.river_job")
	h.exec(t, "UPDATE waybill.bundle SET enqueued_at = now() + interval '2 hours'")
	h.exec(t, `INSERT INTO waybill.worker (id) VALUES ('me')`)
	h.exec(t, `INSERT INTO waybill.river_job (kind, queue, args, state, attempt, attempted_by, attempted_at)
		SELECT 'bundle', 'analytics', jsonb_build_object('name', w), 'running', 1, ARRAY[w], now() + interval '2 hours' FROM unnest('{me,gone}'::text[]) AS w`)
	h.exec(t, "INSERT INTO waybill.request (worker, bundle_ids, started_at) VALUES ('me', '{1}', now() + interval '2 hours')")
	l := &loop{cfg: Config{Logger: slog.New(slog.DiscardHandler), Meter: NoMeter{}}, store: &store{pool: h.pool, worker: "me"}, batcher: newBatcher(1)}
	w := newWalks(l)

	for range 2 {
		require.NoError(t, w.freeStrays(t.Context()))
	}
	require.Equal(t, "me", ask[string](t, h, awake))
	h.step(t, h.pool, "orphans")
	require.Equal(t, "gone, me", ask[string](t, h, awake))
	require.Equal(t, 3, ask[int](t, h, "SELECT count(*)::int FROM waybill.river_job WHERE metadata ? 'waybill_requeued'"), "a new job each")
	require.NoError(t, w.freeForgotten(t.Context()))
	require.Zero(t, ask[int](t, h, "SELECT count(*)::int FROM waybill.request"))
}
