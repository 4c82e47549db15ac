package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/plan/check"
	"waybill/internal/plan/compiled"
)

// withPlan gives a worker the reference plan of the generator's tests, altered by change.
func withPlan(t *testing.T, change ...func(*compiled.Event)) func(*Config) {
	t.Helper()
	text, err := os.ReadFile("../plan/gen/testdata/reference/plan/generated/plan.json")
	require.NoError(t, err)
	p, err := compiled.Read(text)
	require.NoError(t, err)
	for i := range p.Events {
		for _, c := range change {
			c(&p.Events[i])
		}
	}
	ready, err := check.New(p, "plan.json")
	require.NoError(t, err)
	return func(cfg *Config) { cfg.Plan = ready }
}

func inMode(m check.Mode) func(*compiled.Event) {
	return func(e *compiled.Event) { e.Mode = string(m) }
}

// searched is a bundle that the plan has nothing against; extra goes into its properties.
func searched(key, extra string) string {
	return fmt.Sprintf(`{"key": "search_performed:%s", "user_id": "u1", "track": {"event": "search_performed", "version": "1.0", "properties": {"search_id": "%[1]s"%s}}}`, key, extra)
}

// violations are the ledger's, a line each.
func (h *house) violations(t *testing.T) []string {
	t.Helper()
	rows, err := h.pool.Query(t.Context(), `SELECT format('%s %s: %s %s %s, %s, %s', event, version, property, rule, reason, mode, plan)
		FROM waybill.violation ORDER BY bundle_id, property, rule`)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return lines
}

func TestABundleThatKeepsToThePlanIsStamped(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, searched("a", ""), `{"key": "payment_succeeded:pay_1", "user_id": "u1", "groups": [{"type": "account", "id": "acc"}],
		"track": {"event": "payment_succeeded", "version": "1.0", "properties": {"payment_id": "pay_1", "amount": 5, "currency": "EUR"}, "revenue": {"amount": 5, "currency": "EUR"}}}`)
	var sent []json.RawMessage
	upload := h.sender(t)

	h.once(t, withPlan(t), func(cfg *Config) {
		cfg.Sender = senderFunc(func(ctx context.Context, events []json.RawMessage) amplitude.Answer {
			sent = append(sent, events...)
			return upload.Upload(ctx, events)
		})
	})

	require.Equal(t, map[string]int{"delivered": 2}, h.ledger(t))
	require.Empty(t, h.violations(t))
	stamped := 0
	for _, event := range sent {
		if strings.Contains(string(event), `"plan":{"branch":"main","source":"reference","version":"1.0"}`) {
			stamped++
		}
	}
	require.Equal(t, 2, stamped, "every track event says by which plan it was checked")
	paid := h.fake.Events(amplitudetest.Filter{Type: "payment_succeeded"})
	require.Len(t, paid, 1)
	require.NotContains(t, paid[0].EventProperties, "payment_id", "it stays home")
	require.Equal(t, "pay_1", ask[string](t, h, "SELECT payload -> 'track' -> 'properties' ->> 'payment_id' FROM waybill.bundle WHERE id = $1", ids[1]), "and in the ledger")
}

// TestEveryModeOfThePlan sends one bundle that breaks the plan through each.
func TestEveryModeOfThePlan(t *testing.T) {
	t.Parallel()
	for mode, c := range map[check.Mode]struct {
		outcome, reason string
		arrived         int
	}{
		check.Observe:    {"delivered", "", 2},
		check.Quarantine: {"rejected", "plan quarantine: search_performed: resultz is not in the plan", 1},
		check.Enforce:    {"rejected", "plan: search_performed: resultz is not in the plan", 1},
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			ids := h.enqueue(t, searched("bad", `, "resultz": 3, "user_email": "canary@example.com"`), searched("good", `, "results": 3`))

			meter := h.once(t, withPlan(t, inMode(mode)))

			outcome, reason := h.outcome(t, ids[0])
			require.Equal(t, c.outcome, outcome)
			require.Equal(t, c.reason+strings.Repeat(" (and 2 more)", min(len(c.reason), 1)), reason)
			outcome, _ = h.outcome(t, ids[1])
			require.Equal(t, "delivered", outcome, "a neighbour is none the worse")
			require.Equal(t, []string{
				"search_performed 1.0: resultz unknown_property is not in the plan, " + string(mode) + ", reference 1.0",
				"search_performed 1.0: user_email denied is never sent, " + string(mode) + ", reference 1.0",
				"search_performed 1.0: user_email unknown_property is not in the plan, " + string(mode) + ", reference 1.0",
			}, h.violations(t))
			require.Equal(t, map[string]int{string(mode): 3}, meter.violations)
			for _, event := range h.fake.Events(amplitudetest.Filter{Type: "search_performed"}) {
				require.NotContains(t, event.EventProperties, "user_email", "not even where the plan only observes")
			}
			require.Len(t, h.fake.Events(amplitudetest.Filter{Type: "search_performed"}), c.arrived)
		})
	}
}

