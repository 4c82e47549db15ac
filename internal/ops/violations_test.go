package ops

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// offPlan records what a worker would: bundles that break the plan in one way each.
func (f *fixture) offPlan(mode, property, rule string, ids ...int64) {
	f.t.Helper()
	f.exec(`INSERT INTO waybill.violation (bundle_id, property, rule, event, version, reason, mode, plan)
		SELECT id, $1, $2, 'report_created', '2.1', 'is wrong', $3, 'shop 1.0' FROM unnest($4::bigint[]) AS id`, property, rule, mode, ids)
}

func TestStatusTellsWhatBreaksThePlan(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.offPlan("enforce", "pages", "type", f.given("rejected", "plan: x", "a:1", "a:2")...)
	sent := f.given("delivered", "", "a:3")
	f.offPlan("observe", "page", "unknown_property", sent...)
	old := f.given("rejected", "plan: y", "a:4")
	f.offPlan("enforce", "score", "range", old...)
	f.exec("UPDATE waybill.violation SET at = now() - interval '25 hours' WHERE bundle_id = ANY ($1)", old)

	for _, role := range []string{"waybill_operator", "waybill_worker"} {
		s, err := ReadStatus(t.Context(), f.as(role), Most)
		require.NoError(t, err, role)
		require.Len(t, s.Violations, 2, "what is older than a day is not news")
		require.Equal(t, "report_created 2.1 pages: is wrong", s.Violations[0].String())
		require.EqualValues(t, 2, s.Violations[0].Bundles, "the most frequent first")
		require.True(t, s.Violations[0].held())
		require.False(t, s.Violations[1].held())
		require.False(t, s.Violations[0].Capped)
	}
	s, err := ReadStatus(t.Context(), f.pool, 1)
	require.NoError(t, err)
	require.True(t, s.Violations[0].Capped)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(text), `"violations":[{"event":"report_created"`)
}

func TestTheGoodIsShownBesideTheBad(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("delivered", "", "a:1", "a:2")
	f.offPlan("observe", "x", "type", f.given("delivered", "", "a:3")...)
	f.offPlan("enforce", "x", "type", f.given("rejected", "plan: x", "b:1")...)
	f.offPlan("enforce", "y", "type", one[int64](f, "SELECT bundle_id FROM waybill.job WHERE action_key = 'b:1'"))
	f.enqueue("b:2")
	rows, err := f.as("waybill_operator").Query(t.Context(),
		"SELECT event, bundles, delivered, rejected, waiting, breaking_plan FROM waybill.event_quality ORDER BY event")
	require.NoError(t, err)
	var lines []string
	for rows.Next() {
		values, err := rows.Values()
		require.NoError(t, err)
		lines = append(lines, fmt.Sprint(values...))
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []string{"Event_a3 3 0 0 1", "Event_b2 0 1 1 1"}, lines)
}

func TestJudgePlan(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	worker := func(about string) Status {
		return Status{At: now, Workers: []Worker{{ID: "w-1", BeatAt: now, About: json.RawMessage(about)}}}
	}
	broken := func(mode string) Status {
		return Status{At: now, Violations: []Violation{{Event: "report_created", Mode: mode, Reason: "is wrong", Bundles: 3, Newest: now.Add(-time.Minute)}}}
	}
	for name, c := range map[string]struct {
		plan   string
		status Status
		level  Level
		says   string
		fix    string
	}{
		"no plan":          {"", Status{At: now}, OK, "none is set (ANALYTICS_PLAN); every event name is taken", ""},
		"a plan":           {"shop 1.0", worker(`{"plan": "shop 1.0"}`), OK, "bundles are held against plan shop 1.0; none of the last day breaks it", ""},
		"another":          {"shop 1.1", worker(`{"plan": "shop 1.0"}`), Warn, "worker w-1 checks against plan shop 1.0, this environment says plan shop 1.1", "give all workers one ANALYTICS_PLAN, and restart those that have another"},
		"a worker without": {"shop 1.1", worker(`{}`), Warn, "worker w-1 checks against no plan, this environment says plan shop 1.1", "give all workers one ANALYTICS_PLAN, and restart those that have another"},
		"observed":         {"shop 1.0", broken("observe"), Warn, "3 bundles, last 1 min ago sent off plan: report_created: is wrong", "mend the sender or the plan; they are sent meanwhile"},
		"quarantined":      {"shop 1.0", broken("quarantine"), Warn, "3 bundles, last 1 min ago in quarantine: report_created: is wrong", "mend the plan or the data, restart the workers, then: worker retry --outcome rejected --reason 'plan quarantine%'"},
		"enforced":         {"shop 1.0", broken("enforce"), Warn, "3 bundles, last 1 min ago rejected by the plan: report_created: is wrong", "mend the sender, which sends it anew under another key; or mend the plan and: worker retry --outcome rejected --reason 'plan:%'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings := judgePlan(c.plan, c.status)
			require.Len(t, findings, 1)
			require.Equal(t, Finding{Level: c.level, Says: c.says, Fix: c.fix}, findings[0])
		})
	}
}

func TestViolationsFitTheScreen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	s := Status{At: now, LastMinute: Throughput{Since: now.Add(-time.Minute)}}
	for i := range 7 {
		s.Violations = append(s.Violations, Violation{
			Event: "report_created", Version: "2.1", Property: "pages", Rule: "type", Mode: []string{"observe", "enforce"}[i%2],
			Reason: "is of type string, not integer, which is a long story that no terminal shows", Bundles: int64(1000 - i), Newest: now,
		})
	}
	var text strings.Builder
	require.NoError(t, Report{Database: "db", Status: s}.Text(&text))
	requireGolden(t, "status_off_plan.golden", text.String())
	require.Equal(t, 5, strings.Count(text.String(), "report_created"))
}

// TestABundleShowsAllThatThePlanHasAgainstIt: its reason names the first alone.
func TestABundleShowsAllThatThePlanHasAgainstIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.given("rejected", "plan: report_created: pages is wrong (and 1 more)", "a:1")
	f.offPlan("enforce", "pages", "type", ids...)
	f.offPlan("enforce", "", "status", ids...)
	b, err := Lookup(t.Context(), f.as("waybill_operator"), "a:1")
	require.NoError(t, err)
	require.Len(t, b.Violations, 2)
	var text strings.Builder
	require.NoError(t, b.Text(&text))
	requireNarrow(t, text.String())
	require.Contains(t, text.String(), "Off plan    is wrong (enforce, shop 1.0)\n            pages is wrong (enforce, shop 1.0)\n")
}
