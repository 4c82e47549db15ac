// Package lint tells whether a tracking plan is a good one.
//
// Every rule has a name, by which an event may accept to break it, with a reason
// in the plan.
package lint

import (
	"fmt"
	"slices"
	"time"

	"waybill/internal/plan"
	"waybill/internal/plan/contract"
)

// Input is what the rules look at.
type Input struct {
	Plan       *plan.Plan
	Lock       contract.Lock
	LockFile   string    // where it stands, for messages
	CodeOwners string    // text of CODEOWNERS, or empty if there is none
	Now        time.Time // for events that expire
}

// Rule is one thing that is checked.
type Rule struct {
	Name  string
	About string // one line for people
	check func(*run)
}

// Rules are all rules, in the order in which they are run.
func Rules() []Rule {
	return []Rule{
		{"event-name", "event names match plan.yaml's naming", eventNames},
		{"past-tense", "event names say what happened", pastTense},
		{"near-duplicate", "no two events mean the same", nearDuplicates},
		{"duplicate-event", "a name and version is declared once", duplicateEvents},
		{"old-version", "of several versions, the older are deprecated", oldVersions},
		{"alias", "aliases belong to one event", aliases},
		{"identifier", "generated identifiers are distinct", identifiers},
		{"reserved-name", "Amplitude's own names are not used", reservedNames},
		{"property-name", "property and trait names are snake_case", propertyNames},
		{"property-twin", "one property name has one type in all events", propertyTwins},
		{"denied-name", "nothing is named like what must never be sent", deniedNames},
		{"owner", "every event has a known owner", owners},
		{"description", "descriptions say something", descriptions},
		{"category", "categories are declared", categories},
		{"category-source", "clients report no numbers of the business", categorySources},
		{"platforms", "platforms are known, and of client events", platforms},
		{"wire-at", "a ready event says where it is to be called", wireAt},
		{"group-types", "at most five group types, well named", groupTypes},
		{"group-parents", "every group's ancestors end at a root", groupParents},
		{"group-level", "events happen in declared groups", groupLevels},
		{"trait-subject", "traits are about the user or a declared group", traitSubjects},
		{"trait-update", "only numbers are counted up", traitUpdates},
		{"duplicate-trait", "a trait is declared once", duplicateTraits},
		{"action-key", "action keys are made of what is always there", actionKeys},
		{"strict-client", "strict delivery is for server events", strictClients},
		{"sampling", "sampled events are neither strict nor reconciled", sampling},
		{"required", "at most six required properties", tooManyRequired},
		{"properties", "at most forty properties", tooManyProperties},
		{"limits", "limits fit their type", limits},
		{"enum", "enums have 1 to 50 distinct values", enums},
		{"pii-policy", "personal data stays within the policy", piiPolicy},
		{"pii-id", "hashed identifiers are strings", piiIDs},
		{"revenue", "revenue comes from required properties", revenue},
		{"expired", "nothing has outlived its date", expired},
		{"replaced-by", "successors exist", replacedBy},
		{"published", "published versions are not edited", published},
		{"version-bump", "the version fits the change", versionBumps},
		{"lock-missing", "what was published stays in the plan", lockMissing},
		{"unsent", "nothing is removed that bundles still wait with", unsent},
		{"accept", "accepted rules exist, with a reason, and are needed", accepted},
	}
}

// Check runs every rule.
func Check(in Input) plan.Problems {
	r := &run{Input: in, used: map[string]bool{}}
	for _, rule := range Rules() {
		r.rule = rule.Name
		rule.check(r)
	}
	r.problems.Sort()
	return r.problems
}

// run is one pass over a plan.
type run struct {
	Input
	rule     string
	problems plan.Problems
	used     map[string]bool // "event version rule" accepted and needed
}

func (r *run) report(pos plan.Pos, fix, format string, args ...any) {
	r.problems = append(r.problems, plan.Problem{
		Pos: pos, Rule: r.rule, Message: fmt.Sprintf(format, args...), Fix: fix,
	})
}

// against reports a problem of an event, unless the event accepts it.
func (r *run) against(e plan.Event, pos plan.Pos, fix, format string, args ...any) {
	if e.Accepts(r.rule) {
		r.used[acceptKey(e, r.rule)] = true
		return
	}
	r.report(pos, fix, format, args...)
}

func acceptKey(e plan.Event, rule string) string {
	return e.Name + " " + e.Version.String() + " " + rule
}

// unacceptable are rules that guard a promise rather than taste.
var unacceptable = []string{
	"duplicate-event", "identifier", "reserved-name", "group-types", "group-parents", "group-level", "action-key",
	"pii-policy", "pii-id", "published", "version-bump", "unsent", "accept",
}

func accepted(r *run) {
	for _, e := range r.Plan.Events {
		for _, a := range e.Accept {
			known := slices.ContainsFunc(Rules(), func(rule Rule) bool { return rule.Name == a.Rule })
			switch {
			case !known:
				r.report(a.Pos, "plan lint --rules lists them", "there is no rule %q", a.Rule)
			case slices.Contains(unacceptable, a.Rule):
				r.report(a.Pos, "mend what it finds", "rule %q cannot be accepted", a.Rule)
			case a.Reason == "":
				r.report(a.Pos, "say why", "accepting %q needs a reason", a.Rule)
			case !r.used[acceptKey(e, a.Rule)]:
				r.report(a.Pos, "remove the line", "%s does not break %q", e.Name, a.Rule)
			}
		}
	}
}

// current are the events that are still sent.
func (r *run) current() []plan.Event {
	return slices.DeleteFunc(slices.Clone(r.Plan.Events), func(e plan.Event) bool { return e.Status == plan.Removed })
}

// everyProperty calls f for the properties of the current events and for traits,
// which have no event.
func (r *run) everyProperty(f func(e plan.Event, p plan.Property)) {
	for _, e := range r.current() {
		for _, p := range e.Properties {
			f(e, p)
		}
	}
	for _, t := range r.Plan.Traits {
		f(plan.Event{}, t.Property)
	}
}
