package plan_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"waybill/internal/plan"
)

const planYAML = `name: shop
version: "1.0"
owners: [team-a]
categories:
  core: {description: What it is for.}
groups:
  account: {description: A customer.}
  workspace: {parent: account, description: A team.}
enums:
  channel: [web, mail]
`

const eventsYAML = `events:
  - name: report_created
    version: "1.10"
    status: live
    description: A user created a report.
    category: core
    owner: team-a
    group_level: workspace
    sources: [server, client]
    platforms: [web]
    delivery: best_effort
    mode: observe
    action_key: [report_id]
    aliases: [Report_Created]
    sample_rate: 0.25
    expires: 2027-01-01
    accept:
      past-tense: because
    properties:
      report_id: {type: id, required: true, max_length: 64}
      channel: {type: string, enum: channel}
      kind: {type: string, enum: [a, b]}
      count: {type: integer, min: 0, max: 10}
      tags: {type: list}
      phone: {type: string, pii: id}
`

func files(more map[string]string) fstest.MapFS {
	system := fstest.MapFS{
		"plan/plan.yaml":        {Data: []byte(planYAML)},
		"plan/events/core.yaml": {Data: []byte(eventsYAML)},
	}
	for name, text := range more {
		system[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return system
}

func TestLoadReadsEverything(t *testing.T) {
	t.Parallel()
	p, problems := plan.Load(files(map[string]string{
		"plan/traits/user.yaml": "subject: user\ntraits:\n  visits: {type: integer, update: increment, description: So far.}\n",
		"plan/events/.hidden":   "not: read",
	}), "plan")
	require.Empty(t, problems)
	require.Equal(t, "shop", p.Name)
	require.Equal(t, "events", p.GoPackage)
	require.Equal(t, plan.PIINone, p.PIIPolicy)
	require.Equal(t, []plan.Group{{Type: "account"}, {Type: "workspace"}}, bare(p.Chain("workspace")))

	require.Len(t, p.Events, 1)
	e := p.Events[0]
	require.Equal(t, "plan/events/core.yaml:2", e.Pos.String())
	require.Equal(t, "core", e.Domain)
	require.Equal(t, plan.Version{Major: 1, Minor: 10}, e.Version)
	require.Equal(t, []plan.Source{plan.Server, plan.Client}, e.Sources)
	require.Equal(t, plan.BestEffort, e.Delivery)
	require.Equal(t, plan.Observe, e.Mode)
	require.Equal(t, "2027-01-01", e.Expires)
	require.InDelta(t, 0.25, e.SampleRate, 0)
	require.True(t, e.Accepts("past-tense"))

	var names []string
	for _, property := range e.Properties {
		names = append(names, property.Name)
	}
	require.Equal(t, []string{"report_id", "channel", "kind", "count", "tags", "phone"}, names, "in the order of the file")
	id, _ := e.Property("report_id")
	require.Equal(t, "report", id.Of)
	require.Equal(t, 20, id.Pos.Line)
	require.True(t, id.Send)
	channel, _ := e.Property("channel")
	require.Equal(t, []string{"web", "mail"}, channel.Enum.Values)
	require.Zero(t, channel.MaxLength, "an enum needs no limit")
	kind, _ := e.Property("kind")
	require.Equal(t, "kind", kind.Enum.Name)
	tags, _ := e.Property("tags")
	require.Equal(t, plan.DefaultMaxItems, tags.MaxItems)
	require.Equal(t, plan.Increment, p.TraitsOf("user")[0].Update)
}

func bare(groups []plan.Group) []plan.Group {
	for i := range groups {
		groups[i] = plan.Group{Type: groups[i].Type}
	}
	return groups
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	p, problems := plan.Load(files(map[string]string{
		"plan/events/core.yaml": "events:\n  - {name: a_done, version: \"1.0\", description: x, category: core, owner: team-a}\n",
	}), "plan")
	require.Empty(t, problems)
	e := p.Events[0]
	require.Equal(t, plan.Planned, e.Status)
	require.Equal(t, plan.Strict, e.Delivery)
	require.Equal(t, plan.Enforce, e.Mode)
	require.Equal(t, []plan.Source{plan.Server}, e.Sources)
	require.Equal(t, "a_done", e.WireName())
	require.InDelta(t, 1, e.SampleRate, 0)
}

// TestBadInput: each fault is one message that names the place and the fix.
func TestBadInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, text string // replaces one file
		old, new   string // or edits events/core.yaml
		want       string
	}{
		"malformed YAML": {
			old: "    version: ", new: "   version: ",
			want: "plan/events/core.yaml:1: is no YAML: did not find expected '-' indicator; mind indentation, colons and quotes",
		},
		"tab":               {old: "    version", new: "\tversion", want: "plan/events/core.yaml:2: is no YAML: found a tab character that violates indentation; mind indentation, colons and quotes"},
		"unknown field":     {old: "owner: team-a", new: "ownr: team-a", want: "plan/events/core.yaml:2: an event has no owner; add owner:\nplan/events/core.yaml:7: an event has no field \"ownr\"; did you mean \"owner\"?"},
		"unknown property":  {old: "max_length: 64", new: "length: 64", want: `plan/events/core.yaml:20: a property has no field "length"; remove it; known are type, of, max_length, max_items, min, max, pii, description, required, send, enum`},
		"field given twice": {old: "category: core", new: "owner: team-b", want: "plan/events/core.yaml:2: an event has no category; add category:\nplan/events/core.yaml:7: \"owner\" stands here twice, first in line 6; keep one"},
		"property twice":    {old: "      kind:", new: "      channel:", want: `plan/events/core.yaml:22: "channel" stands here twice, first in line 21; keep one`},
		"unknown status":    {old: "status: live", new: "status: alive", want: `plan/events/core.yaml:4: status "alive" is unknown; use planned, ready, live, deprecated or removed`},
		"unknown type":      {old: "type: integer", new: "type: int", want: `plan/events/core.yaml:23: type "int" is unknown; use string, integer, number, boolean, id, timestamp or list`},
		"type left out":     {old: "{type: list}", new: "{max_items: 3}", want: "plan/events/core.yaml:24: tags has no type; add type: string, or another"},
		"unknown source":    {old: "[server, client]", new: "[server, browser]", want: `plan/events/core.yaml:9: source "browser" is unknown; use server or client`},
		"unknown enum":      {old: "enum: channel", new: "enum: chanel", want: `plan/events/core.yaml:21: enum "chanel" is not declared; list it under enums: in plan.yaml, or write the values here`},
		"version as number": {old: `"1.10"`, new: "1.10", want: `plan/events/core.yaml:3: version is not text in quotes, such as "1.0"; write text in quotes, such as "1.0"`},
		"version of three":  {old: `"1.10"`, new: `"1.1.0"`, want: `plan/events/core.yaml:3: version "1.1.0" is not MAJOR.MINOR; write version: "1.0"`},
		"version from zero": {old: `"1.10"`, new: `"0.1"`, want: `plan/events/core.yaml:3: version "0.1" is not MAJOR.MINOR; write version: "1.0"`},
		"limit as text":     {old: "max_length: 64", new: "max_length: many", want: "plan/events/core.yaml:20: max_length is not a number; write a number"},
		"limit of nothing":  {old: "max_length: 64", new: "max_length: 0", want: "plan/events/core.yaml:20: max_length is not a whole number from 1; write one, such as 64"},
		"limit out of bounds": {
			old: "max: 10", new: "max: .inf", want: "plan/events/core.yaml:23: max is not a number; write a number",
		},
		"required as text":   {old: "required: true", new: "required: maybe", want: "plan/events/core.yaml:20: required is not true or false; write true or false"},
		"key as mapping":     {old: "action_key: [report_id]", new: "action_key: {a: b}", want: "plan/events/core.yaml:13: action_key is not a list; write action_key: [a, b]"},
		"description a list": {old: "description: A user created a report.", new: "description: [a]", want: "plan/events/core.yaml:5: description is not text; write text"},
		"events no list":     {file: "plan/events/core.yaml", text: "events: {name: a}\n", want: "plan/events/core.yaml:1: events is not a list; begin each entry with a dash"},
		"event no mapping":   {file: "plan/events/core.yaml", text: "events: [a]\n", want: "plan/events/core.yaml:1: an event is not a mapping; write it as name: value lines"},
		"empty file":         {file: "plan/events/core.yaml", text: "", want: "plan/events/core.yaml: is empty; fill or delete it"},
		"two documents":      {file: "plan/events/core.yaml", text: "events: []\n---\nevents: []\n", want: "plan/events/core.yaml:2: is a second document; keep one a file"},
		"other ending":       {file: "plan/events/more.yml", text: "events: []\n", want: "plan/events/more.yml: is not read; name it *.yaml, in no folder of its own, or move it elsewhere"},
		"broken naming":      {file: "plan/plan.yaml", text: planYAML + "naming: '['\n", want: "plan/plan.yaml:11: naming is no regular expression: error parsing regexp: missing closing ]: `[`; write one, such as ^[a-z][a-z0-9]*(_[a-z0-9]+)+$"},
		"package elsewhere":  {file: "plan/plan.yaml", text: planYAML + "go_package: ../other\n", want: "plan/plan.yaml:1: go_package leads out of the application; name a folder inside it, such as events"},
		"trait of nobody":    {file: "plan/traits/user.yaml", text: "traits: {}\n", want: "plan/traits/user.yaml:1: a traits file has no subject; add subject:"},
		"too large":          {file: "plan/events/more.yaml", text: strings.Repeat("# long\n", 1<<20), want: "plan/events/more.yaml: is larger than 4 MB; split it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.file == "" {
				c.file, c.text = "plan/events/core.yaml", strings.Replace(eventsYAML, c.old, c.new, 1)
				require.NotEqual(t, eventsYAML, c.text, "the edit does nothing")
			}
			_, problems := plan.Load(files(map[string]string{c.file: c.text}), "plan")
			require.ElementsMatch(t, strings.Split(c.want, "\n"), strings.Split(problems.String(), "\n"))
		})
	}
}

