// Package compiled is the tracking plan as one JSON file, for the programs that
// check bundles against it.
package compiled

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Format is the version of the file that this program writes and reads.
const Format = 1

// Plan is the file. Everything in it is in a fixed order.
type Plan struct {
	Format       int      `json:"format"`
	Name         string   `json:"name"`                   // Amplitude's plan.source
	Version      string   `json:"version"`                // Amplitude's plan.version
	Environments []string `json:"environments,omitempty"` // the product runs in; none: not said
	PIIPolicy    string   `json:"pii_policy"`             // none, traits_only
	Deny         []string `json:"deny,omitempty"`         // names of properties and traits that are never sent, unless planned
	DenyEndings  []string `json:"deny_endings,omitempty"` // last words of such names
	Groups       []Group  `json:"groups"`
	Events       []Event  `json:"events"`
	Traits       []Trait  `json:"traits"`
}

// Group is one type of the hierarchy.
type Group struct {
	Type   string `json:"type"`
	Parent string `json:"parent,omitempty"`
}

// Event is one version of an event. A bundle of version MAJOR.x is checked
// against the one entry of that MAJOR, whose MINOR is the newest: minors only
// add.
type Event struct {
	Name          string   `json:"name"`
	AmplitudeName string   `json:"amplitude_name"` // as bundles carry it; equals Name unless the plan says otherwise
	Aliases       []string `json:"aliases,omitempty"`
	Version       string   `json:"version"`
	Kind          string   `json:"kind"`
	Status        string   `json:"status"` // planned, ready, live, deprecated, removed
	Category      string   `json:"category"`
	Owner         string   `json:"owner"`
	GroupLevel    string   `json:"group_level,omitempty"` // group type a bundle must have, with its ancestors
	Sources       []string `json:"sources"`               // server, client
	Platforms     []string `json:"platforms,omitempty"`   // of clients; none: all
	Delivery      string   `json:"delivery"`              // strict, best_effort
	Mode          string   `json:"mode"`                  // observe, quarantine, enforce

	// ActionKey names the parts of the action key, after the event's name:
	// properties, or group types, whose group's id it is. The parts are joined
	// with colons; in each, % is %25 and : is %3A. Integers are decimal,
	// timestamps RFC 3339 in UTC. None: the sender names the action.
	ActionKey []string `json:"action_key,omitempty"`

	Revenue    *Revenue        `json:"revenue,omitempty"`
	Reconcile  bool            `json:"reconcile,omitempty"`
	SampleRate float64         `json:"sample_rate"`
	Home       []string        `json:"home,omitempty"` // properties that must not reach Amplitude
	Schema     json.RawMessage `json:"schema"`         // JSON Schema 2020-12 of the properties
}

// Revenue names the properties that hold it.
type Revenue struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Trait is something known about the user or a group.
type Trait struct {
	Subject string          `json:"subject"` // "user" or a group type
	Name    string          `json:"name"`
	Update  string          `json:"update"` // set, set_once, increment
	Schema  json.RawMessage `json:"schema"` // of the value
}

// Read reads a compiled plan.
func Read(text []byte) (Plan, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return Plan{}, unreadable(err)
	}
	if head.Format != Format {
		return Plan{}, fmt.Errorf("has format %d and this program reads %d", head.Format, Format)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var p Plan
	if err := decoder.Decode(&p); err != nil {
		return Plan{}, unreadable(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Plan{}, errors.New("has text after its end")
	}
	return p, nil
}

// unreadable says in a few words where the text stops being a plan.
func unreadable(err error) error {
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("is no compiled plan, from byte %d on", syntax.Offset)
	case errors.As(err, &mistyped):
		return fmt.Errorf("is no compiled plan, from byte %d on", mistyped.Offset)
	}
	return fmt.Errorf("is no compiled plan: %s", strings.TrimPrefix(err.Error(), "json: "))
}
