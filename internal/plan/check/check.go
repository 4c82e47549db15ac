// Package check holds bundles against a compiled tracking plan: what is wrong with
// each, what follows from it, and what of it may be sent.
//
// A plan is read once, with [Load], and asked from any goroutine. [Plan.Check] is pure.
// What it says about a bundle names properties and rules, never values.
package check

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"waybill/internal/bundle"
)

// Mode is what follows when a bundle breaks the plan.
type Mode string

// The modes, mild to severe. What is held back stays in the ledger, and an operator
// can send it after all.
const (
	Observe    Mode = "observe"    // it is sent
	Quarantine Mode = "quarantine" // it is held back until plan or data are mended
	Enforce    Mode = "enforce"    // it is rejected: whoever sent it has to change
)

// Modes are all of them, in order.
var Modes = []Mode{Observe, Quarantine, Enforce}

// Violation is one way in which a bundle breaks the plan.
type Violation struct {
	Property string // what it is about: a property, user.<trait>, <group type>.<trait>, a field; empty is the event itself
	Rule     string // a word of a closed set, such as required or unknown_event
	Reason   string // what is wrong; it holds no value
}

// Verdict is what the plan says about one bundle.
type Verdict struct {
	Event      string      // the plan's name, or the bundle's where the plan has none; empty without a track
	Version    string      // as the bundle has it
	Mode       Mode        // what follows from the violations; empty if there are none
	Violations []Violation // by property and rule; at most 20
	Sampled    bool        // the plan sends only a share of these events, and not this one
}

// Held says that the bundle must not be sent.
func (v Verdict) Held() bool { return v.Mode == Quarantine || v.Mode == Enforce }

// Reason is why a bundle is held back, for the ledger.
func (v Verdict) Reason() string {
	if !v.Held() {
		return ""
	}
	var b strings.Builder
	b.WriteString("plan")
	if v.Mode == Quarantine {
		b.WriteString(" quarantine")
	}
	b.WriteString(": ")
	if v.Event != "" {
		b.WriteString(bundle.Name(v.Event) + ": ")
	}
	first := v.Violations[0]
	if first.Property != "" {
		b.WriteString(first.Property + " ")
	}
	b.WriteString(first.Reason)
	if more := len(v.Violations) - 1; more > 0 {
		fmt.Fprintf(&b, " (and %d more)", more)
	}
	return b.String()
}

// maxViolations bounds what is said about one bundle: enough to mend it.
const maxViolations = 20

// visit is one look at one bundle.
type visit struct {
	plan *Plan
	b    *bundle.Bundle
	list []Violation
}

func (v *visit) add(property, rule, reason string) {
	if len(v.list) < maxViolations {
		v.list = append(v.list, Violation{property, rule, reason})
	}
}

// Check holds b against the plan. It makes of b what may be sent: the event has its
// name at Amplitude, and what must stay home is gone.
func (p *Plan) Check(b *bundle.Bundle) Verdict {
	v := visit{plan: p, b: b}
	verdict := Verdict{Mode: Quarantine} // of traits alone, which have no mode of their own
	if b.Track != nil {
		verdict = v.track()
	}
	v.traits()
	v.groups()
	slices.SortFunc(v.list, func(a, b Violation) int {
		return cmp.Or(strings.Compare(a.Property, b.Property), strings.Compare(a.Rule, b.Rule))
	})
	verdict.Violations = slices.Compact(v.list)
	if len(verdict.Violations) == 0 {
		verdict.Mode = ""
	}
	verdict.Sampled = verdict.Sampled && !verdict.Held()
	return verdict
}

// track checks the event, and says in which mode.
func (v *visit) track() Verdict {
	t := v.b.Track
	e, known := v.plan.events[t.Event]
	if !known {
		v.add("", "unknown_event", "is no event of the plan; is the name right, and the plan file the newest?")
		v.strip(nil)
		return Verdict{Event: short(t.Event), Version: short(t.Version), Mode: Quarantine}
	}
	verdict := Verdict{Event: e.name, Version: short(t.Version), Mode: e.newest().mode}
	given := t.Event
	t.Event = e.newest().wire
	entry, problem, newer := e.find(t.Version, v.plan)
	if entry == nil {
		v.add("version", "version", problem)
		if newer && verdict.Mode == Enforce {
			verdict.Mode = Quarantine // it is the plan that has to change
		}
		v.strip(nil)
		return verdict
	}
	t.Event, verdict.Mode = entry.wire, entry.mode
	v.status(entry)
	v.origin(entry)
	v.levels(entry)
	v.revenue(entry)
	v.properties(entry)
	v.actionKey(entry, e.name, given)
	v.strip(entry)
	verdict.Sampled = entry.sampled && !entry.keeps(v.b.Key)
	return verdict
}

// maxShown is how much of a name that is not the plan's is repeated, in bytes.
const maxShown = 200

func short(name string) string {
	if len(name) <= maxShown {
		return name
	}
	return strings.ToValidUTF8(name[:maxShown], "") + "…"
}

func (v *visit) status(e *entry) {
	switch e.status {
	case "planned":
		v.add("", "status", "is planned and not to be sent yet")
	case "removed":
		v.add("", "status", "was removed from the plan")
	}
}

// origin checks who sent it. Who says nothing is the server.
func (v *visit) origin(e *entry) {
	source := cmp.Or(v.b.Source, "server")
	if !slices.Contains(e.sources, source) {
		v.add("source", "source", "is "+source+", which may not send it")
	}
	if source != "client" || len(e.platforms) == 0 {
		return
	}
	if v.b.Context == nil || !slices.Contains(e.platforms, v.b.Context.Platform) {
		v.add("context.platform", "platform", "is none of "+strings.Join(e.platforms, ", "))
	}
}

// levels checks that the event happened where it can.
func (v *visit) levels(e *entry) {
	for _, level := range e.levels {
		if !slices.ContainsFunc(v.b.Groups, func(g bundle.Group) bool { return g.Type == level }) {
			v.add(level, "group_level", "is not among the groups, and the event happens in one")
		}
	}
}

// revenue wants the money that the plan promises. Nothing is no money: it may be left out.
func (v *visit) revenue(e *entry) {
	switch given := v.b.Track.Revenue != nil; {
	case given && e.revenue == nil:
		v.add("revenue", "revenue", "is not in the plan")
	case !given && e.revenue != nil && gjson.GetBytes(v.b.Track.Properties, gjson.Escape(e.revenue.Amount)).Num != 0:
		v.add("revenue", "revenue", "is missing")
	}
}

// keeps says whether an event that is sampled is among those sent: always the same for
// one action.
func (e *entry) keeps(key string) bool {
	sum := sha256.Sum256([]byte(key))
	const unit = 1 << 53
	return float64(binary.BigEndian.Uint64(sum[:])>>11)/unit < e.share
}