func TestWithoutAPlan(t *testing.T) {
	t.Parallel()
	_, problems := plan.Load(os.DirFS(t.TempDir()), "plan")
	require.Equal(t, "plan/plan.yaml: cannot be read: no such file or directory; run in the application's root, or say where the plan is with --plan", problems.String())
}

func TestAnchorsAreFollowed(t *testing.T) {
	t.Parallel()
	p, problems := plan.Load(files(map[string]string{"plan/events/core.yaml": `events:
  - name: a_done
    version: "1.0"
    description: x
    category: core
    owner: team-a
    properties:
      first_id: &id {type: id, of: thing}
      second_id: *id
`}), "plan")
	require.Empty(t, problems)
	second, _ := p.Events[0].Property("second_id")
	require.Equal(t, "thing", second.Of)
}

func TestAPlanThatEatsItselfIsRefused(t *testing.T) {
	t.Parallel()
	_, problems := plan.Load(files(map[string]string{"plan/events/core.yaml": "events: &a [*a]\n"}), "plan")
	require.NotEmpty(t, problems)
}

func FuzzLoad(f *testing.F) {
	f.Add(eventsYAML)
	f.Add("events: &a [*a]")
	f.Add("{a: [b, *c]}")
	f.Add("events:\n - &x {name: *x}")
	f.Fuzz(func(t *testing.T, text string) {
		p, _ := plan.Load(files(map[string]string{"plan/events/core.yaml": text}), "plan")
		require.NotNil(t, p)
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1.0", "2.13", "10.0"} {
		v, err := plan.ParseVersion(text)
		require.NoError(t, err)
		require.Equal(t, text, v.String())
	}
	for _, text := range []string{"", "1", "1.", ".1", "01.0", "1.00", "-1.0", "1.-1", "0.9", "1.0.0", "a.b", "+1.0", " 1.0"} {
		_, err := plan.ParseVersion(text)
		require.Error(t, err, text)
	}
	require.True(t, plan.Version{Major: 1, Minor: 9}.Less(plan.Version{Major: 1, Minor: 10}))
	require.True(t, plan.Version{Major: 1, Minor: 9}.Less(plan.Version{Major: 2}))
	require.False(t, plan.Version{Major: 1}.Less(plan.Version{Major: 1}))
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"owner", "ownr", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		require.Equal(t, c.want, plan.Distance(c.a, c.b), fmt.Sprint(c))
		require.Equal(t, c.want, plan.Distance(c.b, c.a), fmt.Sprint(c))
	}
}
