// Package diff compares two states of a tracking plan and says what the change
// means for those who read the events.
package diff

import (
	"slices"
	"strings"

	"waybill/internal/plan"
	"waybill/internal/plan/contract"
)

// Kind is what happened to an event.
type Kind string

// The kinds.
const (
	Added    Kind = "added"
	Additive Kind = "additive"
	Breaking Kind = "breaking"
	Status   Kind = "status" // the contract is the same
	Removed  Kind = "removed"
)

// Entry is one event that changed.
type Entry struct {
	Kind       Kind
	Name       string
	Pos        plan.Pos // in the new plan, or the old one if it is gone
	From, To   plan.Version
	FromStatus plan.Status
	ToStatus   plan.Status
	Changes    []contract.Change
	// Need is the least version the change calls for, and Missing that the plan
	// has not got it. Events nobody reads yet need none.
	Need    plan.Version
	Missing bool
}

// Compare lists the events that differ, by name. Order of files and stanzas,
// descriptions and owners are no difference.
func Compare(base, head *plan.Plan) []Entry {
	var entries []Entry
	for _, e := range head.Events {
		before, ok := predecessor(base, e)
		switch {
		case !ok && e.Status == plan.Removed:
		case !ok:
			entries = append(entries, Entry{Kind: Added, Name: e.Name, Pos: e.Pos, To: e.Version, ToStatus: e.Status})
		default:
			if entry, changed := compare(before, e); changed {
				entries = append(entries, entry)
			}
		}
	}
	for _, e := range base.Events {
		if e.Status != plan.Removed && !succeeded(head, e) {
			entries = append(entries, Entry{
				Kind: Removed, Name: e.Name, Pos: e.Pos, From: e.Version, FromStatus: e.Status,
				Missing: e.Published(), Need: e.Version, ToStatus: "",
			})
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}

// predecessor is the version of the same MAJOR, or else the newest older one.
func predecessor(base *plan.Plan, e plan.Event) (plan.Event, bool) {
	var found plan.Event
	for _, b := range base.Events {
		if b.Name != e.Name {
			continue
		}
		if b.Version.Major == e.Version.Major {
			return b, true
		}
		if b.Version.Less(e.Version) && !b.Version.Less(found.Version) {
			found = b
		}
	}
	return found, found.Name != ""
}

// succeeded reports whether an event of the base is still in the plan: its MAJOR
// is, or it was never published and a later one is.
func succeeded(head *plan.Plan, e plan.Event) bool {
	return slices.ContainsFunc(head.Events, func(h plan.Event) bool {
		return h.Name == e.Name && (h.Version.Major == e.Version.Major || !e.Published())
	})
}

func compare(before, after plan.Event) (Entry, bool) {
	entry := Entry{
		Name: after.Name, Pos: after.Pos, From: before.Version, To: after.Version,
		FromStatus: before.Status, ToStatus: after.Status, Need: before.Version,
	}
	if after.Status == plan.Removed {
		entry.Kind = Removed
		return entry, before.Status != plan.Removed
	}
	entry.Changes = contract.Compare(contract.Of(before), contract.Of(after))
	switch contract.Worst(entry.Changes) {
	case contract.Breaking:
		entry.Kind, entry.Need = Breaking, plan.Version{Major: before.Version.Major + 1}
	case contract.Additive:
		entry.Kind, entry.Need = Additive, plan.Version{Major: before.Version.Major, Minor: before.Version.Minor + 1}
	default:
		entry.Kind = Status
		return entry, before.Status != after.Status || before.Version != after.Version
	}
	entry.Missing = before.Published() && after.Version.Less(entry.Need)
	return entry, true
}
