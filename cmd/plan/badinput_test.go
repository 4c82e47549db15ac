package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBadInputIsOneMessage: every way in which people get a plan wrong is one line, with
// the place and the fix. What a worker says of a plan file it cannot use stands with it.
func TestBadInputIsOneMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, old, new, place, fix string }{
		"malformed YAML": {
			"plan/events/billing.yaml", "    status: live", "   status: live",
			"plan/events/billing.yaml:1: is no YAML", "mind indentation, colons and quotes",
		},
		"unknown field": {
			"plan/events/billing.yaml", "    delivery: strict", "    delivery: strict\n    colour: red",
			`plan/events/billing.yaml:10: an event has no field "colour"`, "remove it; known are name,",
		},
		"misspelt field": {
			"plan/events/billing.yaml", "    delivery: strict", "    delivry: strict",
			`plan/events/billing.yaml:9: an event has no field "delivry"`, `did you mean "delivery"?`,
		},
		"duplicate name across files": {
			"plan/events/web.yaml", "events:\n", "events:\n  - {name: name_taken, version: \"1.0\", status: planned, description: Something happened twice over., category: core_value, owner: team-reports, sources: [client], delivery: best_effort}\n",
			"plan/events/web.yaml:2: name_taken 1.0 is declared in plan/events/names.yaml:3 too", "keep one, or give this one a new version",
		},
		"cyclic group parents": {
			"plan/plan.yaml", "account: {description", "account: {parent: project, description",
			"plan/plan.yaml:11: group account is above itself: account > project > workspace > account", "let one of them have no parent",
		},
		"six group types": {
			"plan/plan.yaml", "enums:", "  team: {parent: project, description: x}\n  squad: {parent: team, description: y}\n  person: {parent: squad, description: z}\nenums:",
			"plan/plan.yaml:16: person is group type number six, and there are at most five", "remove one",
		},
		"action key of an optional property": {
			"plan/events/billing.yaml", "hour: {type: timestamp, required: true,", "hour: {type: timestamp,",
			"plan/events/billing.yaml:30: hour is in the action key of activity_summarized and may be missing", "set required: true",
		},
		"no action key": {
			"plan/events/billing.yaml", "    action_key: [account, hour]\n", "",
			"plan/events/billing.yaml:17: activity_summarized has no action key", "add action_key: and the required properties that name one action",
		},
		"reserved property": {
			"plan/events/billing.yaml", "calls: {", "insert_id: {",
			`plan/events/billing.yaml:31: "insert_id" is reserved`, "choose another name",
		},
		"reserved prefix": {
			"plan/events/billing.yaml", "calls: {", "$calls: {",
			`plan/events/billing.yaml:31: "$calls" is reserved`, "choose another name",
		},
		"reserved event": {
			"plan/events/billing.yaml", "    kind: summary\n", "    kind: summary\n    amplitude_name: \"[Amplitude] Activity\"\n",
			`plan/events/billing.yaml:17: "[Amplitude] Activity" is reserved`, "choose another name",
		},
		"a property that hides a method": {
			"plan/events/billing.yaml", "calls: {", "best_effort: {",
			"plan/events/billing.yaml:31: property best_effort of activity_summarized would hide the method BestEffort", "rename it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := app(t)
			edit(t, root, c.file, c.old, c.new)
			for _, command := range []string{"lint", "gen"} {
				r := runPlan(t, root, command)
				require.Equal(t, 1, r.code)
				require.Empty(t, r.stdout, "nothing is written")
				require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
				require.True(t, strings.HasPrefix(r.stderr, c.place), r.stderr)
				require.Contains(t, r.stderr, c.fix)
			}
		})
	}
}
