package check_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
	"waybill/internal/plan/check"
	"waybill/internal/plan/compiled"
)

// referencePlan is the compiled form of the plan that package gen's tests use, altered
// by change.
func referencePlan(tb testing.TB, change ...func(*compiled.Plan)) *check.Plan {
	tb.Helper()
	text, err := os.ReadFile("../gen/testdata/reference/plan/generated/plan.json")
	require.NoError(tb, err)
	p, err := compiled.Read(text)
	require.NoError(tb, err)
	for _, c := range change {
		c(&p)
	}
	ready, err := check.New(p, "plan.json")
	require.NoError(tb, err)
	return ready
}

func mode(event string, m check.Mode) func(*compiled.Plan) {
	return func(p *compiled.Plan) {
		for i := range p.Events {
			if p.Events[i].Name == event {
				p.Events[i].Mode = string(m)
			}
		}
	}
}

// report is a bundle that the plan has nothing against.
const report = `{
	"key": "report_created:r_1", "user_id": "u_1", "source": "server",
	"identify": {"set": {"primary_channel": "web_app"}, "set_once": {"signup_date": "2026-01-01T00:00:00Z"}},
	"increment": {"reports_total": 1},
	"groups": [{"type": "account", "id": "acc_1", "set": {"seats": 5}}, {"type": "workspace", "id": "ws_1", "parent": "acc_1"}],
	"track": {"event": "report_created", "version": "2.1", "properties": {"report_id": "r_1", "report_type": "custom", "pages": 3}}
}`

func parse(tb testing.TB, text string) *bundle.Bundle {
	tb.Helper()
	b, err := bundle.Parse([]byte(text))
	require.NoError(tb, err)
	return b
}

func TestAGoodBundleIsSentAsItIs(t *testing.T) {
	t.Parallel()
	b := parse(t, report)
	before := string(b.Track.Properties)
	v := referencePlan(t).Check(b)
	require.Equal(t, check.Verdict{Event: "report_created", Version: "2.1"}, v)
	require.False(t, v.Held())
	require.Empty(t, v.Reason())
	require.Equal(t, before, string(b.Track.Properties))
}

