package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
)

// A bundle that another worker settles while its profile is waited for is not sent, and
// not counted, again.
func TestWhatIsSettledDuringTheWaitIsNotCountedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, `{"key": "k", "user_id": "u1", "increment": {"n": 1}}`)
	h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w')")
	h.exec(t, "INSERT INTO waybill.profile (dest, kind, id) VALUES ('test', 'user', 'u1')")
	other, err := h.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), "SELECT FROM waybill.profile FOR UPDATE")
	require.NoError(t, err)
	late := &loop{
		cfg:       Config{Mode: Deliver, Meter: NoMeter{}},
		store:     &store{pool: h.db.Pool(t), worker: "w", dest: "test", install: "x"},
		throttled: newThrottled(amplitude.Limits{ThrottlePause: time.Minute}), turn: make(chan struct{}, 1), known: newKnown(knownProfiles, knownBytes), batcher: newBatcher(1),
	}
	type answer struct {
		out *sorted
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		out, err := late.prepare(t.Context(), []ref{{bundle: ids[0], job: &heldJob{}}}, 0, requestLimits{events: 100, bytes: 1 << 20})
		answers <- answer{out, err}
	}()
	for waiting := 0; waiting == 0; {
		waiting = ask[int](t, h, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	}
	_, err = other.Exec(t.Context(), "INSERT INTO waybill.delivery (bundle_id, outcome) VALUES ($1, 'delivered')", ids[0])
	require.NoError(t, err)
	require.NoError(t, other.Commit(t.Context()))
	got := <-answers
	require.NoError(t, got.err)
	require.Empty(t, got.out.send.items, "it is delivered")
	require.Len(t, got.out.overflow, 1, "it is read anew")
	got.out, got.err = late.prepare(t.Context(), got.out.overflow, 0, requestLimits{events: 100, bytes: 1 << 20})
	require.NoError(t, got.err)
	require.Len(t, got.out.settled, 1)
}
