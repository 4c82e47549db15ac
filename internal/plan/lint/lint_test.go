package lint_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/plan"
	"waybill/internal/plan/contract"
	"waybill/internal/plan/lint"
)

var now = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

const planYAML = `name: shop
version: "1.0"
owners: [team-a, team-b]
categories:
  core: {description: What it is for.}
  billing: {description: Money., server_only: true}
groups:
  account: {description: A customer.}
  workspace: {parent: account, description: A team.}
enums:
  channel: [web, mail]
`

const coreYAML = `events:
  - name: report_created
    version: "1.0"
    status: live
    description: A user created a report.
    category: core
    owner: team-a
    group_level: workspace
    action_key: [report_id]
    properties:
      report_id: {type: id, required: true, description: The report.}
      channel: {type: string, enum: channel, description: Where.}
      pages: {type: integer, min: 1, max: 9, description: How long.}

  - name: page_viewed
    version: "1.0"
    status: ready
    wire_at: the router
    description: A visitor looked at a page.
    category: core
    owner: team-b
    sources: [client]
    platforms: [web]
    delivery: best_effort
    properties:
      page: {type: string, required: true, description: Its path.}
`

const userYAML = `subject: user
traits:
  visits: {type: integer, update: increment, description: So far.}
`

// events is a file of one event, with more lines in it.
func event(name, lines string) string {
	return "events:\n  - name: " + name + "\n    version: \"1.0\"\n    description: Something was done by someone.\n" +
		"    category: core\n    owner: team-a\n" + indent(lines)
}

func indent(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		b.WriteString("    " + line)
	}
	return b.String() + "\n"
}

const keyed = "action_key: [a_id]\nproperties:\n  a_id: {type: id, required: true, description: The thing.}\n"

// check lints the base plan after the edits: old text to new text, or a file's name
// to its text. lock is a lock file.
func check(t *testing.T, edits [][2]string, lock, codeOwners string) []string {
	t.Helper()
	texts := map[string]string{"plan/plan.yaml": planYAML, "plan/events/core.yaml": coreYAML, "plan/traits/user.yaml": userYAML}
	for _, edit := range edits {
		if strings.HasPrefix(edit[0], "plan/") {
			texts[edit[0]] = edit[1]
			continue
		}
		done := false
		for _, file := range slices.Sorted(maps.Keys(texts)) {
			text := texts[file]
			if changed := strings.Replace(text, edit[0], edit[1], 1); changed != text && !done {
				texts[file], done = changed, true
			}
		}
		require.Truef(t, done, "the edit of %q does nothing", edit[0])
	}
	system := fstest.MapFS{}
	for file, text := range texts {
		system[file] = &fstest.MapFile{Data: []byte(text)}
	}
	p, problems := plan.Load(system, "plan")
	require.Empty(t, problems)
	read, problems := contract.ReadLock("plan/plan.lock", []byte(lock))
	require.Empty(t, problems)
	var found []string
	for _, problem := range lint.Check(lint.Input{Plan: p, Lock: read, LockFile: "plan/plan.lock", CodeOwners: codeOwners, Now: now}) {
		found = append(found, problem.String())
	}
	return found
}