// TestWhatBreaksThePlan edits the good bundle once and reads what the plan says.
func TestWhatBreaksThePlan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, property, rule, reason string }{
		"key of one's own":    {`"key": "report_created:r_1"`, `"key": "report:r_1:created"`, "key", "action_key", "is not made as report_created:<report_id>"},
		"unknown event":       {`"event": "report_created"`, `"event": "report_crated"`, "", "unknown_event", "is no event of the plan"},
		"malformed version":   {`"version": "2.1"`, `"version": "two"`, "version", "version", "is not MAJOR.MINOR"},
		"version of nobody":   {`"version": "2.1"`, `"version": "2.01"`, "version", "version", "is not MAJOR.MINOR"},
		"newer MINOR":         {`"version": "2.1"`, `"version": "2.2"`, "version", "version", "2.2 is newer than the plan file plan.json (reference 1.0), which knows 2.1; give the worker the file"},
		"newer MAJOR":         {`"version": "2.1"`, `"version": "3.0"`, "version", "version", "3.0 is newer than the plan file plan.json"},
		"planned event":       {`"event": "report_created", "version": "2.1"`, `"event": "name_taken", "version": "1.0"`, "", "status", "is planned"},
		"removed event":       {`"event": "report_created", "version": "2.1"`, `"event": "report_printed", "version": "1.0"`, "", "status", "was removed"},
		"wrong source":        {`"source": "server"`, `"source": "client"`, "source", "source", "is client, which may not send it"},
		"no level":            {`, {"type": "workspace", "id": "ws_1", "parent": "acc_1"}`, ``, "workspace", "group_level", "is not among the groups"},
		"no ancestor":         {`{"type": "account", "id": "acc_1", "set": {"seats": 5}}, {"type": "workspace", "id": "ws_1", "parent": "acc_1"}`, `{"type": "workspace", "id": "ws_1"}`, "account", "group_level", "is not among the groups"},
		"foreign parent":      {`{"type": "workspace", "id": "ws_1", "parent": "acc_1"}`, `{"type": "workspace", "id": "ws_1", "parent": "acc_1"}, {"type": "project", "id": "p", "parent": "acc_1"}`, "project", "group_parent", "does not belong to its workspace"},
		"unknown group":       {`"parent": "acc_1"}`, `"parent": "acc_1"}, {"type": "team", "id": "t"}`, "team", "unknown_group", "is no group type"},
		"revenue unasked":     {`"version": "2.1",`, `"version": "2.1", "revenue": {"amount": 1, "currency": "EUR"},`, "revenue", "revenue", "is not in the plan"},
		"required missing":    {`"report_id": "r_1", `, ``, "report_id", "required", "is missing"},
		"no properties":       {`, "properties": {"report_id": "r_1", "report_type": "custom", "pages": 3}`, ``, "report_id", "required", "is missing"},
		"unknown property":    {`"pages": 3`, `"page": 3`, "page", "unknown_property", "is not in the plan"},
		"odd property":        {`"pages": 3`, `"a b\n": 3`, `["a b\n"]`, "unknown_property", "is not in the plan"},
		"wrong type":          {`"pages": 3`, `"pages": "3"`, "pages", "type", "is of type string, not integer"},
		"fraction":            {`"pages": 3`, `"pages": 3.5`, "pages", "type", "is of type number, not integer"},
		"below":               {`"pages": 3`, `"pages": 0`, "pages", "range", "is out of its range"},
		"above":               {`"pages": 3`, `"pages": 501`, "pages", "range", "is out of its range"},
		"no such value":       {`"custom"`, `"bespoke"`, "report_type", "enum", "is none of its values"},
		"empty id":            {`"r_1", "report_type"`, `"", "report_type"`, "report_id", "length", "is shorter than 1"},
		"too long":            {`"pages": 3`, `"note_kind": "0123456789abc"`, "note_kind", "length", "is longer than 12"},
		"too many":            {`"pages": 3`, `"tags": ["a", "b", "c", "d"]`, "tags", "items", "has more entries than 3"},
		"bad entry":           {`"pages": 3`, `"tags": ["a", 7]`, "tags[1]", "type", "is of type number, not string"},
		"raw identifier":      {`"pages": 3`, `"assignee_ref": "+49301"`, "assignee_ref", "form", "a hashed id"},
		"no time":             {`"pages": 3`, `"due_at": "tomorrow"`, "due_at", "form", "a time as RFC 3339"},
		"unknown trait":       {`"primary_channel": "web_app"`, `"shoe_size": 44`, "user.shoe_size", "unknown_trait", "is not in the plan"},
		"trait of wrong type": {`"primary_channel": "web_app"`, `"primary_channel": 7`, "user.primary_channel", "type", "is of type number, not string"},
		"set of a set_once":   {`"set": {"primary_channel": "web_app"}, "set_once": {"signup_date": "2026-01-01T00:00:00Z"}`, `"set": {"signup_date": "2026-01-01T00:00:00Z"}`, "user.signup_date", "trait_update", "is changed by set, and the plan says set_once"},
		"increment of a set":  {`"increment": {"reports_total": 1}`, `"increment": {"stamp": 1}`, "user.stamp", "trait_update", "is changed by increment, and the plan says set"},
		"fraction of a count": {`"reports_total": 1`, `"reports_total": 0.5`, "user.reports_total", "type", "is of type number, not integer"},
		"unset of a set_once": {`, "set_once": {"signup_date": "2026-01-01T00:00:00Z"}`, `, "unset": ["signup_date"]`, "user.signup_date", "trait_update", "is changed by set"},
		"unknown group trait": {`"seats": 5`, `"chairs": 5`, "account.chairs", "unknown_trait", "is not in the plan"},
		"group trait's type":  {`"seats": 5`, `"seats": "many"`, "account.seats", "type", "is of type string, not integer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, report, c.old)
			v := referencePlan(t).Check(parse(t, strings.Replace(report, c.old, c.new, 1)))
			var found []check.Violation
			for _, x := range v.Violations {
				if x.Property == c.property && x.Rule == c.rule {
					found = append(found, x)
				}
			}
			require.Lenf(t, found, 1, "%v", v.Violations)
			require.Contains(t, found[0].Reason, c.reason)
			require.True(t, v.Held())
		})
	}
}

