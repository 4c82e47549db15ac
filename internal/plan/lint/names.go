package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"waybill/internal/plan"
	"waybill/internal/plan/ident"
)

func eventNames(r *run) {
	for _, e := range r.Plan.Events {
		if !r.Plan.Naming.MatchString(e.Name) {
			r.against(e, e.Pos, "rename it, and list the old name under aliases", "event name %q does not match %s", e.Name, r.Plan.Naming)
		}
	}
}

// irregular are past forms that do not end in "ed".
var irregular = []string{
	"begun", "bought", "broken", "brought", "built", "chosen", "cut", "done", "drawn", "fallen", "forgotten", "found",
	"given", "gone", "held", "hidden", "hit", "kept", "known", "left", "lost", "made", "met", "paid", "put", "read",
	"reset", "run", "said", "seen", "sent", "set", "shown", "shut", "sold", "spent", "split", "taken", "thrown", "told",
	"upset", "won", "written",
}

func pastTense(r *run) {
	for _, e := range r.current() {
		said := slices.ContainsFunc(ident.Words(e.Name), func(w string) bool {
			return len(w) > 3 && strings.HasSuffix(w, "ed") || slices.Contains(irregular, w)
		})
		if !said {
			r.against(e, e.Pos, "name it object_action, such as report_created", "%s does not say what happened", e.Name)
		}
	}
}

// synonyms are verbs that people use for one thing.
var synonyms = map[string]string{
	"executed": "performed", "ran": "performed", "made": "created", "added": "created", "deleted": "removed",
	"modified": "changed", "updated": "changed", "edited": "changed", "finished": "completed", "opened": "viewed",
	"seen": "viewed", "begun": "started",
}