// cases has at least one mistake for every rule: what it says, and where.
var cases = []struct {
	rule       string
	edits      [][2]string
	lock       string
	codeOwners string
	want       string
}{
	{rule: "event-name", edits: [][2]string{{"name: report_created", "name: Report_Created"}}, want: "plan/events/core.yaml:2: event name \"Report_Created\" does not match ^[a-z][a-z0-9]*(_[a-z0-9]+)+$; rename it, and list the old name under aliases"},
	{rule: "past-tense", edits: [][2]string{{"name: report_created", "name: report_create"}}, want: "plan/events/core.yaml:2: report_create does not say what happened; name it object_action, such as report_created"},
	{rule: "near-duplicate", edits: [][2]string{{"plan/events/more.yaml", event("reports_created", keyed)}}, want: "plan/events/more.yaml:2: reports_created looks like report_created (plan/events/core.yaml:2); use one for both; or accept near-duplicate and say how they differ"},
	{rule: "near-duplicate", edits: [][2]string{{"plan/events/more.yaml", event("page_opened", keyed)}}, want: "plan/events/more.yaml:2: page_opened looks like page_viewed (plan/events/core.yaml:15); use one for both; or accept near-duplicate and say how they differ"},
	{rule: "near-duplicate", edits: [][2]string{{"plan/events/more.yaml", event("viewed_page", keyed)}}, want: "plan/events/more.yaml:2: viewed_page looks like page_viewed (plan/events/core.yaml:15); use one for both; or accept near-duplicate and say how they differ"},
	{rule: "duplicate-event", edits: [][2]string{{"plan/events/more.yaml", event("report_created", keyed)}}, want: "plan/events/more.yaml:2: report_created 1.0 is declared in plan/events/core.yaml:2 too; keep one, or give this one a new version"},
	{rule: "duplicate-event", edits: [][2]string{{"plan/events/more.yaml", strings.Replace(event("report_created", "status: deprecated\n"+keyed), "1.0", "1.1", 1)}}, want: "plan/events/more.yaml:2: report_created has two versions of MAJOR 1, here and in plan/events/core.yaml:2; keep the newer one: a new MINOR replaces the stanza"},
	{rule: "old-version", edits: [][2]string{{"plan/events/more.yaml", strings.Replace(event("report_created", keyed), "1.0", "2.0", 1)}}, want: "plan/events/core.yaml:2: report_created 1.0 is live beside a newer version; set status: deprecated, or removed"},
	{rule: "alias", edits: [][2]string{{"    group_level", "    aliases: [page_viewed]\n    group_level"}}, want: "plan/events/core.yaml:16: page_viewed is a name of report_created (plan/events/core.yaml:2) too; leave the name to one of them"},
	{rule: "identifier", edits: [][2]string{{"pages:", "report__id:"}}, want: "plan/events/core.yaml:13: properties report__id and report_id of report_created are both ReportID in the generated code; rename one of them"},
	{rule: "identifier", edits: [][2]string{{"pages:", "groups:"}}, want: "plan/events/core.yaml:13: property groups of report_created would hide the method Groups; rename it"},
	{rule: "identifier", edits: [][2]string{{"channel: [web, mail]", "channel: [web, Web]"}}, want: "plan/plan.yaml:11: enum channel value Web and enum channel value web are both ChannelWeb in the generated code; rename one of them"},
	{rule: "reserved-name", edits: [][2]string{{"    group_level", "    amplitude_name: '[Amplitude] Report'\n    group_level"}}, want: "plan/events/core.yaml:2: \"[Amplitude] Report\" is reserved; choose another name"},
	{rule: "reserved-name", edits: [][2]string{{"pages:", "insert_id:"}}, want: "plan/events/core.yaml:13: \"insert_id\" is reserved; choose another name"},
	{rule: "property-name", edits: [][2]string{{"pages:", "Pages:"}}, want: "plan/events/core.yaml:13: \"Pages\" is not snake_case; use small letters, digits and underscores"},
	{rule: "property-twin", edits: [][2]string{{"page: {type: string, required: true", "pages: {type: string, required: true"}}, want: "plan/events/core.yaml:26: pages is of type string here and of type integer in plan/events/core.yaml:13; make them alike, or rename one"},
	{rule: "denied-name", edits: [][2]string{{"page: {type", "search_query: {type"}}, want: "plan/events/core.yaml:26: \"search_query\" is never sent as text; send a length, a count, an enum or a hashed id instead"},
	{rule: "denied-name", edits: [][2]string{{"owners:", "deny: [page]\nowners:"}}, want: "plan/events/core.yaml:26: \"page\" is never sent as text; send a length, a count, an enum or a hashed id instead"},
	{rule: "owner", edits: [][2]string{{"owner: team-a", "owner: team-z"}}, want: "plan/events/core.yaml:2: owner \"team-z\" of report_created is unknown; list it under owners: in plan.yaml, or name one that is"},
	{rule: "owner", codeOwners: "* @org/team-a\n", want: "plan/plan.yaml:3: owner \"team-b\" is not in CODEOWNERS; add it there, or remove it here"},
	{rule: "description", edits: [][2]string{{"A user created a report.", "A report."}}, want: "plan/events/core.yaml:2: the description of report_created is shorter than 15 characters; say in a sentence who did what"},
	{rule: "description", edits: [][2]string{{", description: How long.", ""}}, want: "plan/events/core.yaml:13: pages has no description; add description:"},
	{rule: "category", edits: [][2]string{{"category: core", "category: misc"}}, want: "plan/events/core.yaml:2: category \"misc\" of report_created is unknown; list it under categories: in plan.yaml, or use one that is"},
	{rule: "category-source", edits: [][2]string{{"    category: core\n    owner: team-b", "    category: billing\n    owner: team-b"}}, want: "plan/events/core.yaml:15: page_viewed is of category billing, and a client may report it; set sources: [server] and send it where the row is written"},
	{rule: "platforms", edits: [][2]string{{"platforms: [web]", "platforms: [web, tv]"}}, want: "plan/events/core.yaml:15: platform \"tv\" of page_viewed is unknown; use web, ios, android"},
	{rule: "platforms", edits: [][2]string{{"    group_level", "    platforms: [ios]\n    group_level"}}, want: "plan/events/core.yaml:2: report_created has platforms and no client sends it; remove platforms, or add the source client"},
	{rule: "wire-at", edits: [][2]string{{"    wire_at: the router\n", ""}}, want: "plan/events/core.yaml:15: page_viewed is ready and does not say where it is to be called; add wire_at: and the place"},
	{rule: "group-types", edits: [][2]string{{"enums:", "  c: {description: x}\n  d: {description: x}\n  e: {description: x}\n  f: {description: x}\nenums:"}}, want: "plan/plan.yaml:13: f is group type number six, and there are at most five; remove one; Amplitude drops what is too much"},
	{rule: "group-types", edits: [][2]string{{"enums:", "  user: {description: x}\nenums:"}}, want: "plan/plan.yaml:10: group type \"user\" will not do; use small letters, digits and underscores, and not user"},
	{rule: "group-parents", edits: [][2]string{{"account: {d", "account: {parent: workspace, d"}}, want: "plan/plan.yaml:8: group account is above itself: account > workspace > account; let one of them have no parent"},
	{rule: "group-parents", edits: [][2]string{{"parent: account", "parent: tenant"}}, want: "plan/plan.yaml:9: group workspace is in tenant, which is not declared; declare it, or remove parent:"},
	{rule: "group-level", edits: [][2]string{{"group_level: workspace", "group_level: team"}}, want: "plan/events/core.yaml:2: group_level \"team\" of report_created is unknown; declare it under groups: in plan.yaml, or use one that is"},
	{rule: "trait-subject", edits: [][2]string{{"subject: user", "subject: team"}}, want: "plan/traits/user.yaml:3: trait visits is about \"team\", which is not declared; use user, account, workspace"},
	{rule: "trait-update", edits: [][2]string{{"{type: integer, update", "{type: string, update"}}, want: "plan/traits/user.yaml:3: trait visits is counted up and of type string; use type: integer, or update: set"},
	{rule: "trait-update", edits: [][2]string{{"subject: user", "subject: account"}}, want: "plan/traits/user.yaml:3: trait visits of a group is increment, and groups' traits are only set; use update: set"},
	{rule: "duplicate-trait", edits: [][2]string{{"plan/traits/user2.yaml", userYAML}}, want: "plan/traits/user2.yaml:3: trait visits of user is declared in plan/traits/user.yaml:3 too; keep one"},
	{rule: "action-key", edits: [][2]string{{"    action_key: [report_id]\n", ""}}, want: "plan/events/core.yaml:2: report_created has no action key; add action_key: and the required properties that name one action, such as [order_id]"},
	{rule: "action-key", edits: [][2]string{{"[report_id]", "[pages]"}}, want: "plan/events/core.yaml:13: pages is in the action key of report_created and may be missing; set required: true; without it two actions would share a key"},
	{rule: "action-key", edits: [][2]string{{"[report_id]", "[report_id, project]"}}, want: "plan/events/core.yaml:2: the action key of report_created names project, which it has not; use a required property, or a group type the event happens in"},
	{rule: "action-key", edits: [][2]string{{"[report_id]", "[report_id, report_id]"}}, want: "plan/events/core.yaml:2: the action key of report_created has report_id twice; name it once"},
	{rule: "action-key", edits: [][2]string{{"report_id: {type: id", "report_id: {type: number"}}, want: "plan/events/core.yaml:11: report_id is in the action key of report_created and of type number; use a string, id, integer or timestamp"},
	{rule: "strict-client", edits: [][2]string{{"delivery: best_effort", "delivery: strict"}}, want: "plan/events/core.yaml:15: page_viewed is strict and only clients send it, whom no transaction binds; set delivery: best_effort"},
	{rule: "sampling", edits: [][2]string{{"    group_level", "    sample_rate: 0.5\n    group_level"}}, want: "plan/events/core.yaml:2: report_created is strict and sampled; set delivery: best_effort, or send all"},
	{rule: "sampling", edits: [][2]string{{"    group_level", "    sample_rate: 0.5\n    reconcile: true\n    delivery: best_effort\n    group_level"}}, want: "plan/events/core.yaml:2: report_created is reconciled and sampled: its gap would say nothing; send all, or do not reconcile it"},
	{rule: "sampling", edits: [][2]string{{"    group_level", "    sample_rate: 10\n    group_level"}}, want: "plan/events/core.yaml:2: sample_rate 10 of report_created makes no sense; use a share above 0, up to 1"},
	{rule: "required", edits: [][2]string{{"plan/events/more.yaml", event("much_done", keyed+properties(6, "required: true, "))}}, want: "plan/events/more.yaml:2: much_done requires 7 properties, more than 6; make optional what the event makes sense without"},
	{rule: "properties", edits: [][2]string{{"plan/events/more.yaml", event("much_done", keyed+properties(40, ""))}}, want: "plan/events/more.yaml:2: much_done has 41 properties, more than 40; send less, or make two events"},
	{rule: "limits", edits: [][2]string{{"min: 1, max: 9", "min: 10, max: 9"}}, want: "plan/events/core.yaml:13: min of pages is above its max; exchange them"},
	{rule: "limits", edits: [][2]string{{"min: 1, max: 9", "max_length: 3"}}, want: "plan/events/core.yaml:13: max_length of pages means nothing; remove it"},
	{rule: "limits", edits: [][2]string{{"enum: channel", "min: 1"}}, want: "plan/events/core.yaml:12: min and max of channel mean nothing; remove them"},
	{rule: "limits", edits: [][2]string{{"enum: channel", "max_items: 1"}}, want: "plan/events/core.yaml:12: max_items of channel means nothing; remove it"},
	{rule: "limits", edits: [][2]string{{"enum: channel", "max_length: 2000"}}, want: "plan/events/core.yaml:12: max_length of channel is 2000; use at most 1024, where Amplitude cuts"},
	{rule: "limits", edits: [][2]string{{"enum: channel", "of: channel"}}, want: "plan/events/core.yaml:12: of: of channel means nothing; remove it, or use type: id"},
	{rule: "limits", edits: [][2]string{{"enum: channel", "send: false"}}, want: "plan/events/core.yaml:12: channel is not sent and names no action; use it in the action key, or remove it"},
	{rule: "enum", edits: [][2]string{{"channel: [web, mail]", "channel: []"}}, want: "plan/plan.yaml:11: enum channel has 0 values; list 1 to 50"},
	{rule: "enum", edits: [][2]string{{"channel: [web, mail]", "channel: [web, web]"}}, want: "plan/plan.yaml:11: enum channel has a value twice; keep one of them"},
	{rule: "enum", edits: [][2]string{{"channel: [web, mail]", "channel: [web, '']"}}, want: "plan/plan.yaml:11: enum channel has an empty value; remove it; leave the property out instead"},
	{rule: "enum", edits: [][2]string{{"enum: channel", "enum: [web, phone]"}}, want: "plan/events/core.yaml:12: enum channel has other values in plan/plan.yaml:11; declare both under enums: in plan.yaml, under two names"},
	{rule: "enum", edits: [][2]string{{"channel: {type: string", "channel: {type: integer"}}, want: "plan/events/core.yaml:12: channel is an enum and no plain string; use type: string, without pii"},
	{rule: "pii-policy", edits: [][2]string{{"page: {type: string,", "page: {type: string, pii: personal,"}}, want: "plan/events/core.yaml:26: page is personal, and events carry nothing personal; make it a trait, or send a hashed id"},
	{rule: "pii-policy", edits: [][2]string{{"page: {type: string,", "page: {type: string, pii: secret,"}}, want: "plan/events/core.yaml:26: page is of class secret; do not send it: send a length, a count or a yes or no"},
	{rule: "pii-policy", edits: [][2]string{{"traits:", "traits:\n  nick: {type: string, pii: personal, description: x}"}}, want: "plan/traits/user.yaml:3: trait nick is personal, and the policy is none; do not send it, or set pii_policy: traits_only"},
	{rule: "pii-id", edits: [][2]string{{"min: 1, max: 9", "pii: id"}}, want: "plan/events/core.yaml:13: pages is a hashed identifier of type integer; set type: string"},
	{rule: "revenue", edits: [][2]string{{"    group_level", "    revenue: {amount: pages, currency: channel}\n    group_level"}}, want: "plan/events/core.yaml:8: the revenue amount pages of report_created will not do; name a required property of type number, in major units"},
	{rule: "expired", edits: [][2]string{{"    group_level", "    expires: 2026-11-21\n    group_level"}}, want: "plan/events/core.yaml:2: report_created expired on 2026-11-21; remove the event, or give it more time"},
	{rule: "expired", edits: [][2]string{{"    group_level", "    expires: soon\n    group_level"}}, want: "plan/events/core.yaml:2: expires \"soon\" of report_created is no date; write YYYY-MM-DD"},
	{rule: "replaced-by", edits: [][2]string{{"    group_level", "    replaced_by: report_made\n    group_level"}}, want: "plan/events/core.yaml:2: report_created is replaced by report_made, which is not there; name an event of the plan"},
	{rule: "published", edits: [][2]string{{"max: 9", "max: 8"}}, lock: lockOf("1.0"), want: "plan/events/core.yaml:2: report_created 1.0 was published and its contract changed: pages: max narrowed; bump the version to 2.0, or undo the edit"},
	{rule: "published", edits: [][2]string{{"max: 9", "max: 10"}}, lock: lockOf("1.0"), want: "plan/events/core.yaml:2: report_created 1.0 was published and its contract changed: pages: max widened; bump the version to 1.1, or undo the edit"},
	{rule: "published", edits: [][2]string{{"status: live", "status: planned"}}, lock: lockOf("1.0"), want: "plan/events/core.yaml:2: report_created 1.0 was published and is planned again; set status: deprecated or removed"},
	{rule: "version-bump", edits: [][2]string{{"max: 9", "max: 8"}, {"report_created\n    version: \"1.0\"", "report_created\n    version: \"1.1\""}}, lock: lockOf("1.0"), want: "plan/events/core.yaml:2: report_created 1.1 breaks readers of 1.0: pages: max narrowed; call it 2.0"},
	{rule: "lock-missing", lock: "gone_done 1.0 {}\n", want: "plan/plan.lock:1: gone_done 1.0 was published and is gone from the plan; restore its stanza, with status: removed if it is no longer sent"},
	{rule: "unsent", edits: [][2]string{{"status: live", "status: removed"}}, lock: lockOf("1.0"), want: "plan/events/core.yaml:2: report_created 1.0 was published, and bundles may still wait with it; run plan prune report_created 1.0, which asks the database, or leave it deprecated"},
	{rule: "unsent", edits: [][2]string{{"status: live", "status: removed"}}, lock: lockOf("1.0") + "report_created 2.0 pruned\n", want: "plan/events/core.yaml:2: report_created 1.0 was published, and bundles may still wait with it; run plan prune report_created 1.0, which asks the database, or leave it deprecated"},
	{rule: "accept", edits: [][2]string{{"    group_level", "    accept: {past-tense: why not}\n    group_level"}}, want: "plan/events/core.yaml:8: report_created does not break \"past-tense\"; remove the line"},
	{rule: "accept", edits: [][2]string{{"    group_level", "    accept: {past-tens: why not}\n    group_level"}}, want: "plan/events/core.yaml:8: there is no rule \"past-tens\"; plan lint --rules lists them"},
	{rule: "accept", edits: [][2]string{{"    group_level", "    accept: {action-key: why not}\n    group_level"}}, want: "plan/events/core.yaml:8: rule \"action-key\" cannot be accepted; mend what it finds"},
	{rule: "accept", edits: [][2]string{{"name: report_created", "name: report_create"}, {"    group_level", "    accept: {past-tense: ''}\n    group_level"}}, want: "plan/events/core.yaml:8: accepting \"past-tense\" needs a reason; say why"},
}