func TestEveryModeHasItsConsequence(t *testing.T) {
	t.Parallel()
	broken := strings.Replace(report, `"pages": 3`, `"page": 3, "paper": "A4"`, 1)
	for m, c := range map[check.Mode]struct {
		held   bool
		reason string
	}{
		check.Observe:    {false, ""},
		check.Quarantine: {true, "plan quarantine: report_created: page is not in the plan (and 1 more)"},
		check.Enforce:    {true, "plan: report_created: page is not in the plan (and 1 more)"},
	} {
		v := referencePlan(t, mode("report_created", m)).Check(parse(t, broken))
		require.Equal(t, m, v.Mode)
		require.Equal(t, c.held, v.Held(), m)
		require.Equal(t, c.reason, v.Reason())
		require.Len(t, v.Violations, 2)
	}
}

// TestAnOldPlanIsNotTheSendersFault: a newer version is kept for the newer plan.
func TestAnOldPlanIsNotTheSendersFault(t *testing.T) {
	t.Parallel()
	newer := strings.Replace(report, `"2.1"`, `"2.2"`, 1)
	require.Equal(t, check.Quarantine, referencePlan(t).Check(parse(t, newer)).Mode)
	require.Equal(t, check.Observe, referencePlan(t, mode("report_created", check.Observe)).Check(parse(t, newer)).Mode)
	unknown := strings.Replace(report, `"report_created"`, `"report_shredded"`, 1)
	require.Equal(t, check.Quarantine, referencePlan(t).Check(parse(t, unknown)).Mode)
	require.Equal(t, "plan quarantine: report_shredded: is no event of the plan; is the name right, and the plan file the newest?",
		referencePlan(t).Check(parse(t, unknown)).Reason())
}

// TestOldVersionsAreCheckedAgainstTheirOwnMajor: a bundle enqueued before the release
// of 2.0 is delivered by what 1.0 said.
func TestOldVersionsAreCheckedAgainstTheirOwnMajor(t *testing.T) {
	t.Parallel()
	p := referencePlan(t)
	old := `{"key": "report_created:r", "user_id": "u", "groups": [{"type": "account", "id": "a"}], "track": {"event": "report_created", "version": %s, "properties": {"report_id": "r"}}}`
	v := p.Check(parse(t, strings.Replace(old, "%s", `"1.0"`, 1)))
	require.Empty(t, v.Violations)
	v = p.Check(parse(t, strings.Replace(old, "%s", `"2.0"`, 1)))
	require.NotEmpty(t, v.Violations, "2.0 wants a type and a workspace")
	v = p.Check(parse(t, strings.Replace(old, "%s", `null`, 1)))
	require.NotEmpty(t, v.Violations, "without a version it is the newest")
}

func TestEveryNameLeadsToTheOneAtAmplitude(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"report_created": "report_created", "Report_Created": "report_created",
		"page_viewed": "Page Viewed", "Page Viewed": "Page Viewed",
	} {
		b := parse(t, strings.Replace(report, `"event": "report_created", "version": "2.1"`, `"event": "`+given+`"`, 1))
		_ = referencePlan(t).Check(b)
		require.Equal(t, want, b.Track.Event)
	}
}

