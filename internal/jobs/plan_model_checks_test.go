package jobs

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/bundle"
)

// requireHonestProfiles demands that what a profile says of Amplitude is so, at any
// moment, but for the names that it calls unsure and for counters of bundles that are to
// be sent again.
func (m *planModel) requireHonestProfiles(t *rapid.T) {
	for id := range m.profiles {
		p := m.profile(id)
		props := m.properties(id)
		for _, known := range p.traits {
			name := known.name
			value, exists := props[name]
			switch {
			case p.unsure[name]:
			case known.Unset && exists, known.Once && !exists, !known.Unset && !known.Once && value != string(known.Value):
				t.Fatalf("%v: %s is %s, and Amplitude has %q", id, name, known.Value, value)
			}
		}
		for name, c := range p.counters {
			if len(c.Open) == 0 && !p.unsure[name] && props[name] != string(c.Sum) && !m.takenBack(name) {
				t.Fatalf("%v: counter %s is %s, and Amplitude has %q", id, name, c.Sum, props[name])
			}
		}
	}
}

func (m *planModel) properties(id identity) properties {
	switch id.kind {
	case kindUser:
		return table(m.world.users, id.id)
	case kindDevice:
		return table(m.world.users, "device\x00"+id.id)
	default:
		return table(m.world.groups, id.kind[len(kindGroupPrefix):]+"\x00"+id.id)
	}
}

// takenBack says that a poison may once have counted, because an attempt of its could
// have been accepted for all that was known. Amplitude learns the sum without it with
// the next increment.
func (m *planModel) takenBack(name string) bool {
	for _, e := range m.bundles {
		if isPoison(e.bundle) && e.everDoubt && e.bundle.Increment[name] != "" {
			return true
		}
	}
	return false
}

func (m *planModel) requireOutcomes(t *rapid.T) {
	for id, e := range m.bundles {
		want := "delivered"
		if isPoison(e.bundle) {
			want = "rejected"
		}
		require.Equal(t, want, e.outcome, "bundle %d", id)
	}
}

// offered are the bundles that do something to a name of an identity, oldest first.
func (m *planModel) offered(id identity, does func(b *bundle.Bundle) bool) []*item {
	var all []*item
	for _, e := range m.bundles {
		it := &item{id: e.id, at: e.at, bundle: e.bundle}
		if slices.Contains(it.touches(), id) && does(e.bundle) {
			all = append(all, it)
		}
	}
	slices.SortFunc(all, func(a, b *item) int {
		if a.version().after(b.version()) {
			return 1
		}
		return -1
	})
	return all
}

func (m *planModel) requireNewestTraits(t *rapid.T) {
	for id := range m.profiles {
		props := m.properties(id)
		if id.kind == "group:account" {
			m.requirePlain(t, id, "name", props, func(b *bundle.Bundle) (json.RawMessage, bool) { return b.Groups[0].Set.Get("name"), false })
			if delivered := func(b *bundle.Bundle) bool { return !isPoison(b) }; len(m.offered(id, delivered)) > 0 {
				require.Equal(t, `"account"`, props["group_type"])
			}
			continue
		}
		for _, name := range slices.Concat(plainNames, firstNames) {
			m.requirePlain(t, id, name, props, plainValue(name))
		}
		for _, name := range onceNames {
			m.requireOnce(t, id, name, props)
		}
		for _, name := range mixedNames {
			m.requireMixed(t, id, name, props)
		}
	}
}

// plainValue is what a bundle sets a trait to, nil if it does not; or that it removes it.
func plainValue(name string) func(b *bundle.Bundle) (json.RawMessage, bool) {
	return func(b *bundle.Bundle) (json.RawMessage, bool) {
		if b.Identify == nil {
			return nil, false
		}
		return b.Identify.Set.Get(name), slices.Contains(b.Identify.Unset, name)
	}
}

func onceValue(b *bundle.Bundle, name string) json.RawMessage {
	if b.Identify == nil {
		return nil
	}
	return b.Identify.SetOnce.Get(name)
}

// requirePlain demands the newest value. A poison that is newer may have moved the
// version on before it was found out: its value is as good if Amplitude held it already,
// and older ones may have been held back for it.
func (m *planModel) requirePlain(t *rapid.T, id identity, name string, props properties, plain func(*bundle.Bundle) (json.RawMessage, bool)) {
	all := m.offered(id, func(b *bundle.Bundle) bool {
		value, unset := plain(b)
		return value != nil || unset
	})
	got, exists := props[name]
	for _, it := range slices.Backward(all) {
		value, unset := plain(it.bundle)
		if unset && !exists || !unset && exists && got == string(value) {
			return
		}
		switch e := m.bundles[it.id]; {
		case !isPoison(e.bundle):
			t.Fatalf("%v: %s should be %s (removed: %v), and Amplitude has %q", id, name, value, unset, got)
		case e.everDoubt: // what is older may have been held back
			return
		}
	}
	onces := m.offered(id, func(b *bundle.Bundle) bool { return onceValue(b, name) != nil && !isPoison(b) })
	if len(onces) > 0 && !slices.ContainsFunc(onces, func(it *item) bool { return string(onceValue(it.bundle, name)) == got }) {
		t.Fatalf("%v: %s is %q, which nobody said", id, name, got)
	}
}