// lockOf is the lock of the base plan's report_created.
func lockOf(version string) string {
	system := fstest.MapFS{"plan/plan.yaml": {Data: []byte(planYAML)}, "plan/events/core.yaml": {Data: []byte(coreYAML)}}
	p, problems := plan.Load(system, "plan")
	if len(problems) > 0 {
		panic(problems)
	}
	return strings.Replace(string(contract.Lock{}.With(p).Bytes()), "1.0", version, 1)
}

func properties(n int, more string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  p%d: {type: boolean, %sdescription: x}\n", i, more)
	}
	return b.String()
}

func TestEveryRuleFindsItsMistake(t *testing.T) {
	t.Parallel()
	for i, c := range cases {
		t.Run(fmt.Sprintf("%s/%d", c.rule, i), func(t *testing.T) {
			t.Parallel()
			require.Contains(t, check(t, c.edits, c.lock, c.codeOwners), c.want+" ["+c.rule+"]")
		})
	}
}

func TestEveryRuleHasACase(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for _, c := range cases {
		tried[c.rule] = true
	}
	require.GreaterOrEqual(t, len(lint.Rules()), 24)
	for _, rule := range lint.Rules() {
		require.Truef(t, tried[rule.Name], "rule %s is never broken", rule.Name)
		require.LessOrEqual(t, len(rule.Name)+1+len(rule.About), 80)
	}
}