// TestActionKeysAreMadeAlike: what Go, a trigger and any other sender make of one action
// is one key.
func TestActionKeysAreMadeAlike(t *testing.T) {
	t.Parallel()
	done := `{"key": "KEY", "user_id": "u", "groups": [{"type": "account", "id": "a"}, {"type": "workspace", "id": "w", "parent": "a"}, {"type": "project", "id": "p:1", "parent": "w"}],
		"track": {"event": "task_completed", "version": "1.0", "properties": {"phone": "k1_0123456789abcdef0123456789abcdef", "attempt": 7, "done_at": "2026-11-22T11:00:00+01:00", "kind": "a%b", "labels": []}}}`
	for key, fine := range map[string]bool{
		"task_completed:p%3A1:k1_0123456789abcdef0123456789abcdef:7:2026-11-22T10%3A00%3A00Z:a%25b":        true,
		"task_completed:p:1:k1_0123456789abcdef0123456789abcdef:7:2026-11-22T10:00:00Z:a%b":                false,
		"task_completed:p%3A1:k1_0123456789abcdef0123456789abcdef:7:2026-11-22T11%3A00%3A00+01%3A00:a%25b": false,
		"something:else": false,
	} {
		v := referencePlan(t).Check(parse(t, strings.Replace(done, "KEY", key, 1)))
		require.Equalf(t, fine, len(v.Violations) == 0, "%s %v", key, v.Violations)
	}
	paid := `{"key": "anything", "user_id": "u", "groups": [{"type": "account", "id": "a"}],
		"track": {"event": "payment_succeeded", "version": "1.0", "properties": {"amount": 1.5, "currency": "EUR"}, "revenue": {"amount": 1.5, "currency": "EUR"}}}`
	require.Empty(t, referencePlan(t).Check(parse(t, paid)).Violations, "what names the payment stayed home")
	old := strings.Replace(report, `"event": "report_created"`, `"event": "Report_Created"`, 1)
	require.Empty(t, referencePlan(t).Check(parse(t, strings.Replace(old, "report_created:r_1", "report:r_1", 1))).Violations, "an old name comes with old keys")
}

func TestClientsSendFromTheirPlatforms(t *testing.T) {
	t.Parallel()
	viewed := `{"key": "k", "device_id": "d", "source": "client", "context": {"platform": "PLATFORM"}, "track": {"event": "Page Viewed", "version": "1.0"}}`
	require.Empty(t, referencePlan(t).Check(parse(t, strings.Replace(viewed, "PLATFORM", "ios", 1))).Violations)
	require.Equal(t, []check.Violation{{"context.platform", "platform", "is none of ios, android"}},
		referencePlan(t).Check(parse(t, strings.Replace(viewed, "PLATFORM", "web", 1))).Violations)
	require.Len(t, referencePlan(t).Check(parse(t, strings.Replace(viewed, `"context": {"platform": "PLATFORM"}, `, "", 1))).Violations, 1)
	require.Len(t, referencePlan(t).Check(parse(t, strings.Replace(viewed, `"client"`, `"server"`, 1))).Violations, 1)
}

func TestRevenueThatThePlanPromises(t *testing.T) {
	t.Parallel()
	paid := `{"key": "k", "user_id": "u", "groups": [{"type": "account", "id": "a"}],
		"track": {"event": "payment_succeeded", "version": "1.0", "properties": {"amount": 1.5, "currency": "EUR"}, "revenue": {"amount": 1.5, "currency": "EUR"}}}`
	require.Empty(t, referencePlan(t).Check(parse(t, paid)).Violations)
	v := referencePlan(t).Check(parse(t, strings.Replace(paid, `, "revenue": {"amount": 1.5, "currency": "EUR"}`, "", 1)))
	require.Equal(t, []check.Violation{{"revenue", "revenue", "is missing"}}, v.Violations)
}

// TestWhatStaysHome: a property that only names the action is no violation, and is not
// sent either.
func TestWhatStaysHome(t *testing.T) {
	t.Parallel()
	b := parse(t, `{"key": "payment_succeeded:pay_1", "user_id": "u", "groups": [{"type": "account", "id": "a"}],
		"track": {"event": "payment_succeeded", "version": "1.0", "properties": {"payment_id": "pay_1", "amount": 1.50, "currency": "EUR"}, "revenue": {"amount": 1.5, "currency": "EUR"}}}`)
	require.Empty(t, referencePlan(t).Check(b).Violations)
	require.Contains(t, string(b.Track.Properties), `"amount":1.50,"currency"`, "numbers as they came")
	require.NotContains(t, string(b.Track.Properties), "payment_id")
}