// requireOnce demands one of the first values that are newer than the last removal.
func (m *planModel) requireOnce(t *rapid.T, id identity, name string, props properties) {
	var candidates []json.RawMessage
	var doubtful bool // by a poison
	all := m.offered(id, func(b *bundle.Bundle) bool {
		_, unset := plainValue(name)(b)
		return unset || onceValue(b, name) != nil
	})
	for _, it := range all {
		if isPoison(it.bundle) {
			doubtful = true
		}
		if _, unset := plainValue(name)(it.bundle); unset {
			candidates = nil
		} else {
			candidates = append(candidates, onceValue(it.bundle, name))
		}
	}
	got, exists := props[name]
	if !doubtful && exists != (len(candidates) > 0) {
		t.Fatalf("%v: %s is %q, and should be one of %s", id, name, got, candidates)
	}
}

// requireMixed demands that a newest plain value stands, and that after a newest removal
// at most a first value does, unless a poison has said something of it: others may have
// been held back for that. Nor does it ask where the profile calls the name unsure: a
// removal can be left to a first value whose bundle, in doubt, was accepted before with
// something else to say. Whoever speaks of that name next sets it right.
func (m *planModel) requireMixed(t *rapid.T, id identity, name string, props properties) {
	all := m.offered(id, func(b *bundle.Bundle) bool {
		value, unset := plainValue(name)(b)
		return value != nil || unset
	})
	poison := m.offered(id, func(b *bundle.Bundle) bool {
		value, unset := plainValue(name)(b)
		return isPoison(b) && (value != nil || unset || onceValue(b, name) != nil)
	})
	if len(all) == 0 || len(poison) > 0 {
		return
	}
	got, exists := props[name]
	if value, unset := plainValue(name)(all[len(all)-1].bundle); !unset {
		require.Equal(t, string(value), got, "%v: %s", id, name)
	} else if exists && !m.profile(id).unsure[name] {
		onces := m.offered(id, func(b *bundle.Bundle) bool { return string(onceValue(b, name)) == got })
		require.NotEmpty(t, onces, "%v: %s was removed, and is %s", id, name, got)
	}
}

func (m *planModel) requireCounters(t *rapid.T) {
	for id := range m.profiles {
		if id.kind == "group:account" {
			continue
		}
		p := m.profile(id)
		for _, name := range counterNames {
			var sum, n int64
			for _, it := range m.offered(id, func(b *bundle.Bundle) bool { return b.Increment[name] != "" && !isPoison(b) }) {
				delta, err := it.bundle.Increment[name].Int64()
				require.NoError(t, err)
				sum, n = sum+delta, n+1
			}
			if n > 0 {
				require.Equal(t, fmt.Sprint(sum), string(p.counters[name].Sum), "%v: %s", id, name)
				require.Empty(t, p.counters[name].Open)
			}
			if n > 0 && !m.takenBack(name) {
				require.Equal(t, fmt.Sprint(sum), m.properties(id)[name], "%v: %s", id, name)
			}
		}
	}
}

// requireTracks demands that each event has arrived once and shows its own traits, or
// newer ones.
func (m *planModel) requireTracks(t *rapid.T) {
	var want int
	for id, e := range m.bundles {
		if e.bundle.Track == nil || isPoison(e.bundle) {
			continue
		}
		want++
		got, ok := m.world.tracks[bundle.InsertID("w", e.bundle.Key, bundle.PartTrack)]
		require.True(t, ok, "the event of bundle %d", id)
		require.Equal(t, id, got.event.EventID)
		if e.bundle.Identify != nil {
			m.requireOwnTraits(t, e, got)
		}
	}
	require.Len(t, m.world.tracks, want)
}

func (m *planModel) requireOwnTraits(t *rapid.T, e *entry, got arrival) {
	mine := &item{id: e.id, at: e.at, bundle: e.bundle}
	for _, one := range e.bundle.Identify.Set {
		name, value := one.Name, one.Value
		newer := func(it *item) bool {
			other, _ := plainValue(name)(it.bundle)
			return string(other) == got.props[name] && !mine.version().after(it.version())
		}
		if got.detached {
			require.Equal(t, string(value), got.props[name], "bundle %d: %s", e.id, name)
		} else if !slices.ContainsFunc(m.offered(mine.user(), func(*bundle.Bundle) bool { return true }), newer) {
			t.Fatalf("bundle %d: the event shows %s as %q, and brought %s", e.id, name, got.props[name], value)
		}
	}
	for _, name := range e.bundle.Identify.Unset {
		if got.detached {
			require.NotContains(t, got.props, name, "bundle %d", e.id)
		}
	}
}
