package gen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"waybill/internal/plan"
	"waybill/internal/plan/compiled"
)

// object is a JSON object; encoding/json writes its names in order.
type object map[string]any

// schemaFiles are the JSON Schemas of every version that is still sent.
func schemaFiles(in Input) ([]File, error) {
	var files []File
	for _, e := range current(in.Plan) {
		text, err := indented(eventSchema(in.Plan, e))
		if err != nil {
			return nil, err
		}
		files = append(files, File{in.generated("schemas", e.Name, e.Version.String()+".json"), text})
	}
	return files, nil
}

// eventSchema is the schema of an event's properties.
func eventSchema(p *plan.Plan, e plan.Event) object {
	properties := object{}
	required := []string{}
	for _, property := range e.Properties {
		s := valueSchema(property, slices.Contains(e.ActionKey, property.Name))
		if property.Description != "" {
			s["description"] = sentence(property.Description)
		}
		properties[property.Name] = s
		// What stays home is not in the bundle.
		if property.Required && property.Send {
			required = append(required, property.Name)
		}
	}
	return object{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"$id":                  fmt.Sprintf("urn:plan:%s:%s:%s", p.Name, e.Name, e.Version),
		"title":                e.Name + " " + e.Version.String(),
		"description":          sentence(e.Description),
		"type":                 "object",
		"properties":           properties,
		"required":             required,
		"additionalProperties": false,
	}
}

// hashedForm is what waybill.Token looks like.
const hashedForm = "^[^_]+_[0-9a-f]{32}$"

// yearPattern keeps forgotten times out: Go's zero time is in the year 1.
const yearPattern = "^[12][0-9]{3}-"

func valueSchema(p plan.Property, inKey bool) object {
	switch {
	case p.PII == plan.HashedID:
		return object{"type": "string", "pattern": hashedForm}
	case p.Enum != nil:
		return object{"type": "string", "enum": p.Enum.Values}
	}
	switch p.Type {
	case plan.Integer:
		lo, hi := bounds(p)
		return object{"type": "integer", "minimum": lo, "maximum": hi}
	case plan.Number:
		s := object{"type": "number"}
		if p.Min != nil {
			s["minimum"] = *p.Min
		}
		if p.Max != nil {
			s["maximum"] = *p.Max
		}
		return s
	case plan.Boolean:
		return object{"type": "boolean"}
	case plan.Timestamp:
		return object{"type": "string", "format": "date-time", "pattern": yearPattern}
	case plan.List:
		return object{"type": "array", "maxItems": p.MaxItems, "items": object{"type": "string", "maxLength": p.MaxLength}}
	default:
		s := object{"type": "string", "maxLength": p.MaxLength}
		if inKey || p.Type == plan.ID {
			s["minLength"] = 1
		}
		return s
	}
}

// compiledFile is the plan for programs.
func compiledFile(in Input) (File, error) {
	p := in.Plan
	out := compiled.Plan{
		Format: compiled.Format, Name: p.Name, Version: p.Version,
		Environments: p.Environments, PIIPolicy: string(p.PIIPolicy),
		Deny: p.DeniedNames(), DenyEndings: p.DeniedEndings(),
		Groups: []compiled.Group{}, Events: []compiled.Event{}, Traits: []compiled.Trait{},
	}
	for _, g := range p.Groups {
		out.Groups = append(out.Groups, compiled.Group{Type: g.Type, Parent: g.Parent})
	}
	events := slices.Clone(p.Events)
	sortEvents(events)
	for _, e := range events {
		compiledEvent, err := compileEvent(p, e)
		if err != nil {
			return File{}, err
		}
		out.Events = append(out.Events, compiledEvent)
	}
	for _, subject := range p.Subjects() {
		for _, t := range p.TraitsOf(subject) {
			schema, err := json.Marshal(valueSchema(t.Property, false))
			if err != nil {
				return File{}, err
			}
			out.Traits = append(out.Traits, compiled.Trait{Subject: subject, Name: t.Name, Update: string(t.Update), Schema: schema})
		}
	}
	text, err := indented(out)
	return File{in.generated("plan.json"), text}, err
}

func compileEvent(p *plan.Plan, e plan.Event) (compiled.Event, error) {
	schema, err := json.Marshal(eventSchema(p, e))
	if err != nil {
		return compiled.Event{}, err
	}
	out := compiled.Event{
		Name: e.Name, AmplitudeName: e.WireName(), Aliases: e.Aliases, Version: e.Version.String(),
		Kind: string(e.Kind), Status: string(e.Status), Category: e.Category, Owner: e.Owner,
		GroupLevel: e.GroupLevel, Platforms: e.Platforms, Delivery: string(e.Delivery), Mode: string(e.Mode),
		ActionKey: e.ActionKey, Reconcile: e.Reconcile, SampleRate: e.SampleRate, Schema: schema,
	}
	for _, s := range e.Sources {
		out.Sources = append(out.Sources, string(s))
	}
	if e.Revenue != nil {
		out.Revenue = &compiled.Revenue{Amount: e.Revenue.Amount, Currency: e.Revenue.Currency}
	}
	for _, property := range e.Properties {
		if !property.Send {
			out.Home = append(out.Home, property.Name)
		}
	}
	return out, nil
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