// sense is a name without its spelling: sorted words, one verb for several.
func sense(name string) string {
	list := ident.Words(name)
	for i, w := range list {
		if s, ok := synonyms[w]; ok {
			list[i] = s
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func nearDuplicates(r *run) {
	events := r.current()
	for i, e := range events {
		for _, other := range events[:i] {
			if e.Name == other.Name || sense(e.Name) != sense(other.Name) && plan.Distance(e.Name, other.Name) > 1 {
				continue
			}
			r.against(e, e.Pos, "use one for both; or accept near-duplicate and say how they differ",
				"%s looks like %s (%s)", e.Name, other.Name, other.Pos)
		}
	}
}

func duplicateEvents(r *run) {
	for i, e := range r.Plan.Events {
		for _, other := range r.Plan.Events[:i] {
			switch {
			case e.Name == other.Name && e.Version == other.Version:
				r.report(e.Pos, "keep one, or give this one a new version", "%s %s is declared in %s too", e.Name, e.Version, other.Pos)
			case e.Name == other.Name && e.Version.Major == other.Version.Major && e.Status != plan.Removed && other.Status != plan.Removed:
				r.report(e.Pos, "keep the newer one: a new MINOR replaces the stanza",
					"%s has two versions of MAJOR %d, here and in %s", e.Name, e.Version.Major, other.Pos)
			}
		}
	}
}

func oldVersions(r *run) {
	for _, e := range r.current() {
		if !r.Plan.Latest(e) && e.Status != plan.Deprecated {
			r.report(e.Pos, "set status: deprecated, or removed", "%s %s is %s beside a newer version", e.Name, e.Version, e.Status)
		}
	}
}

func aliases(r *run) {
	owner := map[string]plan.Event{}
	for _, e := range r.Plan.Events {
		for _, name := range append([]string{e.Name, e.WireName()}, e.Aliases...) {
			if other, taken := owner[name]; taken && other.Name != e.Name {
				r.report(e.Pos, "leave the name to one of them", "%s is a name of %s (%s) too", name, other.Name, other.Pos)
				continue
			}
			owner[name] = e
		}
	}
}

// identifiers catches names that are different words and the same identifier, on
// file systems and in languages that fold case too.
func identifiers(r *run) {
	seen := map[string]string{} // folded identifier → where it came from
	claim := func(pos plan.Pos, identifier, from string) {
		folded := strings.ToLower(identifier)
		if other, taken := seen[folded]; taken && other != from {
			r.report(pos, "rename one of them", "%s and %s are both %s in the generated code", from, other, identifier)
			return
		}
		seen[folded] = from
	}
	for _, e := range r.current() {
		claim(e.Pos, ident.Exported(e.Name), "event "+e.Name)
		claim(e.Pos, ident.Exported(e.Name)+"Event", "event "+e.Name)
		if !r.Plan.Latest(e) {
			claim(e.Pos, fmt.Sprintf("%sV%d", ident.Exported(e.Name), e.Version.Major), fmt.Sprintf("event %s %s", e.Name, e.Version))
		}
	}
	r.everyProperty(func(_ plan.Event, p plan.Property) {
		if p.Type == plan.ID && p.PII != plan.HashedID {
			claim(p.Pos, ident.Exported(p.Of+"_id"), "id of "+p.Of)
		}
		if p.Enum == nil {
			return
		}
		claim(p.Enum.Pos, ident.Exported(p.Enum.Name), "enum "+p.Enum.Name)
		for _, v := range p.Enum.Values {
			claim(p.Enum.Pos, ident.Exported(p.Enum.Name)+ident.Exported(v), "enum "+p.Enum.Name+" value "+v)
		}
	})
	for _, t := range r.Plan.Traits {
		claim(t.Pos, "Set"+ident.Exported(t.Subject+"_"+t.Name), "trait "+t.Name+" of "+t.Subject)
	}
	for _, g := range r.Plan.Groups {
		claim(g.Pos, "In"+ident.Exported(g.Type), "group "+g.Type)
		claim(g.Pos, ident.Exported(g.Type)+"Scope", "group "+g.Type)
		claim(g.Pos, ident.Exported(g.Type)+"Trait", "group "+g.Type)
		claim(g.Pos, ident.Exported(g.Type+"_id"), "id of "+g.Type)
	}
	r.identifiersWithin()
}

// methods are names that every generated event has.
var methods = []string{"AsEvent", "At", "BestEffort", "Groups", "Validate"}

func (r *run) identifiersWithin() {
	for _, e := range r.current() {
		seen := map[string]string{}
		for _, p := range e.Properties {
			name := ident.Exported(p.Name)
			if other, taken := seen[strings.ToLower(name)]; taken {
				r.report(p.Pos, "rename one of them", "properties %s and %s of %s are both %s in the generated code", p.Name, other, e.Name, name)
			}
			seen[strings.ToLower(name)] = p.Name
			if slices.Contains(methods, name) {
				r.report(p.Pos, "rename it", "property %s of %s would hide the method %s", p.Name, e.Name, name)
			}
		}
	}
}

// reserved are property names that Amplitude or the bundle gives a meaning.
var reserved = []string{"event_id", "insert_id", "device_id", "group_type", "parent_group_id"}

func reservedNames(r *run) {
	check := func(pos plan.Pos, name string) {
		if strings.HasPrefix(name, "$") || strings.HasPrefix(strings.ToLower(name), "[amplitude]") || slices.Contains(reserved, name) {
			r.report(pos, "choose another name", "%q is reserved", name)
		}
	}
	for _, e := range r.Plan.Events {
		check(e.Pos, e.Name)
		check(e.Pos, e.WireName())
	}
	r.everyProperty(func(_ plan.Event, p plan.Property) { check(p.Pos, p.Name) })
}

var snake = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func propertyNames(r *run) {
	r.everyProperty(func(e plan.Event, p plan.Property) {
		if !snake.MatchString(p.Name) && !strings.HasPrefix(p.Name, "$") { // which is reserved, and said so
			r.against(e, p.Pos, "use small letters, digits and underscores", "%q is not snake_case", p.Name)
		}
	})
}

// deniedNames leaves out what says nothing: numbers, enums, hashed identifiers.
// Personal traits are the policy's affair.
func deniedNames(r *run) {
	r.everyProperty(func(e plan.Event, p plan.Property) {
		speaks := (p.Type == plan.String || p.Type == plan.List) && p.Enum == nil && p.PII == plan.NotPersonal
		if speaks && r.Plan.Denies(p.Name) {
			r.against(e, p.Pos, "send a length, a count, an enum or a hashed id instead", "%q is never sent as text", p.Name)
		}
	})
}
