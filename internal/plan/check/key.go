package check

import (
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"waybill/internal/bundle"
	"waybill/internal/plan/compiled"
)

// keyPart is one part of an action key, after the event's name.
type keyPart struct {
	name  string
	group bool // a group type, whose id it is; otherwise a property
	time  bool
}

func (e *entry) readKey(from compiled.Event, groups map[string]string) {
	e.keyForm = from.Name
	for _, name := range from.ActionKey {
		part := keyPart{name: name}
		if schema, ok := e.form.schema.Properties[name]; ok {
			part.time = schema.Format != nil && schema.Format.Name == "date-time"
		} else {
			_, part.group = groups[name]
		}
		e.key = append(e.key, part)
		e.keyForm += ":<" + name + ">"
	}
}

// actionKey checks that the action is named as every other sender names it: two names for
// one action are two events. It says nothing where the bundle does not hold what the key
// is made of, because it stays home, and nothing of an event under one of its old names,
// whose keys are old ones too.
func (v *visit) actionKey(e *entry, name, given string) {
	if len(e.key) == 0 || given != name && given != e.wire {
		return
	}
	want := name
	for _, part := range e.key {
		text, ok := part.of(v.b)
		if !ok {
			return
		}
		want += ":" + escape.Replace(text)
	}
	if v.b.Key != want {
		v.add("key", "action_key", "is not made as "+e.keyForm)
	}
}

// escape keeps ("a:b", "c") and ("a", "b:c") apart.
var escape = strings.NewReplacer("%", "%25", ":", "%3A")

// of is the part's text in a bundle, if it is there and has one spelling.
func (k keyPart) of(b *bundle.Bundle) (text string, ok bool) {
	if k.group {
		for _, g := range b.Groups {
			if g.Type == k.name {
				return g.ID, g.ID != ""
			}
		}
		return "", false
	}
	value := gjson.GetBytes(b.Track.Properties, gjson.Escape(k.name))
	switch {
	case value.Type == gjson.String && k.time:
		at, err := time.Parse(time.RFC3339Nano, value.Str)
		return at.UTC().Format(time.RFC3339Nano), err == nil
	case value.Type == gjson.String:
		return value.Str, value.Str != ""
	case value.Type == gjson.Number:
		digits := strings.TrimPrefix(value.Raw, "-")
		return value.Raw, strings.Trim(digits, "0123456789") == ""
	}
	return "", false
}
