package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const planFile = "../../internal/plan/gen/testdata/reference/plan/generated/plan.json"

// TestADryRunHoldsLinesAgainstThePlan: what it prints is what a worker with that plan would
// send, and what it refuses is what such a worker would hold back.
func TestADryRunHoldsLinesAgainstThePlan(t *testing.T) {
	t.Parallel()
	line := func(id, extra string) string {
		return `{"key": "search_performed:` + id + `", "user_id": "u", "track": {"event": "search_performed", "version": "1.0", "properties": {"search_id": "` + id + `"` + extra + `}}}`
	}
	got := dryRun(t, []string{"ANALYTICS_PLAN=" + planFile}, line("a", "")+"\n"+line("b", `, "resultz": 1`)+"\n", "-", "--all")
	require.Equal(t, exitFailed, got.code)
	requests := decodeRequests(t, got.stdout)
	require.Len(t, requests, 1)
	require.Equal(t, map[string]any{"branch": "main", "source": "reference", "version": "1.0"}, requests[0]["events"].([]any)[0].(map[string]any)["plan"])
	require.Contains(t, got.stderr, "line 2 refused")
	require.Contains(t, got.stderr, "plan: search_performed: resultz is not in the plan")
	require.Contains(t, got.stderr, "  valid             1\n  duplicate         0\n  rejected          1\n")

	require.Contains(t, dryRun(t, []string{"ANALYTICS_PLAN=" + planFile}, line("b", `, "resultz": 1`)+"\n", "-", "--json").stdout, `"rejected":1`, "unseen lines are checked too")
}

func TestADryRunShowsWhatThePlanMakesOfAnEvent(t *testing.T) {
	t.Parallel()
	got := dryRun(t, []string{"ANALYTICS_PLAN=" + planFile}, "", "--key", "payment_succeeded:pay_1", "--user", "u", "--event", "payment_succeeded",
		"--group", "account=a", "--prop", "payment_id=pay_1", "--prop", "amount=5", "--prop", "currency=EUR", "--revenue", "5", "--currency", "EUR")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.NotContains(t, got.stdout, "payment_id", "it stays home")
}

func TestADryRunRefusesAPlanItCannotRead(t *testing.T) {
	t.Parallel()
	got := dryRun(t, []string{"ANALYTICS_PLAN=plan_test.go"}, "", "--key", "k", "--user", "u", "--event", "E")
	require.Equal(t, exitConfig, got.code)
	require.Equal(t, 1, strings.Count(got.stderr, "ANALYTICS_PLAN"))
	require.Contains(t, got.stderr, "is no compiled plan")
}