func TestAGoodPlanIsLeftAlone(t *testing.T) {
	t.Parallel()
	require.Empty(t, check(t, nil, lockOf("1.0"), "* @org/team-a @org/team-b\n"))
}

func TestAnAcceptedRuleIsQuiet(t *testing.T) {
	t.Parallel()
	require.Empty(t, check(t, [][2]string{
		{"name: report_created", "name: report_create"},
		{"    group_level", "    accept: {past-tense: the name it always had}\n    group_level"},
	}, "", ""))
}

// TestABumpIsEnough: what was published may change under a new version.
func TestABumpIsEnough(t *testing.T) {
	t.Parallel()
	require.Empty(t, check(t, [][2]string{{"max: 9", "max: 10"}, {"report_created\n    version: \"1.0\"", "report_created\n    version: \"1.1\""}}, lockOf("1.0"), ""))
	older := event("report_created", "status: deprecated\ngroup_level: workspace\naction_key: [report_id]\nproperties:\n  report_id: {type: id, required: true, description: The report.}\n  channel: {type: string, enum: channel, description: Where.}\n  pages: {type: integer, min: 1, max: 9, description: How long.}\n")
	require.Empty(t, check(t, [][2]string{{"max: 9", "max: 8"}, {"report_created\n    version: \"1.0\"", "report_created\n    version: \"2.0\""}, {"plan/events/old.yaml", older}}, lockOf("1.0"), ""))
}