// TestDeniedNamesAreNeverSent, not even where the plan only observes.
func TestDeniedNamesAreNeverSent(t *testing.T) {
	t.Parallel()
	denied := strings.NewReplacer(
		`"pages": 3`, `"pages": 3, "billing_email": "canary@example.com", "Password": "canary"`,
		`"primary_channel": "web_app"`, `"primary_channel": "web_app", "last_name": "Canary"`,
		`"seats": 5`, `"seats": 5, "iban": "canary"`,
	).Replace(report)
	b := parse(t, denied)
	v := referencePlan(t, mode("report_created", check.Observe)).Check(b)
	require.False(t, v.Held())
	var rules []string
	for _, x := range v.Violations {
		if x.Rule == "denied" {
			rules = append(rules, x.Property)
		}
	}
	require.Equal(t, []string{"Password", "account.iban", "billing_email", "user.last_name"}, rules)
	text, err := json.Marshal(b)
	require.NoError(t, err)
	require.NotContains(t, strings.ToLower(string(text)), "canary")
	require.Contains(t, string(text), "web_app")
}

// TestAPersonalTraitThatIsPlannedIsSent: the policy allowed it when the plan was made.
func TestAPersonalTraitThatIsPlannedIsSent(t *testing.T) {
	t.Parallel()
	b := parse(t, strings.Replace(report, `"primary_channel": "web_app"`, `"email": "a@example.com"`, 1))
	require.Empty(t, referencePlan(t).Check(b).Violations)
	require.NotNil(t, b.Identify.Set.Get("email"))
}

func TestTraitsAloneAreQuarantined(t *testing.T) {
	t.Parallel()
	p := referencePlan(t)
	require.Empty(t, p.Check(parse(t, `{"key": "k", "user_id": "u", "identify": {"set": {"topics": ["a"]}}}`)).Violations)
	v := p.Check(parse(t, `{"key": "k", "user_id": "u", "identify": {"set": {"topic": "a"}}}`))
	require.Equal(t, "plan quarantine: user.topic is not in the plan", v.Reason())
}

func TestNoViolationHoldsAValue(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f1c"
	broken := strings.NewReplacer(
		`"r_1", "report_type": "custom", "pages": 3`, `["`+canary+`"], "report_type": "`+canary+`", "pages": "`+canary+`", "note_kind": "`+canary+canary+`", "due_at": "`+canary+`", "assignee_ref": "`+canary+`", "tags": ["`+canary+`"], "score": 987654321`,
		`"web_app"`, `"`+canary+`"`, `"seats": 5`, `"seats": "`+canary+`"`, `"2026-01-01T00:00:00Z"`, `"`+canary+`"`,
		`"u_1"`, `"`+canary+`"`, `"report_created:r_1"`, `"`+canary+`"`, `"acc_1"`, `"`+canary+`"`,
	).Replace(report)
	v := referencePlan(t).Check(parse(t, broken))
	require.GreaterOrEqual(t, len(v.Violations), 10)
	for _, x := range v.Violations {
		require.NotContains(t, x.Property+x.Reason, canary)
		require.NotContains(t, x.Reason, "987654321")
	}
	require.NotContains(t, v.Reason(), canary)
}

func TestAStrangeNameIsNotRepeatedWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 500)
	v := referencePlan(t).Check(parse(t, `{"key": "k", "user_id": "u", "track": {"event": "`+long+`", "version": "`+long+`"}}`))
	require.Len(t, []rune(v.Event), 101)
	require.Len(t, []rune(v.Version), 101)
	require.Less(t, len(v.Reason()), 300)
}