// TestWhatWasQuarantinedGoesOutOnceThePlanIsMended: the operator's way back, with its
// rows about the violation replaced or kept, never doubled.
func TestWhatWasQuarantinedGoesOutOnceThePlanIsMended(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	newer := strings.Replace(searched("a", ""), `"1.0"`, `"1.7"`, 1)
	ids := h.enqueue(t, newer)
	h.once(t, withPlan(t))
	outcome, reason := h.outcome(t, ids[0])
	require.Equal(t, "rejected", outcome)
	require.Equal(t, "plan quarantine: search_performed: version 1.7 is newer than the plan file plan.json (reference 1.0), which knows 1.0; give the worker the file of the sender's release, restart it, then worker retry", reason)

	retry := "SELECT moved FROM waybill.retry('rejected', reason => 'plan quarantine%', dry_run => false)"
	require.Equal(t, 1, ask[int](t, h, retry))
	h.exec(t, "UPDATE waybill.violation SET reason = 'an old word', at = 'epoch'")
	h.once(t, withPlan(t))
	require.Len(t, h.violations(t), 1, "the same violation again is the same row")
	require.NotContains(t, h.violations(t)[0], "an old word")
	require.WithinDuration(t, time.Now(), ask[time.Time](t, h, "SELECT at FROM waybill.violation"), time.Hour)

	require.Equal(t, 1, ask[int](t, h, retry))
	h.once(t, withPlan(t, func(e *compiled.Event) {
		if e.Name == "search_performed" {
			e.Version = "1.7"
		}
	}))
	require.Equal(t, map[string]int{"delivered": 1}, h.ledger(t))
	require.Len(t, h.violations(t), 1, "what once was stays on record")
	require.Len(t, h.fake.Events(amplitudetest.Filter{Type: "search_performed"}), 1)
}

// TestOldVersionsInFlightStillDeliver: a bundle of 1.0 that waited through the release of
// 2.1 goes out by the rules of 1.0.
func TestOldVersionsInFlightStillDeliver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, `{"key": "old", "user_id": "u", "groups": [{"type": "account", "id": "a"}], "track": {"event": "Report_Created", "version": "1.0", "properties": {"report_id": "r_1"}}}`,
		`{"key": "report_created:r_2", "user_id": "u", "groups": [{"type": "account", "id": "a"}, {"type": "workspace", "id": "w", "parent": "a"}],
		"track": {"event": "report_created", "version": "2.1", "properties": {"report_id": "r_2", "report_type": "custom"}}}`)
	h.once(t, withPlan(t))
	require.Equal(t, map[string]int{"delivered": 2}, h.ledger(t))
	require.Empty(t, h.violations(t))
	require.Len(t, h.fake.Events(amplitudetest.Filter{Type: "report_created"}), 2, "under one name")
}

// TestWhatMayHaveBeenAcceptedIsSentAgain whatever the plan says by now: only the answer
// ends the doubt.
func TestWhatMayHaveBeenAcceptedIsSentAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, searched("a", `, "resultz": 1`))
	h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome, doubt_since) VALUES ($1, 'in_doubt', now() - interval '1 minute')", ids[0])
	h.once(t, withPlan(t, inMode(check.Enforce)))
	outcome, _ := h.outcome(t, ids[0])
	require.Equal(t, "delivered", outcome)
	require.Len(t, h.violations(t), 1)
}

func TestSampledEventsAreSkippedAndTheirTraitsSent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	none := func(e *compiled.Event) { e.SampleRate, e.Delivery = 1e-12, "best_effort" }
	ids := h.enqueue(t, searched("bare", ""),
		strings.Replace(searched("telling", ""), `"track"`, `"identify": {"set": {"primary_channel": "web_app"}}, "increment": {"reports_total": 1}, "track"`, 1))

	h.once(t, withPlan(t, none))

	outcome, reason := h.outcome(t, ids[0])
	require.Equal(t, "skipped", outcome)
	require.Equal(t, "sampled: the plan sends only a share of these events", reason)
	outcome, reason = h.outcome(t, ids[1])
	require.Equal(t, "delivered", outcome)
	require.Equal(t, "sampled: the plan sends only a share of these events; its traits were sent", reason)
	require.Empty(t, h.fake.Events(amplitudetest.Filter{Type: "search_performed"}))
	user, _ := h.fake.User("u1")
	require.Equal(t, map[string]any{"primary_channel": "web_app", "reports_total": 1.0}, user.Properties)
}

func TestDebugShowsWhatThePlanLeaves(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, searched("good", ""), searched("bad", `, "resultz": 1`))
	var printed lockedBuffer
	h.once(t, withPlan(t, inMode(check.Enforce)), func(cfg *Config) { cfg.Mode, cfg.Reason, cfg.DebugWriter = Debug, "debug", &printed })
	require.Equal(t, map[string]int{"skipped": 1, "rejected": 1}, h.ledger(t))
	require.Len(t, h.violations(t), 1)
	require.Contains(t, printed.String(), `"plan":{"branch":"main"`)
}

func TestWithoutAPlanNothingIsChecked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, searched("a", `, "anything": 1`))
	meter := h.once(t)
	require.Equal(t, map[string]int{"delivered": 1}, h.ledger(t))
	require.Empty(t, h.violations(t))
	require.Empty(t, meter.violations)
}

func TestEachComplaintIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var c complaints
	one := complaint{event: "e", version: "1.0", violation: check.Violation{Property: "p", Rule: "type"}}
	require.True(t, c.isNew(one))
	require.False(t, c.isNew(one))
	for i := range 2 * maxComplaints {
		one.event = fmt.Sprint(i)
		c.isNew(one)
	}
	require.Len(t, c.seen, maxComplaints, "a sender of nonsense fills no memory")
}

func TestViolationsAreRememberedForNinetyDays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.exec(t, `INSERT INTO waybill.violation (bundle_id, property, rule, event, version, reason, mode, plan, at)
		SELECT i, '', 'type', 'e', '1.0', 'r', 'observe', 'p', now() - make_interval(days => 80 + i) FROM generate_series(1, 20) AS i`)
	h.step(t, h.pool, "violations")
	require.Equal(t, 9, ask[int](t, h, "SELECT count(*) FROM waybill.violation"))
	require.Greater(t, ask[time.Time](t, h, "SELECT next_at FROM waybill.walk WHERE name = 'violations'"), time.Now().Add(30*time.Second))
}
