package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

const oneDay = 24 * time.Hour

// pass lets time pass for what the database remembers and for Amplitude. The time of an
// action stays: a repeated event repeats it.
func (h *house) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for _, statement := range []string{
		"UPDATE waybill.delivery SET at = at - $1::interval, doubt_since = doubt_since - $1::interval",
		"UPDATE waybill.request SET started_at = started_at - $1::interval",
		"UPDATE waybill.bundle SET enqueued_at = enqueued_at - $1::interval",
		"UPDATE waybill.river_job SET scheduled_at = scheduled_at - $1::interval, attempted_at = attempted_at - $1::interval",
	} {
		h.exec(t, statement, d)
	}
	h.fake.Advance(d)
}

// tryInVain lets a worker send what is due while Amplitude answers everything with a
// fault, and stops it.
func (h *house) tryInVain(t *testing.T, fault amplitudetest.Fault) {
	t.Helper()
	h.fake.Inject(amplitudetest.Rule{Fault: fault})
	r, meter, stop := h.start(t)
	meter.until(t, "a closed lane", func(*tally) bool { return !r.State().Lane.Open })
	stop()
	h.fake.Heal()
}

var storedAndLost = amplitudetest.Fault{Kind: amplitudetest.StoredLost}

func TestDoubtUpToItsLastHour(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		passed  time.Duration
		outcome string
		known   int // repetitions that Amplitude absorbed
	}{
		"a minute before six days": {6*oneDay - time.Minute, "delivered", 1},
		"six days":                 {6 * oneDay, "uncertain", 0},
		"a year":                   {365 * oneDay, "uncertain", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			ids := h.enqueue(t, bought("order:1", "u1"))
			h.tryInVain(t, storedAndLost)
			h.pass(t, test.passed)

			h.once(t)

			outcome, _ := h.outcome(t, ids[0])
			require.Equal(t, test.outcome, outcome)
			stats := h.fake.Stats()
			require.Equal(t, 1, stats.Counted)
			require.Equal(t, test.known, stats.Duplicates)
			require.Zero(t, stats.StoredTwice)
		})
	}
}

// A worker that was killed leaves its request row, and the doubt began with the request.
func TestDoubtOfACrashCountsFromTheRequest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		passed  time.Duration
		outcome string
	}{
		"a minute before six days": {6*oneDay - time.Minute, "delivered"},
		"six days":                 {6 * oneDay, "uncertain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			ids := h.enqueue(t, bought("order:1", "u1"))
			h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('killed')")
			h.exec(t, "UPDATE waybill.river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{killed}'")
			h.exec(t, "INSERT INTO waybill.request (worker, bundle_ids) VALUES ('killed', $1)", ids)
			h.pass(t, test.passed)

			_, meter, stop := h.start(t)
			meter.untilOutcomes(t, 1)
			stop()

			outcome, _ := h.outcome(t, ids[0])
			require.Equal(t, test.outcome, outcome)
			require.Equal(t, test.outcome == "delivered", h.fake.Stats().Requests > 0)
		})
	}
}

// A bundle that was in doubt before its worker was killed has been so since then.
func TestACrashDoesNotRenewADoubt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, bought("order:1", "u1"))
	h.tryInVain(t, storedAndLost)
	h.pass(t, 6*oneDay)
	h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('killed')")
	h.exec(t, "UPDATE waybill.river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{killed}'")
	h.exec(t, "INSERT INTO waybill.request (worker, bundle_ids) VALUES ('killed', $1)", ids)

	_, meter, stop := h.start(t)
	meter.untilOutcomes(t, 1)
	stop()

	outcome, _ := h.outcome(t, ids[0])
	require.Equal(t, "uncertain", outcome)
}

// A worker in mode discard or debug may come by a bundle that is in doubt, and somebody may
// bring it back long afterwards.
func TestABundleThatWasSkippedInDoubtComesBackInDoubt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		passed  time.Duration
		outcome string
	}{
		"while Amplitude knows it": {5 * oneDay, "delivered"},
		"too late":                 {8 * oneDay, "uncertain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			ids := h.enqueue(t, bought("order:1", "u1"))
			h.tryInVain(t, storedAndLost)
			ids = append(ids, h.enqueue(t, bought("order:2", "u2"))...)
			h.once(t, func(cfg *Config) { cfg.Mode, cfg.Reason = Discard, "on purpose" })
			require.Equal(t, map[string]int{"skipped": 2}, h.ledger(t))
			h.pass(t, test.passed)

			h.exec(t, "SELECT waybill.retry('skipped', dry_run => false)")
			h.once(t)

			outcome, _ := h.outcome(t, ids[0])
			require.Equal(t, test.outcome, outcome)
			outcome, _ = h.outcome(t, ids[1])
			require.Equal(t, "delivered", outcome, "it was never in doubt")
			require.Equal(t, 2, h.fake.Stats().Counted)
			require.Zero(t, h.fake.Stats().StoredTwice)
		})
	}
}