func TestOneBundleIsToldAtMostTwentyThings(t *testing.T) {
	t.Parallel()
	var more strings.Builder
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		more.WriteString(`, "x_` + string(c) + `": 1`)
	}
	v := referencePlan(t).Check(parse(t, strings.Replace(report, `"pages": 3`, `"pages": 3`+more.String(), 1)))
	require.Len(t, v.Violations, 20)
}

func sampled(rate float64, delivery string) func(*compiled.Plan) {
	return func(p *compiled.Plan) {
		for i := range p.Events {
			p.Events[i].SampleRate, p.Events[i].Delivery = rate, delivery
		}
	}
}

func TestSamplingIsByActionKey(t *testing.T) {
	t.Parallel()
	quarter, half := referencePlan(t, sampled(0.25, "best_effort")), referencePlan(t, sampled(0.5, "best_effort"))
	kept := 0
	const actions = 4000
	for i := range actions {
		searched := fmt.Sprintf(`{"key": "search_performed:s_%d", "user_id": "u", "track": {"event": "search_performed", "version": "1.0", "properties": {"search_id": "s_%[1]d"}}}`, i)
		v := quarter.Check(parse(t, searched))
		require.Equal(t, v, quarter.Check(parse(t, searched)), "the same action has the same fate")
		if !v.Sampled {
			kept++
			require.False(t, half.Check(parse(t, searched)).Sampled, "a larger share holds the smaller")
		}
	}
	require.InDelta(t, 0.25, float64(kept)/actions, 0.03)
	v := referencePlan(t, sampled(0.0001, "strict")).Check(parse(t, report))
	require.False(t, v.Sampled, "what is strict is never left out")
}

func TestAPlanThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	good := compiled.Event{Name: "a_done", AmplitudeName: "a_done", Version: "1.0", Mode: "enforce", Schema: json.RawMessage(`{"type": "object"}`)}
	for want, change := range map[string]func(*compiled.Event){
		"event a_done one: its version is not MAJOR.MINOR":         func(e *compiled.Event) { e.Version = "one" },
		"event a_done 1.0: it has no name, or none at Amplitude":   func(e *compiled.Event) { e.AmplitudeName = "" },
		"event a_done 1.0: its mode is none of":                    func(e *compiled.Event) { e.Mode = "panic" },
		"event a_done 1.0: its schema is no JSON":                  func(e *compiled.Event) { e.Schema = nil },
		"event a_done 1.0: its schema cannot be used":              func(e *compiled.Event) { e.Schema = json.RawMessage(`{"type": 7}`) },
		"it refers to https://example.com/x, and a plan's schemas": func(e *compiled.Event) { e.Schema = json.RawMessage(`{"$ref": "https://example.com/x"}`) },
		`event b_done 1.0: "a_done" is a name of a_done too`:       nil,
		"trait t of user: its schema is no JSON":                   nil,
	} {
		e := good
		p := compiled.Plan{Events: []compiled.Event{e}}
		switch {
		case change != nil:
			change(&e)
			p.Events[0] = e
		case strings.HasPrefix(want, "trait"):
			p.Traits = []compiled.Trait{{Subject: "user", Name: "t"}}
		default:
			e.Name, e.Aliases = "b_done", []string{"a_done"}
			p.Events = append(p.Events, e)
		}
		_, err := check.New(p, "plan.json")
		require.ErrorContains(t, err, want)
	}
}

func TestTheStampIsWhatAmplitudeReads(t *testing.T) {
	t.Parallel()
	p := referencePlan(t)
	require.JSONEq(t, `{"branch": "main", "source": "reference", "version": "1.0"}`, string(p.Stamp()))
	require.Equal(t, "reference 1.0", p.String())
}

// BenchmarkCheck is what a bundle of usual size costs a worker that has a plan. The
// budget is 10 µs.
func BenchmarkCheck(b *testing.B) {
	p := referencePlan(b)
	one := parse(b, report)
	b.ReportAllocs()
	for b.Loop() {
		if v := p.Check(one); v.Held() {
			b.Fatal(v.Reason())
		}
	}
}
