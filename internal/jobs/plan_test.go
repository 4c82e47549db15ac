package jobs

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// told plans bundles in one request, has it accepted, and returns what it says: an event
// a line, by its type, with what it changes.
func told(t *testing.T, base map[identity]*profile, now time.Time, items ...*item) string {
	t.Helper()
	p := newPlanner("w", now, base)
	lines := say(t, p, items...)
	p.accepted()
	return lines
}

func say(t *testing.T, p *planner, items ...*item) string {
	t.Helper()
	var lines []string
	for _, it := range items {
		for _, raw := range p.add(it) {
			e := decodeEvent(t, raw)
			line := e.EventType
			for _, changes := range []map[string]json.RawMessage{e.UserProperties, e.GroupProperties} {
				for _, name := range slices.Sorted(maps.Keys(changes)) {
					line += " " + name + "=" + strings.ReplaceAll(string(changes[name]), `"`, "")
				}
			}
			if e.SkipSync {
				line += " detached"
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestTraits(t *testing.T) {
	t.Parallel()
	type sent struct {
		second int
		bundle string
		says   string
	}
	for name, bundles := range map[string][]sent{
		"a new trait is told, a known one stays home": {
			{1, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`, `$identify $set={plan:pro}`},
			{2, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`, ``},
			{3, `{"user_id":"u","identify":{"set":{"plan":"pro","city":"Ulm"}}}`, `$identify $set={city:Ulm}`},
		},
		"a set beside an event travels in the event": {
			{1, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"track":{"event":"E"}}`, `E plan=pro`},
			{2, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"track":{"event":"E"}}`, `E`},
		},
		"whatever cannot, goes before it": {
			{1, `{"user_id":"u","identify":{"set":{"plan":"pro"},"set_once":{"since":1}},"track":{"event":"E"}}`, "$identify $set={plan:pro} $setOnce={since:1}\nE"},
			{2, `{"user_id":"u","identify":{"set":{"plan":"max"},"unset":["trial"]},"track":{"event":"E"}}`, "$identify $set={plan:max} $unset={trial:-}\nE"},
		},
		"what is already so needs no operator any more": {
			{1, `{"user_id":"u","identify":{"set_once":{"since":1},"unset":["trial"]}}`, `$identify $setOnce={since:1} $unset={trial:-}`},
			{2, `{"user_id":"u","identify":{"set":{"plan":"pro"},"set_once":{"since":2},"unset":["trial"]},"track":{"event":"E"}}`, `E plan=pro`},
		},
		"an older value is held back, and its event carries it apart": {
			{5, `{"user_id":"u","identify":{"set":{"plan":"pro","city":"Ulm"}}}`, `$identify $set={city:Ulm,plan:pro}`},
			{4, `{"user_id":"u","identify":{"set":{"plan":"free"}},"track":{"event":"E"}}`, `E city=Ulm plan=free detached`},
			{3, `{"user_id":"u","identify":{"set":{"plan":"trial"}}}`, ``},
		},
		"an older value that is equal does no harm": {
			{5, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`, `$identify $set={plan:pro}`},
			{4, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"track":{"event":"E"}}`, `E`},
		},
		"an older bundle still tells what is newest": {
			{5, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`, `$identify $set={plan:pro}`},
			{4, `{"user_id":"u","identify":{"set":{"plan":"free","city":"Bonn"}},"track":{"event":"E"}}`, "$identify $set={city:Bonn}\nE city=Bonn plan=free detached"},
		},
		"a value that stays home still moves its version on": {
			{1, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`, `$identify $set={plan:pro}`},
			{9, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`, ``},
			{5, `{"user_id":"u","identify":{"set":{"plan":"free"}}}`, ``},
		},
		"of two at the same time the one recorded later is newer": {
			{1, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`, `$identify $set={plan:pro}`},
			{1, `{"user_id":"u","identify":{"set":{"plan":"max"}}}`, `$identify $set={plan:max}`},
		},
		"an older value does not bring back what was removed": {
			{5, `{"user_id":"u","identify":{"unset":["trial"]}}`, `$identify $unset={trial:-}`},
			{4, `{"user_id":"u","identify":{"set":{"trial":1}}}`, ``},
			{6, `{"user_id":"u","identify":{"set":{"trial":1}}}`, `$identify $set={trial:1}`},
			{5, `{"user_id":"u","identify":{"unset":["trial"]},"track":{"event":"E"}}`, `E detached`},
		},
		"null is a value, and no removal": {
			{1, `{"user_id":"u","identify":{"set":{"plan":null}}}`, `$identify $set={plan:null}`},
			{2, `{"user_id":"u","identify":{"unset":["plan"]}}`, `$identify $unset={plan:-}`},
		},
		"a first value yields to any plain one, older or not": {
			{5, `{"user_id":"u","identify":{"set_once":{"via":"ad"}}}`, `$identify $setOnce={via:ad}`},
			{4, `{"user_id":"u","identify":{"set":{"via":"mail"}}}`, `$identify $set={via:mail}`},
			{6, `{"user_id":"u","identify":{"set_once":{"via":"ad"}}}`, ``},
		},
		"a plain value that equals a first one is told, because Amplitude may hold another": {
			{1, `{"user_id":"u","identify":{"set_once":{"via":"ad"}}}`, `$identify $setOnce={via:ad}`},
			{2, `{"user_id":"u","identify":{"set":{"via":"ad"}}}`, `$identify $set={via:ad}`},
		},
		"a first value stays if it came after the removal": {
			{5, `{"user_id":"u","identify":{"set_once":{"via":"ad"}}}`, `$identify $setOnce={via:ad}`},
			{4, `{"user_id":"u","identify":{"unset":["via"]}}`, ``},
			{3, `{"user_id":"u","identify":{"set":{"via":"mail"}}}`, ``},
			{6, `{"user_id":"u","identify":{"unset":["via"]}}`, `$identify $unset={via:-}`},
			{5, `{"user_id":"u","identify":{"set_once":{"via":"ad"}}}`, ``},
		},
		"a first value after a removal is set outright": {
			{1, `{"user_id":"u","identify":{"unset":["via"]}}`, `$identify $unset={via:-}`},
			{2, `{"user_id":"u","identify":{"set_once":{"via":"ad"}}}`, `$identify $set={via:ad}`},
			{3, `{"user_id":"u","identify":{"set_once":{"via":"mail"}}}`, ``},
		},
		"a first value is not shown as the user's": {
			{5, `{"user_id":"u","identify":{"set":{"plan":"pro"},"set_once":{"via":"ad"}}}`, `$identify $set={plan:pro} $setOnce={via:ad}`},
			{4, `{"user_id":"u","identify":{"set":{"plan":"free"}},"track":{"event":"E"}}`, `E plan=free detached`},
		},
		"what was removed is not shown by a late event": {
			{5, `{"user_id":"u","identify":{"set":{"plan":"pro"},"unset":["trial"]}}`, `$identify $set={plan:pro} $unset={trial:-}`},
			{4, `{"user_id":"u","identify":{"set":{"plan":"free"}},"track":{"event":"E"}}`, `E plan=free detached`},
		},
		"a counter is told as its sum": {
			{1, `{"user_id":"u","increment":{"orders":2}}`, `$identify $set={orders:2}`},
			{2, `{"user_id":"u","increment":{"orders":-5},"track":{"event":"E"}}`, `E orders=-3`},
			{0, `{"user_id":"u","increment":{"orders":1}}`, `$identify $set={orders:-2}`},
		},
		"a late event shows the sum too": {
			{5, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"increment":{"orders":2}}`, `$identify $set={orders:2,plan:pro}`},
			{4, `{"user_id":"u","identify":{"set":{"plan":"free"}},"track":{"event":"E"}}`, `E orders=2 plan=free detached`},
		},
		"a trait that is also counted never stays home": {
			{1, `{"user_id":"u","identify":{"set":{"orders":0}}}`, `$identify $set={orders:0}`},
			{2, `{"user_id":"u","increment":{"orders":1}}`, `$identify $set={orders:1}`},
			{3, `{"user_id":"u","identify":{"set":{"orders":0}}}`, `$identify $set={orders:0}`},
		},
		"users and devices are strangers": {
			{1, `{"user_id":"x","identify":{"set":{"plan":"pro"}}}`, `$identify $set={plan:pro}`},
			{2, `{"device_id":"x","identify":{"set":{"plan":"pro"}}}`, `$identify $set={plan:pro}`},
			{3, `{"user_id":"x","device_id":"x","identify":{"set":{"plan":"pro"}}}`, ``},
		},
		"a group says what it is and where it stands, once": {
			{1, `{"user_id":"u","groups":[{"type":"account","id":"a"},{"type":"team","id":"t","parent":"a","set":{"name":"T"}}]}`,
				"$groupidentify $set={group_type:account}\n$groupidentify $set={group_type:team,name:T,parent_group_id:a}"},
			{2, `{"user_id":"v","groups":[{"type":"account","id":"a"},{"type":"team","id":"t","parent":"a","set":{"name":"T"}}],"track":{"event":"E"}}`, `E`},
			{3, `{"user_id":"v","groups":[{"type":"account","id":"b"},{"type":"team","id":"t","parent":"b"}]}`,
				"$groupidentify $set={group_type:account}\n$groupidentify $set={parent_group_id:b}"},
			{2, `{"user_id":"v","groups":[{"type":"account","id":"a","set":{"name":"A"}},{"type":"team","id":"t","parent":"a","set":{"name":"S"}}],"track":{"event":"E"}}`,
				"$groupidentify $set={name:A}\n$groupidentify $set={name:S}\nE"},
		},
		"a group of another type is another group": {
			{1, `{"user_id":"u","groups":[{"type":"account","id":"x"}]}`, `$groupidentify $set={group_type:account}`},
			{2, `{"user_id":"u","groups":[{"type":"team","id":"x"}]}`, `$groupidentify $set={group_type:team}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apart, together := map[identity]*profile{}, newPlanner("w", epoch, map[identity]*profile{})
			for i, b := range bundles {
				it := itemOf(t, int64(i+1), b.second, b.bundle)
				require.Equal(t, b.says, told(t, apart, epoch, it), "in a request of its own, bundle %d", i+1)
				require.Equal(t, b.says, say(t, together, it), "in one request with the others, bundle %d", i+1)
			}
		})
	}
}

func TestEverythingIsSaidAgainAfterADay(t *testing.T) {
	t.Parallel()
	base := map[identity]*profile{}
	both := `{"user_id":"u","identify":{"set":{"plan":"pro","city":"Ulm"},"unset":["trial"]}}`
	told(t, base, epoch, itemOf(t, 1, 1, both))

	day := epoch.Add(refreshAfter)
	require.Empty(t, told(t, base, day, itemOf(t, 2, 2, both)))

	day = day.Add(time.Second)
	plan := `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`
	require.Equal(t, `$identify $set={plan:pro}`, told(t, base, day, itemOf(t, 3, 3, plan)))
	require.Empty(t, told(t, base, day, itemOf(t, 4, 4, plan)), "once")

	day = day.Add(time.Hour)
	require.Equal(t, `$identify $set={city:Ulm} $unset={trial:-}`, told(t, base, day, itemOf(t, 5, 5, both)),
		"what the first bundle of the day did not hold is said by the first that does")
	require.Empty(t, told(t, base, day, itemOf(t, 6, 6, both)))

	require.Empty(t, told(t, base, day.Add(48*time.Hour), itemOf(t, 7, 0, `{"user_id":"u","identify":{"set":{"plan":"old"}}}`)), "an older value is not the newest for that")
}

func TestABundleInDoubtIsSentWithNothingElided(t *testing.T) {
	t.Parallel()
	base := map[identity]*profile{}
	it := itemOf(t, 1, 1, `{"user_id":"u","identify":{"set":{"plan":"pro"},"set_once":{"via":"ad"},"unset":["trial"]},"groups":[{"type":"account","id":"a"}]}`)
	all := "$identify $set={plan:pro} $setOnce={via:ad} $unset={trial:-}\n$groupidentify $set={group_type:account}"
	require.Equal(t, all, told(t, base, epoch, it))
	require.Empty(t, told(t, base, epoch, it))
	require.Equal(t, all, told(t, base, epoch, doubted(it)))
}

func TestABundleInDoubtThatWasOvertakenIsHeldBack(t *testing.T) {
	t.Parallel()
	base := map[identity]*profile{}
	told(t, base, epoch, itemOf(t, 2, 2, `{"user_id":"u","identify":{"set":{"plan":"max"}}}`))
	require.Equal(t, `E plan=pro detached`, told(t, base, epoch,
		doubted(itemOf(t, 1, 1, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"track":{"event":"E"}}`))))
}

// An attempt that may have been accepted is remembered as if it had been, so that
// nothing older overtakes it, but for the certainty.
func TestAnAttemptWithoutAnswer(t *testing.T) {
	t.Parallel()
	base := map[identity]*profile{}
	first := itemOf(t, 2, 5, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"increment":{"orders":1},"groups":[{"type":"account","id":"a"}]}`)
	lost := newPlanner("w", epoch, base)
	say(t, lost, first)
	lost.attempted()
	user := base[identity{"user", "u"}]
	require.Equal(t, map[string]bool{"plan": true, "orders": true}, user.unsure)
	require.Equal(t, counter{Sum: "1", Open: []int64{2}}, user.counters["orders"])

	t.Run("an older value is held back", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, `E orders=1 plan=free detached`, told(t, maps.Clone(base), epoch, itemOf(t, 1, 4, `{"user_id":"u","identify":{"set":{"plan":"free"}},"track":{"event":"E"}}`)))
	})
	t.Run("an equal one is told", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, `$identify $set={plan:pro}`, told(t, maps.Clone(base), epoch, itemOf(t, 3, 6, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`)))
		require.Equal(t, `$identify $set={plan:pro}`, told(t, maps.Clone(base), epoch, itemOf(t, 3, 4, `{"user_id":"u","identify":{"set":{"plan":"pro"}}}`)), "an older one too")
	})
	t.Run("another increment counts the first one in", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, `$identify $set={orders:11}`, told(t, maps.Clone(base), epoch, itemOf(t, 3, 6, `{"user_id":"u","increment":{"orders":10}}`)))
	})
	t.Run("repeated, it is counted once and certain again", func(t *testing.T) {
		t.Parallel()
		after := maps.Clone(base)
		told(t, after, epoch, itemOf(t, 3, 6, `{"user_id":"u","increment":{"orders":10}}`))
		require.Equal(t, "$identify $set={orders:11,plan:pro}\n$groupidentify $set={group_type:account}", told(t, after, epoch, doubted(first)))
		require.Empty(t, after[identity{"user", "u"}].unsure)
		require.Equal(t, counter{Sum: "11", Open: []int64{}}, after[identity{"user", "u"}].counters["orders"])
	})
	t.Run("sent anew by an operator's word, it is counted once too", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, told(t, maps.Clone(base), epoch, first), `$identify $set={orders:1,plan:pro}`)
	})
	t.Run("refused after all, it is not counted any more", func(t *testing.T) {
		t.Parallel()
		p := base[identity{"user", "u"}].clone()
		p.unsure = map[string]bool{}
		p.uncount("orders", "1", 2)
		require.Equal(t, counter{Sum: "0", Open: []int64{}}, p.counters["orders"])
		require.True(t, p.unsure["orders"], "Amplitude may have been told the sum with it")
		p.uncount("orders", "1", 2)
		require.Equal(t, json.Number("0"), p.counters["orders"].Sum, "once")
	})
}

// An earlier attempt may have been accepted when there was nothing to remove yet, and
// then the repetition is dropped: the next first value is told again.
func TestAFirstValueInDoubtAfterARemovalStaysUnsure(t *testing.T) {
	t.Parallel()
	base := map[identity]*profile{}
	told(t, base, epoch, itemOf(t, 1, 1, `{"user_id":"u","identify":{"unset":["via"]}}`))
	require.Equal(t, `$identify $set={via:ad}`, told(t, base, epoch, doubted(itemOf(t, 2, 2, `{"user_id":"u","identify":{"set_once":{"via":"ad"}}}`))))
	require.Equal(t, `$identify $set={via:ad}`, told(t, base, epoch, itemOf(t, 3, 3, `{"user_id":"u","identify":{"set_once":{"via":"mail"}}}`)))
	require.Empty(t, told(t, base, epoch, itemOf(t, 4, 4, `{"user_id":"u","identify":{"set_once":{"via":"mail"}}}`)))
}

func TestAPlanDoesNotTouchItsBase(t *testing.T) {
	t.Parallel()
	base := map[identity]*profile{}
	told(t, base, epoch, itemOf(t, 1, 1, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"increment":{"orders":1}}`))
	stored := func() string {
		p := base[identity{"user", "u"}]
		return string(p.traits.appendJSON(nil)) + countersJSON(p.counters)
	}
	before := stored()
	p := newPlanner("w", epoch.Add(48*time.Hour), base)
	say(t, p, itemOf(t, 2, 2, `{"user_id":"u","identify":{"set":{"plan":"max"}},"increment":{"orders":1}}`))
	require.Equal(t, before, stored())
	require.Empty(t, base[identity{"user", "u"}].unsure)
}

func TestWhatAPlanChanges(t *testing.T) {
	t.Parallel()
	base := map[identity]*profile{}
	it := itemOf(t, 1, 1, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"groups":[{"type":"account","id":"a"}],"track":{"event":"E"}}`)
	p := newPlanner("w", epoch, base)
	say(t, p, it)
	require.True(t, p.changes(identity{"user", "u"}))
	require.True(t, p.changes(identity{"group:account", "a"}))
	require.False(t, p.changes(identity{"user", "v"}))
	p.accepted()

	again := newPlanner("w", epoch, base)
	say(t, again, itemOf(t, 2, 2, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"groups":[{"type":"account","id":"a"}],"track":{"event":"E"}}`))
	require.False(t, again.changes(identity{"user", "u"}))
	require.False(t, again.changes(identity{"group:account", "a"}))
	require.Equal(t, 2, again.elided)
	require.True(t, again.states[identity{"user", "u"}].moved)
}

func TestPreviewShowsEveryPart(t *testing.T) {
	t.Parallel()
	b := itemOf(t, 1, 0, `{"user_id":"u","identify":{"set":{"plan":"pro"}},"groups":[{"type":"account","id":"a"}],"track":{"event":"E"}}`).bundle
	events, _, err := Preview(nil, b, "w", 7, epoch)
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, int64(7), decodeEvent(t, events[1]).EventID)

	b.Track.Event = ""
	_, _, err = Preview(nil, b, "w", 7, epoch)
	require.ErrorContains(t, err, "track.event")
}