func TestTheLastDayIsNotOver(t *testing.T) {
	t.Parallel()
	require.Empty(t, check(t, [][2]string{{"    group_level", "    expires: 2026-11-22\n    group_level"}}, "", ""))
}

func TestRemovedEventsKeepTheirNameOnly(t *testing.T) {
	t.Parallel()
	require.Empty(t, check(t, [][2]string{{"status: live", "status: removed"}, {"owner: team-a", "owner: gone"}}, lockOf("1.0")+"report_created 1.0 pruned\n", ""))
}

// TestWhatWasNeverPublishedIsRemovedAtOnce: no bundle can wait with it.
func TestWhatWasNeverPublishedIsRemovedAtOnce(t *testing.T) {
	t.Parallel()
	require.Empty(t, check(t, [][2]string{{"status: live", "status: removed"}}, "", ""))
}

// TestTheExampleIsWithoutFault lints the catalogue of the example.
func TestTheExampleIsWithoutFault(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../../../examples/shop")
	p, problems := plan.Load(root, "plan")
	require.Empty(t, problems)
	text, err := os.ReadFile("../../../examples/shop/plan/plan.lock")
	require.NoError(t, err)
	lock, problems := contract.ReadLock("plan/plan.lock", text)
	require.Empty(t, problems)
	require.Empty(t, lint.Check(lint.Input{Plan: p, Lock: lock, LockFile: "plan/plan.lock", Now: now}))
}
