package lint

import (
	"regexp"
	"slices"
	"strings"

	"waybill/internal/plan"
	"waybill/internal/plan/contract"
)

// Amplitude has five group types a project:
// https://amplitude.com/docs/analytics/account-level-reporting
const maxGroupTypes = 5

var groupTypeName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func groupTypes(r *run) {
	for i, g := range r.Plan.Groups {
		if i == maxGroupTypes {
			r.report(g.Pos, "remove one; Amplitude drops what is too much", "%s is group type number six, and there are at most five", g.Type)
		}
		if !groupTypeName.MatchString(g.Type) || g.Type == plan.UserSubject {
			r.report(g.Pos, "use small letters, digits and underscores, and not user", "group type %q will not do", g.Type)
		}
	}
}

func groupParents(r *run) {
	var told []string // groups of a circle that was reported
	for _, g := range r.Plan.Groups {
		if g.Parent == "" {
			continue
		}
		chain := r.Plan.Chain(g.Type)
		if _, ok := r.Plan.Group(g.Parent); !ok {
			r.report(g.Pos, "declare it, or remove parent:", "group %s is in %s, which is not declared", g.Type, g.Parent)
		} else if len(chain) > len(r.Plan.Groups) && !slices.Contains(told, g.Type) {
			path := circle(r.Plan, g)
			told = append(told, path...)
			r.report(g.Pos, "let one of them have no parent", "group %s is above itself: %s", g.Type, strings.Join(path, " > "))
		}
	}
}

// circle is account, workspace, account.
func circle(p *plan.Plan, g plan.Group) []string {
	path := []string{g.Type}
	for next, ok := p.Group(g.Parent); ok; next, ok = p.Group(next.Parent) {
		again := slices.Contains(path, next.Type)
		path = append(path, next.Type)
		if again {
			break
		}
	}
	return path
}

func groupLevels(r *run) {
	for _, e := range r.current() {
		if _, ok := r.Plan.Group(e.GroupLevel); e.GroupLevel != "" && !ok {
			r.report(e.Pos, "declare it under groups: in plan.yaml, or use one that is", "group_level %q of %s is unknown", e.GroupLevel, e.Name)
		}
	}
}

func traitSubjects(r *run) {
	for _, t := range r.Plan.Traits {
		if !slices.Contains(r.Plan.Subjects(), t.Subject) {
			r.report(t.Pos, "use "+strings.Join(r.Plan.Subjects(), ", "), "trait %s is about %q, which is not declared", t.Name, t.Subject)
		}
	}
}

func traitUpdates(r *run) {
	for _, t := range r.Plan.Traits {
		switch {
		case t.Update == plan.Increment && t.Type != plan.Integer && t.Type != plan.Number:
			r.report(t.Pos, "use type: integer, or update: set", "trait %s is counted up and of type %s", t.Name, t.Type)
		case t.Update != plan.Set && t.Subject != plan.UserSubject:
			r.report(t.Pos, "use update: set", "trait %s of a group is %s, and groups' traits are only set", t.Name, t.Update)
		}
	}
}

func duplicateTraits(r *run) {
	first := map[string]plan.Pos{}
	for _, t := range r.Plan.Traits {
		key := t.Subject + " " + t.Name
		if pos, taken := first[key]; taken {
			r.report(t.Pos, "keep one", "trait %s of %s is declared in %s too", t.Name, t.Subject, pos)
		}
		first[key] = t.Pos
	}
}

func published(r *run) {
	for _, e := range r.Plan.Events {
		if e.Status == plan.Planned || e.Status == plan.Ready {
			if _, ok := r.Lock.Find(e.Name, e.Version); ok {
				r.report(e.Pos, "set status: deprecated or removed", "%s %s was published and is %s again", e.Name, e.Version, e.Status)
				continue
			}
		}
		if edits := r.Lock.Edited(e); len(edits) > 0 {
			r.report(e.Pos, "bump the version to "+bump(e.Version, contract.Worst(edits)).String()+", or undo the edit",
				"%s %s was published and its contract changed: %s", e.Name, e.Version, describe(edits))
		}
	}
}

// versionBumps compares a version with the published one before it.
func versionBumps(r *run) {
	for _, e := range r.current() {
		if _, ok := r.Lock.Find(e.Name, e.Version); ok {
			continue
		}
		before, ok := r.Lock.Previous(e.Name, e.Version)
		if !ok {
			continue
		}
		list := contract.Compare(before.Contract, contract.Of(e))
		if contract.Worst(list) == contract.Breaking {
			r.report(e.Pos, "call it "+bump(e.Version, contract.Breaking).String(),
				"%s %s breaks readers of %s: %s", e.Name, e.Version, before.Version, describe(list))
		}
	}
}

func bump(v plan.Version, effect contract.Effect) plan.Version {
	if effect == contract.Breaking {
		return plan.Version{Major: v.Major + 1}
	}
	return plan.Version{Major: v.Major, Minor: v.Minor + 1}
}

func describe(list []contract.Change) string {
	var words []string
	for i, c := range list {
		if i == 3 {
			words = append(words, "…")
			break
		}
		words = append(words, c.What)
	}
	return strings.Join(words, "; ")
}

func lockMissing(r *run) {
	for _, entry := range r.Lock.Entries {
		kept := slices.ContainsFunc(r.Plan.Events, func(e plan.Event) bool {
			return e.Name == entry.Event && e.Version.Major == entry.Version.Major && !e.Version.Less(entry.Version)
		})
		if !kept {
			r.report(plan.Pos{File: r.LockFile, Line: entry.Line}, "restore its stanza, with status: removed if it is no longer sent",
				"%s %s was published and is gone from the plan", entry.Event, entry.Version)
		}
	}
}

// unsent wants to know, before a version goes, that no bundle waits with it: it would be
// held back instead of delivered.
func unsent(r *run) {
	for _, e := range r.Plan.Events {
		if e.Status != plan.Removed {
			continue
		}
		if entry, ok := r.Lock.Unpruned(e.Name, e.Version.Major); ok {
			r.report(e.Pos, "run plan prune "+e.Name+" "+e.Version.String()+", which asks the database, or leave it deprecated",
				"%s %s was published, and bundles may still wait with it", e.Name, entry.Version)
		}
	}
}
