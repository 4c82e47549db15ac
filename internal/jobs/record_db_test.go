package jobs

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// Most bundles have no outcome before their first one. They are recorded as if none had,
// until one turns out to have one after all.
func TestAnOutcomeThatAnotherWorkerRecordedMeanwhileStays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bundles   int
		was, want string
	}{
		{2, "delivered", "the other one's"},
		{2, "in_doubt", ""},
		{2, "", ""},
	} {
		t.Run(fmt.Sprintf("%s, of %d", c.was, c.bundles), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w')")
			f, bundles := h.delivered(t, c.bundles)
			if c.was != "" {
				h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome, reason) VALUES ($1, $2, 'the other one''s')", bundles[0], c.was)
			}

			require.NoError(t, f.record(t.Context()))

			for i, id := range bundles {
				outcome, reason := h.outcome(t, id)
				require.Equal(t, "delivered", outcome)
				if i == 0 {
					require.Equal(t, c.want, reason)
				}
			}
			require.Equal(t, c.bundles, ask[int](t, h, `
				SELECT count(*) FROM waybill.delivery
				WHERE at BETWEEN now() - interval '1 minute' AND clock_timestamp() AND attempt = 3 AND request_id = $1 AND doubt_since IS NULL
					OR reason = 'the other one''s'`, f.send.request))
			require.Equal(t, c.bundles, ask[int](t, h, "SELECT count(*) FROM waybill.profile WHERE request_id IS NULL"))
			require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.request"))
		})
	}
}

// A worker that was declared dead while its request was under way records none of it.
func TestARequestThatWasTakenOverIsNotRecorded(t *testing.T) {
	t.Parallel()
	for _, bundles := range []int{1, 50} {
		t.Run(fmt.Sprint(bundles), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w')")
			f, _ := h.delivered(t, bundles)
			h.exec(t, "DELETE FROM waybill.request")

			require.ErrorIs(t, f.record(t.Context()), errDeclaredDead)

			require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.delivery"))
			require.Equal(t, bundles, ask[int](t, h, "SELECT count(*) FROM waybill.profile WHERE request_id IS NOT NULL"))
		})
	}
}

// Somebody else may park a user while the request is under way that changes its traits.
func TestAProfileThatIsParkedWhileItIsRecordedIsRecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w')")
	f, _ := h.delivered(t, 2)
	other := h.somebody(t, "UPDATE waybill.profile SET parked_until = now() + interval '1 hour' WHERE id = 'u1'")
	recorded := make(chan error, 1)
	go func() { recorded <- f.record(t.Context()) }()
	for waiting := 0; waiting == 0; {
		waiting = ask[int](t, h, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	}

	require.NoError(t, other.Commit(t.Context()))
	require.NoError(t, <-recorded)

	require.Equal(t, 2, ask[int](t, h, "SELECT count(*) FROM waybill.profile WHERE request_id IS NULL AND unsure = '{}'"))
	require.Equal(t, 1, ask[int](t, h, "SELECT count(*) FROM waybill.profile WHERE parked_until > now()"))
}

// delivered is a flight that Amplitude has accepted, not yet recorded, and its bundles.
func (h *house) delivered(t *testing.T, n int) (*flight, []int64) {
	t.Helper()
	var texts []string
	for i := range n {
		texts = append(texts, fmt.Sprintf(`{"key": "k%[1]d", "user_id": "u%[1]d", "identify": {"set": {"a": 1}}, "track": {"event": "E"}}`, i))
	}
	l, bundles := preparing(h), h.enqueue(t, texts...)
	var refs []ref
	for _, id := range bundles {
		refs = append(refs, ref{bundle: id, job: &heldJob{id: id, open: 1, attempt: 3}})
	}
	out, err := l.prepare(t.Context(), refs, 0, roomy)
	require.NoError(t, err)
	require.Len(t, out.send.items, n)
	f := l.newFlight(out.send, 0)
	f.accept(f.plan(f.split.next()))
	return f, bundles
}
