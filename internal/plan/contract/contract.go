// Package contract holds what one version of an event promises to everyone who
// reads it, tells how two versions differ, and keeps the published ones in the
// lock file.
package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"waybill/internal/plan"
)

// Contract is the part of an event that readers rely on. Descriptions, owners and
// the like are not in it. Its JSON form stands in the lock.
type Contract struct {
	AmplitudeName string              `json:"amplitude_name,omitempty"`
	GroupLevel    string              `json:"group_level,omitempty"`
	ActionKey     []string            `json:"action_key,omitempty"`
	Revenue       []string            `json:"revenue,omitempty"` // amount, currency
	Properties    map[string]Property `json:"properties,omitempty"`
}

// Property is the contract of one property.
type Property struct {
	Type      plan.Type `json:"type"`
	Of        string    `json:"of,omitempty"`
	Required  bool      `json:"required,omitempty"`
	Enum      []string  `json:"enum,omitempty"`
	MaxLength int       `json:"max_length,omitempty"`
	MaxItems  int       `json:"max_items,omitempty"`
	Min       *float64  `json:"min,omitempty"`
	Max       *float64  `json:"max,omitempty"`
	Token     bool      `json:"token,omitempty"`
	Home      bool      `json:"home,omitempty"` // not sent
}

// Of is the contract of an event.
func Of(e plan.Event) Contract {
	c := Contract{
		AmplitudeName: e.AmplitudeName, GroupLevel: e.GroupLevel, ActionKey: e.ActionKey,
		Properties: make(map[string]Property, len(e.Properties)),
	}
	if e.Revenue != nil {
		c.Revenue = []string{e.Revenue.Amount, e.Revenue.Currency}
	}
	for _, p := range e.Properties {
		property := Property{
			Type: p.Type, Of: p.Of, Required: p.Required, MaxLength: p.MaxLength, MaxItems: p.MaxItems,
			Min: p.Min, Max: p.Max, Token: p.PII == plan.HashedID, Home: !p.Send,
		}
		if p.Enum != nil {
			property.Enum = slices.Sorted(slices.Values(p.Enum.Values))
		}
		c.Properties[p.Name] = property
	}
	return c
}

// Effect is what a change does to those who read the event.
type Effect int

// The effects, mild to severe.
const (
	Same     Effect = iota
	Additive        // old readers go on working: a new MINOR
	Breaking        // they may not: a new MAJOR
)

func (e Effect) String() string {
	return [...]string{"same", "additive", "breaking"}[e]
}

// Change is one difference between two contracts.
type Change struct {
	Effect Effect
	What   string // "report_id: max_length 64 became 32"
}

// Compare lists how a contract has changed, in a stable order.
func Compare(before, after Contract) []Change {
	var c changes
	c.text("amplitude_name", before.AmplitudeName, after.AmplitudeName)
	c.text("group_level", before.GroupLevel, after.GroupLevel)
	c.text("action_key", strings.Join(before.ActionKey, ", "), strings.Join(after.ActionKey, ", "))
	c.text("revenue", strings.Join(before.Revenue, ", "), strings.Join(after.Revenue, ", "))
	names := maps.Clone(before.Properties)
	if names == nil {
		names = map[string]Property{}
	}
	maps.Copy(names, after.Properties)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		property, was := before.Properties[name]
		now, is := after.Properties[name]
		switch {
		case !is:
			c.add(Breaking, "%s: removed", name)
		case !was && now.Required:
			c.add(Breaking, "%s: added, required", name)
		case !was:
			c.add(Additive, "%s: added", name)
		default:
			c.property(name, property, now)
		}
	}
	return c.list
}

// Worst is the effect of all changes together.
func Worst(list []Change) Effect {
	worst := Same
	for _, change := range list {
		worst = max(worst, change.Effect)
	}
	return worst
}

type changes struct{ list []Change }

func (c *changes) add(effect Effect, format string, args ...any) {
	c.list = append(c.list, Change{effect, fmt.Sprintf(format, args...)})
}

func (c *changes) text(name, before, after string) {
	if before != after {
		c.add(Breaking, "%s: %s became %s", name, orNone(before), orNone(after))
	}
}

func (c *changes) property(name string, before, after Property) {
	c.text(name+": type", typeOf(before), typeOf(after))
	if before.Required != after.Required {
		c.add(Breaking, "%s: required %t became %t", name, before.Required, after.Required)
	}
	if before.Home != after.Home {
		c.add(Breaking, "%s: send %t became %t", name, !before.Home, !after.Home)
	}
	c.enum(name, before.Enum, after.Enum)
	c.upper(name+": max_length", whole(before.MaxLength), whole(after.MaxLength))
	c.upper(name+": max_items", whole(before.MaxItems), whole(after.MaxItems))
	c.upper(name+": max", before.Max, after.Max)
	c.upper(name+": min", negative(before.Min), negative(after.Min))
}

func (c *changes) enum(name string, before, after []string) {
	switch {
	case before == nil && after != nil:
		c.add(Breaking, "%s: became an enum", name)
		return
	case before != nil && after == nil:
		c.add(Additive, "%s: is no longer an enum", name)
		return
	}
	for _, v := range before {
		if !slices.Contains(after, v) {
			c.add(Breaking, "%s: value %q removed", name, v)
		}
	}
	for _, v := range after {
		if !slices.Contains(before, v) {
			c.add(Additive, "%s: value %q added", name, v)
		}
	}
}

// upper compares upper limits, nil being none: wider adds, narrower breaks.
func (c *changes) upper(name string, before, after *float64) {
	switch {
	case before == nil && after == nil, before != nil && after != nil && *before == *after:
	case after == nil, before != nil && *after > *before:
		c.add(Additive, "%s widened", name)
	default:
		c.add(Breaking, "%s narrowed", name)
	}
}

func whole(limit int) *float64 {
	if limit == 0 {
		return nil
	}
	f := float64(limit)
	return &f
}

func negative(limit *float64) *float64 {
	if limit == nil {
		return nil
	}
	f := -*limit
	return &f
}

func typeOf(p Property) string {
	text := string(p.Type)
	if p.Of != "" {
		text += " of " + p.Of
	}
	if p.Token {
		text += " (hashed)"
	}
	return text
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// equal compares the JSON forms: a contract read from the lock has lost the
// difference between nil and empty.
func equal(a, b Contract) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}