func TestNoLaterRefusalClearsADoubt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, bought("order:1", "u1"))
	h.tryInVain(t, storedAndLost)
	for range 5 {
		h.pass(t, oneDay)
		h.tryInVain(t, amplitudetest.Fault{Kind: amplitudetest.Unavailable})
		outcome, _ := h.outcome(t, ids[0])
		require.Equal(t, "in_doubt", outcome)
	}
	h.pass(t, oneDay)
	before := h.fake.Stats().Requests

	h.once(t)

	outcome, _ := h.outcome(t, ids[0])
	require.Equal(t, "uncertain", outcome)
	require.Equal(t, before, h.fake.Stats().Requests)
}

func TestWhatWasCertainlyNotAcceptedIsTriedForEver(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]amplitudetest.Kind{
		"an outage":   amplitudetest.Unavailable,
		"a wrong key": amplitudetest.InvalidKey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			ids := h.enqueue(t, bought("order:1", "u1"))
			for range 3 {
				h.tryInVain(t, amplitudetest.Fault{Kind: fault})
				h.pass(t, 30*oneDay)
			}

			h.once(t)

			outcome, _ := h.outcome(t, ids[0])
			require.Equal(t, "delivered", outcome)
			require.Equal(t, 1, ask[int](t, h, "SELECT attempt::int FROM waybill.river_job"), "waiting costs no attempt")
		})
	}
}

// resolve decides about uncertain bundles as `worker resolve` does.
func (h *house) resolve(t *testing.T, how string) {
	t.Helper()
	require.Equal(t, 1, ask[int](t, h, "SELECT moved FROM waybill.resolve($1, until => clock_timestamp(), dry_run => false)", how))
}

func TestResolveAssumesDelivered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, onPlan("order:1", "u1", "pro"))
	h.tryInVain(t, amplitudetest.Fault{Kind: amplitudetest.GatewayTimeout}) // in fact it was not stored
	h.pass(t, 6*oneDay)
	h.once(t)
	requests := h.fake.Stats().Requests

	h.resolve(t, "assume_delivered")
	h.once(t)

	outcome, _ := h.outcome(t, ids[0])
	require.Equal(t, "delivered", outcome)
	require.Equal(t, requests, h.fake.Stats().Requests, "nothing is sent")
	require.Equal(t, "uncertain", ask[string](t, h, "SELECT outcome FROM waybill.delivery_log"), "what was decided is kept")

	// What it told of its user stays unknown, so it is not left out next time.
	h.enqueue(t, onPlan("order:2", "u1", "pro"))
	h.once(t)
	user, ok := h.fake.User("u1")
	require.True(t, ok)
	require.Equal(t, "pro", user.Properties["plan"])
}

func TestResolveSendsAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		later   time.Duration // after it became uncertain
		counted int
	}{
		"while Amplitude remembers": {oneDay - time.Minute, 1},
		"once it has forgotten":     {oneDay, 2}, // which is why a person is asked
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			ids := h.enqueue(t, bought("order:1", "u1"))
			h.tryInVain(t, storedAndLost)
			h.pass(t, 6*oneDay)
			h.once(t)
			h.pass(t, test.later)

			h.resolve(t, "resend")
			h.once(t)

			outcome, _ := h.outcome(t, ids[0])
			require.Equal(t, "delivered", outcome)
			require.Equal(t, test.counted, h.fake.Stats().Counted)
		})
	}
}

// What a person sent again begins a doubt of its own, with six days of its own.
func TestAResentBundleMayBeInDoubtAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, bought("order:1", "u1"))
	h.tryInVain(t, amplitudetest.Fault{Kind: amplitudetest.GatewayTimeout})
	h.pass(t, 6*oneDay)
	h.once(t)
	h.resolve(t, "resend")
	h.tryInVain(t, storedAndLost)
	outcome, _ := h.outcome(t, ids[0])
	require.Equal(t, "in_doubt", outcome)

	h.pass(t, 6*oneDay-time.Minute)
	h.once(t)
	outcome, _ = h.outcome(t, ids[0])
	require.Equal(t, "delivered", outcome)
	require.Equal(t, 1, h.fake.Stats().Counted)
}

// A bundle in doubt of which nothing is left to say, because a newer one has spoken, is
// delivered, and the doubt is over. Only nobody knowing keeps it.
func TestAnOutcomeWithoutARequestEndsTheDoubt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	identify := func(key string, ago time.Duration) string {
		return fmt.Sprintf(`{"key": %q, "user_id": "u1", "identify": {"set": {"plan": %q}}, "occurred_at": %q}`, key, key, time.Now().Add(-ago).Format(time.RFC3339))
	}
	h.enqueue(t, identify("newer", time.Minute))
	h.once(t)
	ids := h.enqueue(t, identify("older", time.Hour), bought("old", "u2"))
	for i, age := range []string{"2 minutes", "7 days"} {
		h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome, doubt_since) VALUES ($1, 'in_doubt', now() - $2::text::interval)", ids[i], age)
	}

	h.once(t)

	require.Equal(t, 1, h.fake.Stats().Requests, "nothing was sent for either")
	require.Equal(t, "delivered f, uncertain t", ask[string](t, h,
		"SELECT string_agg(format('%s %s', outcome, doubt_since IS NOT NULL), ', ' ORDER BY bundle_id) FROM waybill.delivery WHERE bundle_id = ANY ($1)", ids))
}
