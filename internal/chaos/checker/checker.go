package checker

import (
	"fmt"
	"slices"
	"strings"
)

// Rule names a promise that a run can break.
type Rule string

// The rules.
const (
	NoLoss        Rule = "no loss"         // committed: recorded, and counted by Amplitude
	NoPhantom     Rule = "no phantom"      // not committed: no trace
	Commits       Rule = "commits hold"    // what a producer was told about its COMMIT is so
	CountedOnce   Rule = "counted once"    // however often it was sent
	RetriesEqual  Rule = "retries equal"   // every attempt is the same event
	NewestTraits  Rule = "newest traits"   // nothing older overwrites anything newer
	ExactCounters Rule = "exact counters"  // increments add up
	AtomicBundle  Rule = "atomic bundle"   // the events of a bundle travel together
	StatusTruth   Rule = "status truth"    // ledger, River and Amplitude agree
	Recovery      Rule = "bounded recover" // orphans and shutdowns in time
	Waste         Rule = "bounded waste"   // nothing is sent again that is settled
	Liveness      Rule = "liveness"        // the queue drains without help
	Neighbours    Rule = "neighbours"      // other applications' jobs are left alone
)

// Rules are all rules, in the order of the report.
func Rules() []Rule {
	return []Rule{
		NoLoss, NoPhantom, Commits, CountedOnce, RetriesEqual, NewestTraits, ExactCounters,
		AtomicBundle, StatusTruth, Recovery, Waste, Liveness, Neighbours,
	}
}

// Violation is one broken promise.
type Violation struct {
	Rule Rule   `json:"rule"`
	What string `json:"what"` // with the rows that show it
}

func (v Violation) String() string { return string(v.Rule) + ": " + v.What }

// Check holds a run against every rule.
func Check(e *Evidence) []Violation {
	c := newCase(e)
	c.loss()
	c.innocents()
	c.phantoms()
	c.commits()
	c.repeats()
	c.traits()
	c.status()
	c.neighbour()
	c.recovery()
	c.waste()
	return c.found
}

// part is one event of a bundle, as its insert_id names it.
type part struct {
	key  string
	name string // track, identify or group:<type>
}

const (
	trackPart    = "track"
	identifyPart = "identify"
	groupPart    = "group:"
)

// file is the evidence sorted for looking things up.
type file struct {
	*Evidence

	actions map[string]*Action
	bundles map[string]*Bundle
	byID    map[int64]*Bundle
	taken   map[string][]*Taken // by insert_id
	ordered []*Bundle           // delivered, oldest version first
	found   []Violation
}

func newCase(e *Evidence) *file {
	c := &file{
		Evidence: e,
		actions:  map[string]*Action{}, bundles: map[string]*Bundle{}, byID: map[int64]*Bundle{},
		taken: map[string][]*Taken{},
	}
	for i := range e.Actions {
		c.actions[e.Actions[i].Key] = &e.Actions[i]
	}
	for i := range e.Ledger {
		b := &e.Ledger[i]
		c.bundles[b.Key], c.byID[b.ID] = b, b
		if b.Outcome == "delivered" {
			c.ordered = append(c.ordered, b)
		}
	}
	slices.SortFunc(c.ordered, func(a, b *Bundle) int {
		if newer(a, b) {
			return 1
		}
		return -1
	})
	for i := range e.Taken {
		t := &e.Taken[i]
		c.taken[t.InsertID] = append(c.taken[t.InsertID], t)
	}
	return c
}

// newer says that a holds newer values than b.
func newer(a, b *Bundle) bool {
	if !a.OccurredAt.Equal(b.OccurredAt) {
		return a.OccurredAt.After(b.OccurredAt)
	}
	return a.ID > b.ID
}

// violate notes a broken rule.
func (c *file) violate(rule Rule, format string, args ...any) {
	c.found = append(c.found, Violation{rule, fmt.Sprintf(format, args...)})
}

// insertID is the id of one part of an action's bundle.
func (c *file) insertID(key, name string) string { return c.Install + ":" + key + ":" + name }

// parse takes an insert_id apart.
func (c *file) parse(insertID string) (part, bool) {
	rest, ok := strings.CutPrefix(insertID, c.Install+":")
	if !ok {
		return part{}, false
	}
	for _, name := range []string{trackPart, identifyPart} {
		if key, ok := strings.CutSuffix(rest, ":"+name); ok {
			return part{key, name}, true
		}
	}
	if at := strings.LastIndex(rest, ":"+groupPart); at >= 0 {
		return part{rest[:at], rest[at+1:]}, true
	}
	return part{}, false
}
