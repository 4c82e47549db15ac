package jobs

import (
	"encoding/json"
	"time"
)

// refreshAfter is how long Amplitude's copy of a trait is trusted. It drops property
// updates past 1,800 an hour and user without a word
// (https://amplitude.com/docs/apis/analytics/http-v2), so now and then everything is
// said again.
const refreshAfter = 24 * time.Hour

// planner turns bundles into events against what Amplitude is known to hold. It is
// pure: profiles come in, a changed copy goes out, and the same bundles in the same
// order give the same bytes.
//
// Trait by trait, the newest committed value wins. A value that is newest and differs
// is sent; one that is newest and equal stays home, but its version moves on, or else
// a late, older value would pass for newer than it; one that is not newest is held back.
type planner struct {
	install string
	now     time.Time // the database's clock
	base    map[identity]*profile
	states  map[identity]*state
	elided  int // identify and group events left at home
}

func newPlanner(install string, now time.Time, base map[identity]*profile) *planner {
	return &planner{install: install, now: now, base: base, states: make(map[identity]*state, len(base))}
}

func (p *planner) state(id identity) *state {
	if s, ok := p.states[id]; ok {
		return s
	}
	was, ok := p.base[id]
	if !ok {
		was = &profile{}
	}
	s := &state{was: was, profile: was.clone()}
	if p.now.Sub(was.sentAt) > refreshAfter {
		s.profile.doubtAll()
		s.profile.sentAt = p.now
	}
	p.states[id] = s
	return s
}

// changes says whether the plan tells Amplitude anything about the identity.
func (p *planner) changes(id identity) bool {
	s, ok := p.states[id]
	return ok && len(s.told) > 0
}

// accepted is the base for what is sent after these events were accepted. The planner is
// of no use any more.
func (p *planner) accepted() map[identity]*profile {
	for id, s := range p.states {
		p.base[id] = s.accepted()
	}
	return p.base
}

// attempted is the base for what is sent after these events may have been accepted. The
// planner is of no use any more.
func (p *planner) attempted() map[identity]*profile {
	for id, s := range p.states {
		p.base[id] = s.attempted()
	}
	return p.base
}

// add plans one bundle after those added before. It returns no event when there is
// nothing to say.
func (p *planner) add(it *item) []json.RawMessage {
	events := make([]json.RawMessage, 0, 2)
	write := eventWriter{install: p.install, it: it}
	b := it.bundle

	var user userPlan
	if b.Identify != nil || len(b.Increment) > 0 {
		user = p.user(it)
	}
	folded := b.Track != nil && !user.stale && len(user.setOnce) == 0 && len(user.unset) == 0
	if !folded && user.says() {
		events = append(events, write.identify(user.set, user.setOnce, user.unset))
	}
	if user.asked && !user.says() {
		p.elided++
	}
	for i, g := range b.Groups {
		if set := p.group(it, i); len(set) > 0 {
			events = append(events, write.group(g, set))
		} else {
			p.elided++
		}
	}
	if b.Track == nil {
		return events
	}
	switch {
	case user.stale:
		return append(events, write.track(p.overlay(it), true))
	case folded:
		return append(events, write.track(user.set, false))
	default:
		return append(events, write.track(nil, false))
	}
}

// draft is what a planner made of some bundles of a flight. owners says which position
// each event belongs to.
type draft struct {
	plan   *planner
	at     []int
	events []json.RawMessage
	owners []int
}

func (r *draft) add(position int, events []json.RawMessage) {
	r.at = append(r.at, position)
	for _, event := range events {
		r.events, r.owners = append(r.events, event), append(r.owners, position)
	}
}

// userPlan is what one bundle tells about its user.
type userPlan struct {
	asked   bool // the bundle has traits at all
	set     members
	setOnce members
	unset   []string
	stale   bool // it holds a trait that is not the newest
}

func (u userPlan) says() bool { return len(u.set)+len(u.setOnce)+len(u.unset) > 0 }

func (p *planner) user(it *item) userPlan {
	s := p.state(it.user())
	u := userPlan{asked: true}
	if it.bundle.Identify != nil {
		u.identify(s, it)
	}
	for name, delta := range it.bundle.Increment {
		u.set.add(name, json.RawMessage(s.count(name, delta, it)))
	}
	return u
}

func (u *userPlan) identify(s *state, it *item) {
	identify := it.bundle.Identify
	for _, one := range identify.Set {
		switch s.offer(one.Name, trait{Value: one.Value}, it) {
		case tell:
			u.set.add(one.Name, one.Value)
		case stale:
			u.stale = true
		case keep:
		}
	}
	for _, one := range identify.SetOnce {
		switch first, verdict := s.offerOnce(one.Name, one.Value, it); {
		case verdict != tell:
		case first.FloorID != 0: // Amplitude may not have seen the removal
			u.set.add(one.Name, first.Value)
		default:
			u.setOnce.add(one.Name, one.Value)
		}
	}
	for _, name := range identify.Unset {
		switch s.offer(name, trait{Value: json.RawMessage("null"), Unset: true}, it) {
		case tell:
			u.unset = append(u.unset, name)
		case stale:
			u.stale = true
		case keep:
		}
	}
}

func (p *planner) group(it *item, i int) (set members) {
	g, s := it.bundle.Groups[i], p.state(it.group(i))
	offer := func(name string, value json.RawMessage) {
		if s.offer(name, trait{Value: value}, it) == tell {
			set.add(name, value)
		}
	}
	for _, one := range g.Set {
		offer(one.Name, one.Value)
	}
	offer("group_type", jsonString(g.Type))
	if g.Parent != "" {
		offer("parent_group_id", jsonString(g.Parent))
	}
	return set
}

// overlay is how the user looked at the time of an event that comes late: what is
// known of them, under what the event itself brought.
func (p *planner) overlay(it *item) (shown members) {
	known := p.state(it.user()).profile
	look := make(map[string]json.RawMessage, len(known.traits))
	for _, t := range known.traits {
		if !t.Unset && !t.Once {
			look[t.name] = t.Value
		}
	}
	for name, c := range known.counters {
		look[name] = json.RawMessage(c.Sum)
	}
	if identify := it.bundle.Identify; identify != nil {
		for _, one := range identify.Set {
			look[one.Name] = one.Value
		}
		for _, name := range identify.Unset {
			delete(look, name)
		}
	}
	for name, value := range look {
		shown.add(name, value)
	}
	return shown
}
