package jobs

import (
	"bytes"
	"encoding/json"
	"slices"
)

// state is a profile as it will be when the planned events have been accepted.
type state struct {
	was     *profile           // before the plan; it is shared and stays as it is
	profile *profile           // its own copy
	told    map[string]bool    // names that events of this plan tell Amplitude
	counted map[string][]int64 // bundles of this plan that a counter stands for
	moved   bool               // a version moved on
}

// changed says that the profile's row has to be written.
func (s *state) changed() bool { return s.moved || len(s.told) > 0 }

// onlySeen says that nothing has changed but the newest version, which is then all that
// has to be written. Whatever is told has a value that is written with it.
func (s *state) onlySeen() (newest version, only bool) {
	newest, names := s.profile.traits.newest()
	if names != s.was.seen || len(s.told) > 0 || len(s.profile.traits) != len(s.was.traits) || len(s.profile.unsure) != len(s.was.unsure) {
		return newest, false
	}
	for i := range s.profile.traits {
		is, was := s.profile.traits[i].trait, s.was.traits[i].trait
		if is.version() != newest && is.version() != was.version() || is.floor() != was.floor() && is.Once {
			return newest, false
		}
	}
	return newest, true
}

// standing is the profile of a plan that has moved on nothing but the newest version, as
// its row has it now.
func (s *state) standing(at place) *profile {
	p := *s.profile
	p.place, p.sentAt = at, s.was.sentAt
	return &p
}

// verdictOnTrait is what happens to one trait of one bundle.
type verdictOnTrait int

const (
	keep  verdictOnTrait = iota // Amplitude knows it already
	tell                        // it goes out
	stale                       // something newer is known: held back
)

// offer decides about one plain value and moves the trait's version on. One that is not
// newest but equal to the newest does no harm.
func (s *state) offer(name string, t trait, it *item) verdictOnTrait {
	was, known := s.profile.traits.get(name)
	mine := it.version()
	_, counts := s.profile.counters[name] // then Amplitude holds the sum instead
	same := known && !was.Once && !counts && was.Unset == t.Unset && bytes.Equal(was.Value, t.Value)
	switch newer := known && was.floor().after(mine); {
	case newer && !same:
		return stale
	case newer && s.profile.unsure[name] && it.inDoubt():
		s.tell(name, false)
		return tell
	case known && was.Once && t.Unset && was.version().after(mine):
		was.FloorAt, was.FloorID = mine.at, mine.id // the first value came after it, and stays
		s.set(name, was)
		return stale
	case !newer:
		t.At, t.BundleID = mine.at, mine.id
		s.set(name, t)
	}
	if same && !s.profile.unsure[name] && !it.inDoubt() {
		return keep
	}
	s.tell(name, true)
	return tell
}

// offerOnce decides about one value that is set only if the user has none. Any plain
// value is stronger, older or not; only a removal that is newer takes it away. It
// returns the first value that there was.
func (s *state) offerOnce(name string, value json.RawMessage, it *item) (trait, verdictOnTrait) {
	was, known := s.profile.traits.get(name)
	mine := it.version()
	first := !known || was.Unset
	switch {
	case !first && !was.Once, was.floor().after(mine):
		return was, keep
	case first:
		was = trait{Value: value, At: mine.at, BundleID: mine.id, Once: true, FloorAt: was.At, FloorID: was.BundleID}
	default:
		was.raise(mine)
	}
	s.set(name, was)
	if !first && !s.profile.unsure[name] && !it.inDoubt() {
		return was, keep
	}
	s.tell(name, !it.inDoubt())
	return was, tell
}

// count adds a bundle's delta to a counter, once however often the bundle is sent, and
// returns the sum.
func (s *state) count(name string, delta json.Number, it *item) json.Number {
	c := s.profile.counters[name]
	if !slices.Contains(c.Open, it.id) {
		c.Sum = sum(c.Sum, delta)
		s.profile.setCounter(name, c)
	}
	if s.counted == nil {
		s.counted = map[string][]int64{}
	}
	s.counted[name] = append(s.counted[name], it.id)
	s.tell(name, true)
	return c.Sum
}

// tell notes that the plan tells Amplitude a name. It is not sure to arrive if the
// bundle is in doubt and its earlier attempt may have said something else: if that was
// accepted, the repetition is dropped with all that it says.
func (s *state) tell(name string, sure bool) {
	if s.told == nil {
		s.told = map[string]bool{}
	}
	s.told[name] = true
	if sure {
		delete(s.profile.unsure, name)
	} else {
		s.profile.doubt(name)
	}
}

// set writes a trait with a version that has moved on.
func (s *state) set(name string, t trait) {
	s.profile.traits.set(name, t)
	s.moved = true
}

func (s *state) accepted() *profile {
	if len(s.counted) == 0 {
		return s.profile
	}
	after := s.profile.clone()
	for name, ids := range s.counted {
		after.close(name, ids...)
	}
	return after
}

// attempted keeps the versions and the sums of what may have been accepted, so that
// nothing older overtakes it and nothing is counted twice, whatever is sent before its
// bundles go out again: Amplitude may drop the repetition as a duplicate, with all that
// it says. The names it told are unsure.
func (s *state) attempted() *profile {
	if len(s.told) == 0 && len(s.counted) == 0 {
		return s.profile
	}
	after := s.profile.clone()
	for name := range s.told {
		after.doubt(name)
	}
	for name, ids := range s.counted {
		after.open(name, ids...)
	}
	return after
}
