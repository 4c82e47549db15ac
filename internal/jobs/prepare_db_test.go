package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
)

// preparing is a loop that prepares and is not run.
func preparing(h *house) *loop {
	return &loop{
		cfg:     Config{Mode: Deliver, Meter: NoMeter{}, Logger: slog.New(slog.DiscardHandler)},
		store:   &store{pool: h.pool, worker: "w", dest: "test", install: "x"},
		batcher: newBatcher(10), throttled: newThrottled(amplitude.Batch.Limits()), turn: make(chan struct{}, 1), known: newKnown(knownProfiles, knownBytes),
	}
}

// The sweep gives a bundle a new job when the old one is gone from the table, and a worker
// may still hold the old one.
func TestABundleWithTwoJobsFliesOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, `{"key": "k", "user_id": "u", "increment": {"n": 1}}`)
	h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w')")
	l := preparing(h)
	first, second := l.batcher.admit(1, 1, 1, ids), l.batcher.admit(2, 1, 1, ids)

	out, err := l.prepare(t.Context(), l.batcher.take(2), 0, requestLimits{events: 100, bytes: 1 << 20})

	require.NoError(t, err)
	require.Len(t, out.send.items, 1)
	require.Same(t, first, out.send.items[0].job)
	require.Len(t, out.postponed, 1)
	require.Same(t, second, out.postponed[0].it.job, "it is looked at again a moment later")
}

// The answer to the COMMIT that writes a request down may be lost: nobody sends it then,
// and what it reserved is free again within seconds.
func TestARequestThatNobodySendsIsTakenBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, `{"key": "k", "user_id": "u", "increment": {"n": 1}}`)
	h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w'), ('other')")
	l := preparing(h)
	w := newWalks(l)
	prepare := func() *sorted {
		out, err := l.prepare(t.Context(), []ref{{bundle: ids[0], job: &heldJob{}}}, 0, requestLimits{events: 100, bytes: 1 << 20})
		require.NoError(t, err)
		return out
	}
	requests := func() string {
		return ask[string](t, h, "SELECT coalesce(string_agg(worker, ' '), '') FROM waybill.request")
	}
	lost := prepare().send.request
	require.NotZero(t, lost)
	h.exec(t, "UPDATE waybill.request SET started_at = started_at - interval '3 seconds'")
	h.exec(t, "INSERT INTO waybill.request (worker, bundle_ids, started_at) VALUES ('other', '{}', '-infinity')")

	require.NoError(t, w.freeForgotten(t.Context()))
	require.Equal(t, "w other", requests(), "it is open")
	require.Contains(t, prepare().behind, lost, "and holds others back")

	l.batcher.settled(lost)
	require.NoError(t, w.freeForgotten(t.Context()))
	require.Equal(t, "other", requests())
	require.Len(t, prepare().send.items, 1)
}

func TestAThrottledUserWhoseTraitsAreToldIsRemembered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, `{"key": "k", "user_id": "hot", "identify": {"set": {"a": 1}}, "track": {"event": "E"}}`)
	_, meter, stop := h.start(t, func(cfg *Config) {
		cfg.Sender = senderFunc(func(context.Context, []json.RawMessage) amplitude.Answer {
			return amplitude.Answer{Verdict: amplitude.Throttled, Status: 429, ThrottledUsers: map[string]bool{"hot": true}}
		})
	})
	meter.until(t, "parked", func(m *tally) bool { return m.waiting["parked"] > 0 })
	stop()
	require.True(t, ask[bool](t, h, "SELECT parked_until > now() FROM waybill.profile WHERE kind = 'user' AND id = 'hot'"))
}

// A worker that was frozen with a profile locked holds up whoever needs that profile.
func TestALockHoldsUpOnlyThoseWhoNeedIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.exec(t, "INSERT INTO waybill.profile (dest, kind, id) VALUES ('test', 'user', 'frozen')")
	frozen, err := h.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = frozen.Exec(t.Context(), "SELECT FROM waybill.profile FOR UPDATE")
	require.NoError(t, err)
	_, meter, stop := h.start(t)
	h.enqueue(t, `{"key": "k0", "user_id": "frozen", "identify": {"set": {"a": 1}}}`)
	require.Eventually(t, func() bool {
		return ask[int](t, h, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	}, patience, 10*time.Millisecond)
	began := time.Now()
	for i := range 20 {
		h.enqueue(t, fmt.Sprintf(`{"key": "t%d", "user_id": "v%d", "identify": {"set": {"a": 1}}, "track": {"event": "E"}}`, i, i))
	}
	meter.untilOutcomes(t, 20)
	require.Less(t, time.Since(began), statementTimeout/2, "the lock is waited for 3 s at a time")
	require.NoError(t, frozen.Rollback(t.Context()))
	meter.untilOutcomes(t, 21)
	stop()
}
