package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"waybill/internal/bundle"
)

// properties checks the event's properties against its schema.
func (v *visit) properties(e *entry) {
	raw := v.b.Track.Properties
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	v.value(e.form, raw, "")
}

// value checks one JSON value. at is what it is the value of.
func (v *visit) value(f form, raw json.RawMessage, at string) {
	if f.takes(raw) {
		return
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err == nil {
		err = f.schema.Validate(document)
	}
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
	case errors.As(err, &invalid):
		v.invalid(invalid, at)
	default: // the bundle was parsed before
		v.add(at, "type", "is no JSON")
	}
}

// invalid puts a schema's complaint into words that hold no value.
func (v *visit) invalid(err *jsonschema.ValidationError, at string) {
	if len(err.Causes) > 0 {
		for _, cause := range err.Causes {
			v.invalid(cause, at)
		}
		return
	}
	place := at
	for _, step := range err.InstanceLocation {
		if _, number := strconv.Atoi(step); number == nil && place != "" {
			place += "[" + step + "]"
		} else {
			place = bundle.Member(place, step)
		}
	}
	switch k := err.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			v.add(bundle.Member(place, name), "required", "is missing")
		}
	case *kind.AdditionalProperties:
		for _, name := range slices.Sorted(slices.Values(k.Properties)) {
			v.add(bundle.Member(place, name), "unknown_property", "is not in the plan")
		}
	case *kind.Type:
		v.add(place, "type", "is of type "+k.Got+", not "+strings.Join(k.Want, " or "))
	case *kind.Enum:
		v.add(place, "enum", "is none of its values")
	case *kind.MinLength:
		v.add(place, "length", "is shorter than "+strconv.Itoa(k.Want))
	case *kind.MaxLength:
		v.add(place, "length", "is longer than "+strconv.Itoa(k.Want))
	case *kind.MaxItems:
		v.add(place, "items", "has more entries than "+strconv.Itoa(k.Want))
	case *kind.Minimum, *kind.Maximum:
		v.add(place, "range", "is out of its range")
	case *kind.Pattern, *kind.Format:
		v.add(place, "form", "is not of its form: a hashed id, or a time as RFC 3339 writes it")
	default:
		v.add(place, "schema", "does not fit its schema")
	}
}

// traits checks what the bundle says about its user.
func (v *visit) traits() {
	if id := v.b.Identify; id != nil {
		v.subject("user", "set", &id.Set)
		v.subject("user", "set_once", &id.SetOnce)
		for _, name := range id.Unset {
			v.trait("user", "set", name)
		}
	}
	for name, delta := range v.b.Increment {
		if t := v.trait("user", "increment", name); t != nil {
			v.value(t.form, json.RawMessage(delta), "user."+name)
		}
	}
}

// subject checks values, and takes out those that are never sent.
func (v *visit) subject(subject, update string, values *bundle.Values) {
	*values = slices.DeleteFunc(*values, func(one bundle.NamedValue) bool {
		t := v.trait(subject, update, one.Name)
		if t != nil {
			v.value(t.form, one.Value, subject+"."+one.Name)
		}
		denied := t == nil && v.plan.traits[subject][one.Name] == nil && v.plan.denies(one.Name)
		if denied {
			v.add(bundle.Member(subject, one.Name), "denied", "is never sent")
		}
		return denied
	})
}

// trait finds a trait that changes in this way; nil is a violation.
func (v *visit) trait(subject, update, name string) *trait {
	t := v.plan.traits[subject][name]
	switch {
	case t == nil:
		v.add(bundle.Member(subject, name), "unknown_trait", "is not in the plan")
	case t.update != update:
		v.add(bundle.Member(subject, name), "trait_update", "is changed by "+update+", and the plan says "+t.update)
		return nil
	}
	return t
}

// groups checks the hierarchy and what the bundle says about it.
func (v *visit) groups() {
	for i := range v.b.Groups {
		g := &v.b.Groups[i]
		parent, known := v.plan.parents[g.Type]
		if !known {
			v.add(bundle.Name(g.Type), "unknown_group", "is no group type of the plan")
			continue
		}
		v.subject(g.Type, "set", &g.Set)
		if g.Parent == "" {
			continue
		}
		above := slices.IndexFunc(v.b.Groups[:i], func(other bundle.Group) bool { return other.ID == g.Parent && other.Type == parent })
		if above < 0 {
			v.add(g.Type, "group_parent", "does not belong to its "+parent)
		}
	}
}

// denies says whether a name that the plan does not have is one that is never sent.
func (p *Plan) denies(name string) bool {
	name = strings.ToLower(name)
	return p.denied[name] || p.deniedEndings[name[strings.LastIndexByte(name, '_')+1:]]
}

// strip takes out of the event what must not leave the house: properties that the plan
// keeps home, and names that are never sent. e is nil for an event the plan does not
// know.
func (v *visit) strip(e *entry) {
	t := v.b.Track
	if len(t.Properties) == 0 {
		return
	}
	doomed := func(name string) bool {
		if e != nil && e.planned[name] {
			return slices.Contains(e.home, name)
		}
		return v.plan.denies(name)
	}
	if e != nil && len(e.home) == 0 && !v.strange() {
		return
	}
	var properties map[string]json.RawMessage
	if json.Unmarshal(t.Properties, &properties) != nil {
		return // the bundle was parsed before
	}
	before := len(properties)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !doomed(name) {
			continue
		}
		delete(properties, name)
		if e == nil || !e.planned[name] {
			v.add(bundle.Name(name), "denied", "is never sent")
		}
	}
	if len(properties) == before {
		return
	}
	t.Properties = nil
	if len(properties) > 0 {
		t.Properties, _ = json.Marshal(properties) // raw JSON as it came, names in order
	}
}

// strange says whether the event has properties that the plan does not know.
func (v *visit) strange() bool {
	return len(v.list) == maxViolations ||
		slices.ContainsFunc(v.list, func(x Violation) bool { return x.Rule == "unknown_property" })
}
