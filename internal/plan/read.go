package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func readEvents(p *Plan, r *reader, n *yaml.Node) {
	o := r.object(n, "an events file")
	domain := strings.TrimSuffix(path.Base(r.file), ".yaml")
	for _, item := range o.items("events") {
		p.Events = append(p.Events, readEvent(p, r.object(item, "an event"), domain))
	}
	o.done()
}

func readEvent(p *Plan, o *object, domain string) Event {
	e := Event{
		Pos: o.pos("name"), Domain: domain, Name: o.required("name"),
		Version:       readVersion(o),
		Status:        cmp.Or(choice(o, "status", Statuses...), Planned),
		Kind:          cmp.Or(choice(o, "kind", SingleAction, Summary), SingleAction),
		Description:   o.required("description"),
		Category:      o.required("category"),
		Owner:         o.required("owner"),
		GroupLevel:    o.text("group_level"),
		Delivery:      cmp.Or(choice(o, "delivery", Strict, BestEffort), Strict),
		Mode:          cmp.Or(choice(o, "mode", Observe, Quarantine, Enforce), Enforce),
		ActionKey:     o.strings("action_key"),
		AmplitudeName: o.text("amplitude_name"),
		Aliases:       o.strings("aliases"),
		Platforms:     o.strings("platforms"),
		Reconcile:     o.flag("reconcile", false),
		SampleRate:    1,
		Expires:       o.text("expires"),
		WireAt:        o.text("wire_at"),
		ReplacedBy:    o.text("replaced_by"),
	}
	if rate := o.number("sample_rate"); rate != nil {
		e.SampleRate = *rate
	}
	e.Sources = readSources(o)
	e.Revenue = readRevenue(o)
	for _, m := range o.each("accept") {
		reason, _ := o.scalar(m.value, "the reason", "text", "!!str")
		e.Accept = append(e.Accept, Accept{Pos: o.reader.pos(m.key), Rule: m.key.Value, Reason: strings.TrimSpace(reason)})
	}
	for _, m := range o.each("properties") {
		property := o.object(m.value, "a property")
		e.Properties = append(e.Properties, readProperty(p, property, m.key, true))
		property.done()
	}
	o.done()
	return e
}

func readVersion(o *object) Version {
	n := o.take("version")
	if n == nil {
		if !o.broken("version") {
			o.report(o.node, o.what+" has no version", `add version: "1.0"`)
		}
		return Version{1, 0}
	}
	// 1.10 as a YAML number would be 1.1, so only text will do.
	text, ok := o.scalar(n, "version", `text in quotes, such as "1.0"`, "!!str")
	if !ok {
		return Version{1, 0}
	}
	v, err := ParseVersion(text)
	if err != nil {
		o.report(n, err.Error(), `write version: "1.0"`)
		return Version{1, 0}
	}
	return v
}

func readSources(o *object) []Source {
	var sources []Source
	for _, s := range o.texts("sources") {
		source := Source(s.Name)
		if source != Server && source != Client {
			o.problems = append(o.problems, Problem{Pos: s.Pos, Message: fmt.Sprintf("source %q is unknown", s.Name), Fix: "use server or client"})
			continue
		}
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	if len(sources) == 0 {
		return []Source{Server}
	}
	return sources
}

func readRevenue(o *object) *Revenue {
	n := o.take("revenue")
	if n == nil {
		return nil
	}
	inner := o.object(n, "revenue")
	r := &Revenue{Pos: o.pos("revenue"), Amount: inner.required("amount"), Currency: inner.required("currency")}
	inner.done()
	return r
}

func readProperty(p *Plan, o *object, key *yaml.Node, onEvent bool) Property {
	property := Property{
		Pos: o.reader.pos(key), Name: key.Value,
		Type:        choice(o, "type", String, Integer, Number, Boolean, ID, Timestamp, List),
		Of:          o.text("of"),
		MaxLength:   o.count("max_length"),
		MaxItems:    o.count("max_items"),
		Min:         o.number("min"),
		Max:         o.number("max"),
		PII:         cmp.Or(choice(o, "pii", NotPersonal, HashedID, Personal, Content, Secret), NotPersonal),
		Description: o.text("description"),
		Send:        true,
	}
	if property.Type == "" {
		if !o.broken("type") {
			o.report(key, property.Name+" has no type", "add type: string, or another")
		}
		property.Type = String
	}
	if onEvent {
		property.Required = o.flag("required", false)
		property.Send = o.flag("send", true)
	}
	property.Enum = readPropertyEnum(p, o, property.Name)
	property.limits()
	return property
}

// limits fills in what the plan leaves open. MaxLength stays 0 where a type has no
// length, so that lint can tell a limit that means nothing.
func (p *Property) limits() {
	switch {
	case p.PII == HashedID || p.Enum != nil:
	case p.Type == ID:
		p.MaxLength = cmp.Or(p.MaxLength, DefaultIDMaxLength)
		p.Of = cmp.Or(p.Of, strings.TrimSuffix(p.Name, "_id"))
	case p.Type == List:
		p.MaxItems = cmp.Or(p.MaxItems, DefaultMaxItems)
		p.MaxLength = cmp.Or(p.MaxLength, DefaultMaxLength)
	case p.Type == String:
		p.MaxLength = cmp.Or(p.MaxLength, DefaultMaxLength)
	}
}

// readPropertyEnum reads a list of values, named like the property, or the name of
// an enum of plan.yaml.
func readPropertyEnum(p *Plan, o *object, property string) *Enum {
	n := o.take("enum")
	if n == nil {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		return &Enum{Pos: o.pos("enum"), Name: property, Values: o.strings("enum")}
	}
	name := o.text("enum")
	for i := range p.Enums {
		if p.Enums[i].Name == name {
			return &p.Enums[i]
		}
	}
	o.report(n, fmt.Sprintf("enum %q is not declared", name), "list it under enums: in plan.yaml, or write the values here")
	return nil
}

func readTraits(p *Plan, r *reader, n *yaml.Node) {
	o := r.object(n, "a traits file")
	subject := o.required("subject")
	for _, m := range o.each("traits") {
		inner := r.object(m.value, "a trait")
		t := Trait{
			Subject:  subject,
			Update:   cmp.Or(choice(inner, "update", Set, SetOnce, Increment), Set),
			Property: readProperty(p, inner, m.key, false),
		}
		inner.done()
		p.Traits = append(p.Traits, t)
	}
	o.done()
}
