package checker

import (
	"fmt"
	"slices"
)

// known is the newest committed version of one property.
type known struct {
	value any
	by    *Bundle
	unset bool
}

// identity is what the committed actions say about one user or group.
type identity struct {
	plain    map[string]known
	once     map[string][]string // values offered by set_once
	counters map[string]int
}

func newIdentity() *identity {
	return &identity{plain: map[string]known{}, once: map[string][]string{}, counters: map[string]int{}}
}

// traits holds what Amplitude knows of every user and group against the newest
// committed values.
func (c *file) traits() {
	users, groups := map[string]*identity{}, map[GroupID]*identity{}
	of := func(id string) *identity {
		if users[id] == nil {
			users[id] = newIdentity()
		}
		return users[id]
	}
	for _, b := range c.ordered { // oldest first: later ones overwrite
		action := c.actions[b.Key]
		if action == nil {
			continue
		}
		id := action.User
		if id == "" {
			id = action.Device
		}
		of(id).apply(action, b)
		for _, g := range action.Groups {
			at := GroupID{g.Type, g.ID}
			if groups[at] == nil {
				groups[at] = newIdentity()
			}
			groups[at].applyGroup(g, b)
		}
	}
	for id, want := range users {
		c.compare("user "+id, want, c.Users[id])
		c.moments(id, want)
	}
	for id, want := range groups {
		c.compare("group "+id.Type+" "+id.ID, want, c.Groups[id])
	}
}

func (i *identity) apply(a *Action, b *Bundle) {
	for name, value := range a.Set {
		i.plain[name] = known{value, b, false}
	}
	for _, name := range a.Unset {
		i.plain[name] = known{nil, b, true}
	}
	for name, value := range a.SetOnce {
		i.once[name] = append(i.once[name], value)
	}
	for name, delta := range a.Increment {
		i.counters[name] += delta
	}
}

func (i *identity) applyGroup(g Group, b *Bundle) {
	for name, value := range g.Set {
		i.plain[name] = known{value, b, false}
	}
	i.plain["group_type"] = known{g.Type, b, false}
	if g.Parent != "" {
		i.plain["parent_group_id"] = known{g.Parent, b, false}
	}
}

func (c *file) compare(who string, want *identity, has map[string]any) {
	for name, k := range want.plain {
		value, there := has[name]
		switch {
		case k.unset && there:
			c.violate(NewestTraits, "%s has %s = %v; bundle %d (%s) removed it last", who, name, value, k.by.ID, k.by.Key)
		case !k.unset && value != k.value:
			c.violate(NewestTraits, "%s has %s = %v; the newest is %v of bundle %d (%s)", who, name, value, k.value, k.by.ID, k.by.Key)
		}
	}
	for name, offers := range want.once {
		if value, _ := has[name].(string); !slices.Contains(offers, value) {
			c.violate(NewestTraits, "%s has %s = %v, which nobody offered", who, name, has[name])
		}
	}
	for name, sum := range want.counters {
		if value, _ := has[name].(float64); int(value) != sum {
			c.violate(ExactCounters, "%s has %s = %v; the increments add up to %d", who, name, has[name], sum)
		}
	}
	for name := range has {
		_, plain := want.plain[name]
		_, once := want.once[name]
		_, counts := want.counters[name]
		if !plain && !once && !counts {
			c.violate(NoPhantom, "%s has %s, which no committed action gave", who, name)
		}
	}
}

// Unique is the trait whose every value is given once, so that an event that shows it
// tells which action it was.
const Unique = "last_action"

// moments sees that each event shows its own traits, or newer ones: one that is older
// than its own would put a false past into the charts.
func (c *file) moments(id string, want *identity) {
	if _, has := want.plain[Unique]; !has {
		return
	}
	for _, b := range c.ordered {
		action := c.actions[b.Key]
		if action == nil || action.Event == "" || action.User != id || action.Set[Unique] == "" {
			continue
		}
		for _, t := range c.taken[c.insertID(b.Key, trackPart)] {
			shown := fmt.Sprint(t.UserProperties[Unique])
			if shown == action.Set[Unique] {
				continue
			}
			if other := c.bundles[shown]; other == nil || newer(b, other) {
				c.violate(NewestTraits, "the event of %s (bundle %d) shows %s = %s, which is older than its own", b.Key, b.ID, Unique, shown)
			}
		}
	}
}
