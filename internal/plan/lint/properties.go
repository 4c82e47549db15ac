package lint

import (
	"slices"

	"waybill/internal/plan"
)

const (
	maxRequired   = 6
	maxProperties = 40
	maxEnum       = 50
)

func tooManyRequired(r *run) {
	for _, e := range r.current() {
		if n := len(e.Required()); n > maxRequired {
			r.against(e, e.Pos, "make optional what the event makes sense without", "%s requires %d properties, more than %d", e.Name, n, maxRequired)
		}
	}
}

func tooManyProperties(r *run) {
	for _, e := range r.current() {
		if n := len(e.Properties); n > maxProperties {
			r.against(e, e.Pos, "send less, or make two events", "%s has %d properties, more than %d", e.Name, n, maxProperties)
		}
	}
}

func propertyTwins(r *run) {
	first := map[string]plan.Property{}
	for _, e := range r.current() {
		for _, p := range e.Properties {
			other, ok := first[p.Name]
			if !ok {
				first[p.Name] = p
				continue
			}
			if p.Type != other.Type || p.PII != other.PII || p.Of != other.Of {
				r.against(e, p.Pos, "make them alike, or rename one", "%s is of type %s here and of type %s in %s", p.Name, kindOf(p), kindOf(other), other.Pos)
			}
		}
	}
}

func kindOf(p plan.Property) string {
	s := string(p.Type)
	if p.Of != "" {
		s += " of " + p.Of
	}
	if p.PII != plan.NotPersonal {
		s += " of class " + string(p.PII)
	}
	return s
}

func limits(r *run) {
	r.everyProperty(func(e plan.Event, p plan.Property) {
		long := p.Type == plan.String || p.Type == plan.ID || p.Type == plan.List
		numeric := p.Type == plan.Integer || p.Type == plan.Number
		switch {
		case p.MaxLength > 0 && (!long || p.Enum != nil || p.PII == plan.HashedID):
			r.against(e, p.Pos, "remove it", "max_length of %s means nothing", p.Name)
		case p.MaxItems > 0 && p.Type != plan.List:
			r.against(e, p.Pos, "remove it", "max_items of %s means nothing", p.Name)
		case (p.Min != nil || p.Max != nil) && !numeric:
			r.against(e, p.Pos, "remove them", "min and max of %s mean nothing", p.Name)
		case p.Min != nil && p.Max != nil && *p.Min > *p.Max:
			r.against(e, p.Pos, "exchange them", "min of %s is above its max", p.Name)
		case p.MaxLength > plan.DefaultMaxLength:
			r.against(e, p.Pos, "use at most 1024, where Amplitude cuts", "max_length of %s is %d", p.Name, p.MaxLength)
		case p.Type == plan.ID && p.Enum == nil && p.Of == "":
			r.against(e, p.Pos, "add of: and what it identifies", "%s is an id of nothing", p.Name)
		case p.Type != plan.ID && p.Of != "":
			r.against(e, p.Pos, "remove it, or use type: id", "of: of %s means nothing", p.Name)
		case !p.Send && !slices.Contains(e.ActionKey, p.Name):
			r.against(e, p.Pos, "use it in the action key, or remove it", "%s is not sent and names no action", p.Name)
		}
	})
}

func enums(r *run) {
	declared := map[string]*plan.Enum{}
	seen := map[*plan.Enum]bool{}
	check := func(n *plan.Enum) {
		if seen[n] {
			return
		}
		seen[n] = true
		if len(n.Values) == 0 || len(n.Values) > maxEnum {
			r.report(n.Pos, "list 1 to 50", "enum %s has %d values", n.Name, len(n.Values))
		}
		if sorted := slices.Sorted(slices.Values(n.Values)); len(slices.Compact(sorted)) < len(n.Values) {
			r.report(n.Pos, "keep one of them", "enum %s has a value twice", n.Name)
		}
		if slices.Contains(n.Values, "") {
			r.report(n.Pos, "remove it; leave the property out instead", "enum %s has an empty value", n.Name)
		}
		other, taken := declared[n.Name]
		if taken && !slices.Equal(other.Values, n.Values) {
			r.report(n.Pos, "declare both under enums: in plan.yaml, under two names", "enum %s has other values in %s", n.Name, other.Pos)
		}
		declared[n.Name] = n
	}
	for i := range r.Plan.Enums {
		check(&r.Plan.Enums[i])
	}
	r.everyProperty(func(e plan.Event, p plan.Property) {
		if p.Enum == nil {
			return
		}
		check(p.Enum)
		if p.Type != plan.String || p.PII != plan.NotPersonal {
			r.against(e, p.Pos, "use type: string, without pii", "%s is an enum and no plain string", p.Name)
		}
	})
}

func piiPolicy(r *run) {
	for _, e := range r.current() {
		for _, p := range e.Properties {
			r.piiClass(p)
			if p.PII == plan.Personal {
				r.report(p.Pos, "make it a trait, or send a hashed id", "%s is personal, and events carry nothing personal", p.Name)
			}
		}
	}
	for _, t := range r.Plan.Traits {
		r.piiClass(t.Property)
		if t.PII == plan.Personal && r.Plan.PIIPolicy != plan.PIITraitsOnly {
			r.report(t.Pos, "do not send it, or set pii_policy: traits_only", "trait %s is personal, and the policy is %s", t.Name, r.Plan.PIIPolicy)
		}
	}
}

func (r *run) piiClass(p plan.Property) {
	if p.PII == plan.Content || p.PII == plan.Secret {
		r.report(p.Pos, "do not send it: send a length, a count or a yes or no", "%s is of class %s", p.Name, p.PII)
	}
}

func piiIDs(r *run) {
	r.everyProperty(func(_ plan.Event, p plan.Property) {
		if p.PII == plan.HashedID && p.Type != plan.String {
			r.report(p.Pos, "set type: string", "%s is a hashed identifier of type %s", p.Name, p.Type)
		}
	})
}
