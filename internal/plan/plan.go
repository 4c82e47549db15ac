// Package plan is the tracking plan: every event, trait and group a product may
// send, read from YAML with the place of everything in it.
//
// Load refuses what is not a plan (malformed YAML, unknown fields, values of the
// wrong kind). Whether it is a good one is for package lint.
package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Pos is a place in a file of the plan.
type Pos struct {
	File string // as the reader would open it, with slashes
	Line int    // from 1; 0 is the file as a whole
}

// String reads plan/events/reports.yaml:12.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Plan is a whole tracking plan.
type Plan struct {
	Pos          Pos
	Name         string // of the product, Amplitude's plan source
	Version      string
	GoPackage    string // directory of the generated Go, from the application's root
	Naming       *regexp.Regexp
	Categories   []Category
	Owners       []Named
	Groups       []Group
	Environments []string
	PIIPolicy    PIIPolicy
	Deny         []string // property names refused on top of the built-in ones
	Enums        []Enum
	Events       []Event
	Traits       []Trait
}

// Named is a name and where it stands.
type Named struct {
	Pos  Pos
	Name string
}

// Category sorts events by what they are good for.
type Category struct {
	Pos         Pos
	Name        string
	Description string
	ServerOnly  bool // numbers of the business: no browser or app may report them
}

// Group is one type of the account hierarchy.
type Group struct {
	Pos         Pos
	Type        string
	Parent      string // type of the group above; empty is a root
	Description string
}

// Enum is a closed set of strings.
type Enum struct {
	Pos    Pos
	Name   string
	Values []string
}

// Event is one version of one event.
type Event struct {
	Pos           Pos
	Domain        string // name of its file
	Name          string
	AmplitudeName string   // event type at Amplitude where it differs from Name
	Aliases       []string // names it had, or has elsewhere
	Version       Version
	Kind          Kind
	Status        Status
	Description   string
	Category      string
	Owner         string
	GroupLevel    string // group type it happens in; empty: no group
	Sources       []Source
	Platforms     []string // that may send it from a client; empty: all
	Delivery      Delivery
	Mode          Mode
	ActionKey     []string // required properties, or group types at or above GroupLevel
	Revenue       *Revenue
	Reconcile     bool    // compared with business rows
	SampleRate    float64 // share that is sent; 1 is all
	Expires       string  // YYYY-MM-DD, or empty
	WireAt        string  // where it is to be called from while it is not live
	ReplacedBy    string
	Accept        []Accept
	Properties    []Property
}

// Accept is a lint rule an event may break, and why.
type Accept struct {
	Pos    Pos
	Rule   string
	Reason string
}

// Revenue names the properties that hold the money an event brought.
type Revenue struct {
	Pos      Pos
	Amount   string // property of type number, in major units
	Currency string // property of type string, ISO 4217
}

// Property is one value an event carries, or a trait.
type Property struct {
	Pos         Pos
	Name        string
	Type        Type
	Of          string // for an id: the thing it identifies
	Required    bool
	Enum        *Enum
	MaxLength   int // characters; 0 where it does not apply
	MaxItems    int // of a list
	Min, Max    *float64
	PII         PII
	Send        bool // false: used for the action key and kept out of the bundle
	Description string
}

// Trait is something known about a user or a group.
type Trait struct {
	Property
	Subject string // "user" or a group type
	Update  Update
}

// WireName is the event type Amplitude receives.
func (e Event) WireName() string {
	if e.AmplitudeName != "" {
		return e.AmplitudeName
	}
	return e.Name
}

// Published reports an event whose readers may rely on its contract.
func (e Event) Published() bool { return e.Status == Live || e.Status == Deprecated }

// From reports whether the source may send the event.
func (e Event) From(s Source) bool { return slices.Contains(e.Sources, s) }

// Property finds a property by name.
func (e Event) Property(name string) (Property, bool) {
	for _, p := range e.Properties {
		if p.Name == name {
			return p, true
		}
	}
	return Property{}, false
}

// Required are the properties the event cannot be without, in plan order.
func (e Event) Required() []Property {
	return slices.DeleteFunc(slices.Clone(e.Properties), func(p Property) bool { return !p.Required })
}

// Accepts reports whether the event may break a lint rule.
func (e Event) Accepts(rule string) bool {
	return slices.ContainsFunc(e.Accept, func(a Accept) bool { return a.Rule == rule })
}

// Group finds a group type.
func (p *Plan) Group(groupType string) (Group, bool) {
	for _, g := range p.Groups {
		if g.Type == groupType {
			return g, true
		}
	}
	return Group{}, false
}

// Chain is the group type and those above it, root first. It ends at an unknown
// parent and at a cycle, which lint reports.
func (p *Plan) Chain(groupType string) []Group {
	var chain []Group
	for g, ok := p.Group(groupType); ok && len(chain) <= len(p.Groups); g, ok = p.Group(g.Parent) {
		chain = append(chain, g)
	}
	slices.Reverse(chain)
	return chain
}

// Latest reports whether no other version of the event is newer.
func (p *Plan) Latest(e Event) bool {
	return !slices.ContainsFunc(p.Events, func(other Event) bool {
		return other.Name == e.Name && other.Status != Removed && e.Version.Less(other.Version)
	})
}

// Subjects are what traits can be about: the user and every group type.
func (p *Plan) Subjects() []string {
	subjects := []string{UserSubject}
	for _, g := range p.Groups {
		subjects = append(subjects, g.Type)
	}
	return subjects
}

// TraitsOf are the traits of one subject, in plan order.
func (p *Plan) TraitsOf(subject string) []Trait {
	return slices.DeleteFunc(slices.Clone(p.Traits), func(t Trait) bool { return t.Subject != subject })
}

// Domains are the names of the event files, in order.
func (p *Plan) Domains() []string {
	var domains []string
	for _, e := range p.Events {
		if !slices.Contains(domains, e.Domain) {
			domains = append(domains, e.Domain)
		}
	}
	slices.Sort(domains)
	return domains
}

// Problem is one thing that is wrong with a plan.
type Problem struct {
	Pos     Pos
	Rule    string // of lint; empty: it could not be read
	Message string
	Fix     string
}

// String reads plan/events/reports.yaml:12: what is wrong; what to do.
func (p Problem) String() string {
	text := p.Pos.String() + ": " + p.Message
	if p.Fix != "" {
		text += "; " + p.Fix
	}
	if p.Rule != "" {
		text += " [" + p.Rule + "]"
	}
	return text
}

// Problems are all that was found.
type Problems []Problem

// String has one problem a line.
func (p Problems) String() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Sort orders problems by place.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		if c := strings.Compare(a.Pos.File, b.Pos.File); c != 0 {
			return c
		}
		return a.Pos.Line - b.Pos.Line
	})
}
