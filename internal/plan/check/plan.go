package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"waybill/internal/plan/compiled"
)

// Plan is a compiled plan, ready to check with.
type Plan struct {
	name, version, place string
	stamp                json.RawMessage
	events               map[string]*event            // by every name they go by
	traits               map[string]map[string]*trait // by subject and name
	parents              map[string]string            // of group types; a root's is empty
	denied               map[string]bool
	deniedEndings        map[string]bool
}

// event is one event in all its versions.
type event struct {
	name    string
	entries []*entry // by MAJOR, ascending
}

// entry is what bundles of one MAJOR are checked against.
type entry struct {
	major, minor int
	wire, status string
	mode         Mode
	sources      []string
	platforms    []string
	levels       []string          // group types it happens in, root first
	revenue      *compiled.Revenue // nil: it brings none
	sampled      bool
	share        float64 // that is sent
	home         []string
	key          []keyPart
	keyForm      string          // order_completed:<order_id>, for people
	planned      map[string]bool // names of its properties
	form         form
}

type trait struct {
	update string
	form   form
}

// New makes a plan ready. place is where it was read, for messages. The error says
// which part of the plan cannot be used.
func New(p compiled.Plan, place string) (*Plan, error) {
	stamp, err := json.Marshal(struct {
		Branch  string `json:"branch"`
		Source  string `json:"source"`
		Version string `json:"version"`
	}{"main", p.Name, p.Version})
	if err != nil {
		return nil, err
	}
	out := &Plan{
		name: p.Name, version: p.Version, place: place, stamp: stamp,
		events: map[string]*event{}, traits: map[string]map[string]*trait{}, parents: map[string]string{},
		denied: setOf(p.Deny), deniedEndings: setOf(p.DenyEndings),
	}
	for _, g := range p.Groups {
		out.parents[g.Type] = g.Parent
	}
	for _, e := range p.Events {
		if err := out.addEvent(e); err != nil {
			return nil, fmt.Errorf("event %s %s: %w", e.Name, e.Version, err)
		}
	}
	for _, t := range p.Traits {
		if err := out.addTrait(t); err != nil {
			return nil, fmt.Errorf("trait %s of %s: %w", t.Name, t.Subject, err)
		}
	}
	return out, nil
}

// String names the plan as people know it: its name and version.
func (p *Plan) String() string { return p.name + " " + p.version }

// Stamp is the JSON object that says, at Amplitude, by which plan an event was checked:
// https://amplitude.com/docs/apis/analytics/http-v2, "plan". Its branch is main, which
// is Amplitude's name for what is in force.
func (p *Plan) Stamp() json.RawMessage { return p.stamp }

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

func (p *Plan) addEvent(e compiled.Event) error {
	next := &entry{
		wire: e.AmplitudeName, status: e.Status, mode: Mode(e.Mode), sources: e.Sources, platforms: e.Platforms,
		levels: p.chain(e.GroupLevel), revenue: e.Revenue, home: e.Home, share: e.SampleRate,
		// What the business cannot do without is never left out.
		sampled: e.SampleRate < 1 && e.Delivery != "strict",
	}
	var ok bool
	if next.major, next.minor, ok = readVersion(e.Version); !ok {
		return fmt.Errorf("its version is not MAJOR.MINOR")
	}
	if e.Name == "" || e.AmplitudeName == "" {
		return errors.New("it has no name, or none at Amplitude")
	}
	if !slices.Contains(Modes, next.mode) {
		return fmt.Errorf("its mode is none of %v", Modes)
	}
	var err error
	if next.form, err = compile(e.Schema); err != nil {
		return err
	}
	next.planned = map[string]bool{}
	for name := range next.form.schema.Properties {
		next.planned[name] = true
	}
	next.readKey(e, p.parents)
	known, ok := p.events[e.Name]
	if !ok {
		known = &event{name: e.Name}
	}
	known.add(next)
	for _, name := range append([]string{e.Name, e.AmplitudeName}, e.Aliases...) {
		if other, taken := p.events[name]; taken && other != known {
			return fmt.Errorf("%q is a name of %s too", name, other.name)
		}
		p.events[name] = known
	}
	return nil
}

// add keeps one entry a MAJOR, that of the newest MINOR: minors only add.
func (e *event) add(next *entry) {
	at, found := slices.BinarySearchFunc(e.entries, next.major, func(have *entry, major int) int { return have.major - major })
	switch {
	case !found:
		e.entries = slices.Insert(e.entries, at, next)
	case e.entries[at].minor < next.minor:
		e.entries[at] = next
	}
}

// newest is the entry of the highest MAJOR that may be sent, or of the highest.
func (e *event) newest() *entry {
	for _, have := range slices.Backward(e.entries) {
		if have.status != "planned" && have.status != "removed" {
			return have
		}
	}
	return e.entries[len(e.entries)-1]
}

// find is the entry that bundles of a version are checked against, or what is wrong
// with the version, and whether it is newer than the plan. A bundle without a version
// is of the newest.
func (e *event) find(version string, p *Plan) (found *entry, problem string, newer bool) {
	if version == "" {
		return e.newest(), "", false
	}
	major, minor, ok := readVersion(version)
	if !ok {
		return nil, "is not MAJOR.MINOR", false
	}
	last := e.entries[len(e.entries)-1]
	for _, have := range e.entries {
		if have.major == major && minor <= have.minor {
			return have, "", false
		}
		newer = newer || have.major == major
	}
	if newer || major > last.major {
		return nil, fmt.Sprintf("%s is newer than the plan file %s (%s), which knows %d.%d; give the worker the file of the sender's release, restart it, then worker retry",
			version, p.place, p, last.major, last.minor), true
	}
	return nil, fmt.Sprintf("%s is not in the plan", version), false
}

func readVersion(s string) (major, minor int, ok bool) {
	majorText, minorText, found := strings.Cut(s, ".")
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(minorText)
	ok = found && err1 == nil && err2 == nil && major >= 1 && minor >= 0 && fmt.Sprintf("%d.%d", major, minor) == s
	return major, minor, ok
}

// chain is a group type and those above it, root first.
func (p *Plan) chain(groupType string) []string {
	var chain []string
	for at := groupType; at != "" && !slices.Contains(chain, at); at = p.parents[at] {
		chain = append(chain, at)
	}
	slices.Reverse(chain)
	return chain
}

func (p *Plan) addTrait(t compiled.Trait) error {
	made, err := compile(t.Schema)
	if err != nil {
		return err
	}
	if p.traits[t.Subject] == nil {
		p.traits[t.Subject] = map[string]*trait{}
	}
	p.traits[t.Subject][t.Name] = &trait{update: t.Update, form: made}
	return nil
}

// compile makes a schema ready. It fetches nothing: a plan's schemas refer to nothing.
func compile(text json.RawMessage) (form, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return form{}, fmt.Errorf("its schema is no JSON: %w", err)
	}
	const name = "urn:waybill:schema"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.UseLoader(nowhere{})
	if err := compiler.AddResource(name, document); err != nil {
		return form{}, fmt.Errorf("its schema cannot be used: %w", err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		return form{}, fmt.Errorf("its schema cannot be used: %w", err)
	}
	return form{schema, newQuick(text)}, nil
}

// nowhere loads nothing.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %s, and a plan's schemas stand alone", url)
}
