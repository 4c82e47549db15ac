package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
)

func TestAnOrphanIsRescued(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, onPlan("a", "u1", "pro"), bought("b", "u2"))
	// What a worker leaves that was killed between Amplitude's answer and its record.
	h.exec(t, "INSERT INTO waybill.worker (id, beat) VALUES ('killed', 17)")
	h.exec(t, "UPDATE waybill.river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{earlier,killed}'")
	h.exec(t, "INSERT INTO waybill.request (id, worker, bundle_ids) OVERRIDING SYSTEM VALUE VALUES (nextval('waybill.request_id_seq'), 'killed', $1)", ids)
	h.exec(t, "INSERT INTO waybill.profile (dest, kind, id, request_id, unsure) SELECT 'test', 'user', 'u1', id, '{plan}' FROM waybill.request")
	began := time.Now()

	_, meter, stop := h.start(t)
	meter.untilOutcomes(t, 2)
	stop()

	require.Less(t, time.Since(began), 15*time.Second)
	require.Equal(t, map[string]int{"delivered": 2}, h.ledger(t))
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.request"))
	require.Equal(t, 1, ask[int](t, h, "SELECT max(attempt)::int FROM waybill.river_job"), "the lost attempt is given back")
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.profile WHERE request_id IS NOT NULL OR cardinality(unsure) > 0"))
}

func TestAWorkerThatWasDeclaredDeadChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, onPlan("a", "u1", "pro"))
	inRequest, answer := make(chan struct{}), make(chan struct{})
	sleeper := senderFunc(func(ctx context.Context, events []json.RawMessage) amplitude.Answer {
		close(inRequest)
		<-answer
		return amplitude.Answer{Verdict: amplitude.Delivered, Status: 200}
	})
	_, meter, stop := h.start(t, func(cfg *Config) { cfg.Sender = sleeper })
	<-inRequest
	// Another worker takes over while this one is in the middle of its request.
	h.exec(t, "WITH dead AS (DELETE FROM waybill.worker RETURNING id) DELETE FROM waybill.request USING dead WHERE worker = dead.id")
	h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome, reason) VALUES ($1, 'rejected', 'by the other worker')", ids[0])
	profile := func() string {
		return ask[string](t, h, "SELECT p::text FROM waybill.profile AS p WHERE id = 'u1'")
	}
	before := profile()
	close(answer)

	meter.until(t, "its next look", func(m *tally) bool { return m.requests["delivered"] == 1 })
	stop()

	outcome, reason := h.outcome(t, ids[0])
	require.Equal(t, "rejected", outcome)
	require.Equal(t, "by the other worker", reason)
	require.Equal(t, before, profile())
}

func TestAStopFinishesWhatIsUnderWayAndGivesTheRestBack(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	arrive := sync.OnceFunc(func() { close(arrived) })
	h := newHouse(t, amplitudetest.Config{OnRequest: func(int, []amplitudetest.Event) amplitudetest.Fault {
		arrive()
		return amplitudetest.Fault{Latency: 500 * time.Millisecond}
	}})
	bundles := make([]string, 20)
	for i := range bundles {
		bundles[i] = bought(fmt.Sprintf("k%d", i), fmt.Sprintf("u%d", i))
	}
	h.enqueue(t, bundles...)
	_, _, stop := h.start(t)
	<-arrived
	h.enqueue(t, bought("late", "u"))

	began := time.Now()
	stop()

	require.Less(t, time.Since(began), 10*time.Second)
	require.Equal(t, 20, h.ledger(t)["delivered"], "the request under way was finished and recorded")
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.river_job WHERE state = 'running'"))
	require.Zero(t, ask[int](t, h, "SELECT coalesce(sum(attempt), 0)::int FROM waybill.river_job WHERE state = 'available'"), "no attempt is spent")
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.request"))
}

func TestAStopDuringAnOutageGivesEverythingBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.GatewayTimeout}})
	ids := h.enqueue(t, onPlan("a", "u1", "pro"))
	r, meter, stop := h.start(t)
	meter.until(t, "a closed lane", func(*tally) bool { return !r.State().Lane.Open })

	stop()

	outcome, _ := h.outcome(t, ids[0])
	require.Equal(t, "in_doubt", outcome)
	require.Equal(t, "available", ask[string](t, h, "SELECT state::text FROM waybill.river_job"))
	require.Equal(t, 0, ask[int](t, h, "SELECT attempt::int FROM waybill.river_job"))
	h.fake.Heal()
	h.once(t)
	require.Equal(t, map[string]int{"delivered": 1}, h.ledger(t))
}
