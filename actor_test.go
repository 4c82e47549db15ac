package waybill

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// sentBundle tracks one event of actor and returns the stored form.
func sentBundle(t *testing.T, actor Actor) string {
	t.Helper()
	client, db := testClient(Config{})
	_, err := client.Track(t.Context(), fakeTx{}, actor, Event{Name: "A", Key: "k"})
	require.NoError(t, err)
	return string(db.sent(t)[0])
}

func TestGroupsFormAHierarchy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		actor Actor
		want  string
	}{
		"each under the one before": {
			User("42").In(Account("a"), Workspace("w"), Project("p")),
			`[{"type":"account","id":"a"},{"type":"workspace","id":"w","parent":"a"},{"type":"project","id":"p","parent":"w"}]`,
		},
		"in two steps": {
			User("42").In(Account("a")).In(Workspace("w")),
			`[{"type":"account","id":"a"},{"type":"workspace","id":"w","parent":"a"}]`,
		},
		"under an earlier one": {
			User("42").In(Account("a"), Workspace("w"), InGroup("team", "t").Under("a")),
			`[{"type":"account","id":"a"},{"type":"workspace","id":"w","parent":"a"},{"type":"team","id":"t","parent":"a"}]`,
		},
		"a root of its own": {
			User("42").In(Account("a"), InGroup("partner", "p").Under("")),
			`[{"type":"account","id":"a"},{"type":"partner","id":"p"}]`,
		},
		"with traits": {
			User("42").In(Account("a", Set("name", "Acme"), Set("seats", 1), Set("seats", 2))),
			`[{"type":"account","id":"a","set":{"name":"Acme","seats":2}}]`,
		},
	} {
		var sent struct{ Groups json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(sentBundle(t, tc.actor)), &sent), name)
		require.JSONEq(t, tc.want, string(sent.Groups), name)
	}
}

func TestGroupMistakesAreRejected(t *testing.T) {
	t.Parallel()
	for want, actor := range map[string]Actor{
		"groups[1].id: is missing; give the id of the workspace":    User("42").In(Account("a"), Workspace("")),
		"groups[1].type: stands twice":                              User("42").In(Account("a"), Account("b")),
		"groups[1].parent: is not the id of an earlier group":       User("42").In(Account("a"), Workspace("w").Under("b")),
		"groups[0].set.group_type: is set from the hierarchy":       User("42").In(Account("a", Set("group_type", "x"))),
		"groups[1].set.f: holds a Go func(), which has no JSON":     User("42").In(Account("a"), Workspace("w", Set("f", func() {}))),
		"identify.set_once.plan: is changed in two ways at once":    User("42").With(Set("plan", 1), SetOnce("plan", 2)),
		"increment.n: stands twice; add the two up":                 User("42").With(Increment("n", 1), Increment("n", 2)),
		"increment.n: is not a finite number":                       User("42").With(Increment("n", nan())),
		"user_id: is one of the ids Amplitude refuses":              User("null"),
		"context.session_id: is negative":                           User("42").Via(Context{SessionID: -5}),
		"source: is neither server nor client":                      User("42").Via(Context{Source: "mobile"}),
		"device_id: is one of the ids Amplitude refuses":            User("42").OnDevice("unknown"),
		"identify.set.$name: starts with $":                         User("42").With(Set("$name", "x")),
		"identify.unset: holds an empty name":                       User("42").With(Unset("")),
		"identify.set.big: is an integer beyond 2^53, which loses":  User("42").With(Set("big", 1<<60)),
		`identify.set["a b"]: holds NaN, an infinity or a cycle`:    User("42").With(Set("a b", nan())),
		"increment.m: is not a finite number within 2^53; correct":  User("42").With(Increment("m", 1<<54)),
		"groups: are more than five, the group types of an Amplit":  User("42").In(make([]Group, 6)...),
		"groups[0].type: is not a group type; use a-z, 0-9 and _":   User("42").In(InGroup("Team", "x")),
		"context.platform: holds a control character; remove it":    User("42").Via(Context{Platform: "a\nb"}),
		"user_id: starts or ends with a space; trim it":             System("nightly "),
		"device_id: holds a control character; remove it":           Device("a\x00"),
		"user_id: is not valid UTF-8; send text":                    User("\xff"),
		"groups[0].id: is not valid UTF-8; send text":               User("42").In(Account("\xff")),
		"groups[0].type: is taken by another part of the bundle":    User("42").In(InGroup("track", "x")),
		"identify.unset.a: is changed in two ways at once; keep on": User("42").With(Unset("a"), Unset("a")),
	} {
		client, db := testClient(Config{})
		_, err := client.Track(t.Context(), fakeTx{}, actor, Event{Name: "A", Key: "k"})
		require.ErrorContains(t, err, `event 0 "k": `+want)
		require.Empty(t, db.calls)
	}
}

// An actor made at log-in is narrowed by many requests at a time.
func TestActorsAreValues(t *testing.T) {
	t.Parallel()
	base := User("42").With(Set("plan", "pro")).With(Set("a", 0)).With(Set("b", 0)).In(Account("acc")).In(InGroup("x", "x")).In(InGroup("y", "y").Under("acc"))
	before := sentBundle(t, base)

	one := base.With(Set("a", 1)).In(Workspace("w1"))
	two := base.With(Set("b", 2)).In(Workspace("w2")).OnDevice("d").Via(Context{Platform: "web"})

	require.Equal(t, before, sentBundle(t, base))
	require.JSONEq(t, `{"v":1,"key":"k","user_id":"42","identify":{"set":{"plan":"pro","a":1,"b":0}},
		"groups":[{"type":"account","id":"acc"},{"type":"x","id":"x","parent":"acc"},{"type":"y","id":"y","parent":"acc"},{"type":"workspace","id":"w1","parent":"y"}],"track":{"event":"A"},"source":"server"}`, sentBundle(t, one))
	require.JSONEq(t, `{"v":1,"key":"k","user_id":"42","device_id":"d","identify":{"set":{"plan":"pro","a":0,"b":2}},
		"groups":[{"type":"account","id":"acc"},{"type":"x","id":"x","parent":"acc"},{"type":"y","id":"y","parent":"acc"},{"type":"workspace","id":"w2","parent":"y"}],"track":{"event":"A"},"context":{"platform":"web"},"source":"server"}`, sentBundle(t, two))
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}
