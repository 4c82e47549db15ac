package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// trait is the newest committed version of one property, as waybill.profile keeps it.
type trait struct {
	Value    json.RawMessage
	At       int64 // µs since 1970
	BundleID int64
	Unset    bool
	// Once marks a value that is set only if the user has none, with the version of
	// the newest bundle that offered one. It yields to any plain value that is newer
	// than its floor, the removal it came after, and it is never shown as the user's
	// value: Amplitude may hold an older one.
	Once    bool
	FloorAt int64 // µs since 1970
	FloorID int64 // bundle id, 0 for no removal
}

func (t trait) version() version { return version{at: t.At, id: t.BundleID} }

// floor is the version that a plain value must not be older than.
func (t trait) floor() version {
	if t.Once {
		return version{at: t.FloorAt, id: t.FloorID}
	}
	return t.version()
}

// raise moves the version on if v is newer.
func (t *trait) raise(v version) {
	if v.after(t.version()) {
		t.At, t.BundleID = v.at, v.id
	}
}

// traits are properties, sorted by name. A slice, because a profile holds a handful and
// is copied more often than it is searched.
type traits []namedTrait

type namedTrait struct {
	name string
	trait
}

func (t traits) find(name string) (int, bool) {
	return slices.BinarySearchFunc(t, name, func(a namedTrait, name string) int { return strings.Compare(a.name, name) })
}

func (t traits) get(name string) (trait, bool) {
	if i, ok := t.find(name); ok {
		return t[i].trait, true
	}
	return trait{}, false
}

// set replaces a trait. The value that comes is part of a bundle, and is copied: profiles
// are remembered, and must not keep the bundles in memory.
func (t *traits) set(name string, v trait) {
	i, ok := t.find(name)
	if !ok {
		*t = slices.Insert(*t, i, namedTrait{name: name})
	}
	one := &(*t)[i]
	if was := one.Value; bytes.Equal(was, v.Value) {
		v.Value = was
	} else {
		v.Value = bytes.Clone(v.Value)
	}
	one.trait = v
}

// newest is the greatest version among them, and the names that have it.
func (t traits) newest() (v version, names string) {
	for i := range t {
		if own := t[i].version(); own.after(v) {
			v = own
		}
	}
	var joined strings.Builder
	for i := range t {
		if t[i].version() != v {
			continue
		}
		if joined.Len() > 0 {
			joined.WriteString(nameSeparator)
		}
		joined.WriteString(t[i].name)
	}
	return v, joined.String()
}

// raise moves the versions of some names on.
func (t traits) raise(names string, v version) {
	if names == "" {
		return
	}
	for name := range strings.SplitSeq(names, nameSeparator) {
		if i, ok := t.find(name); ok {
			t[i].raise(v)
		}
	}
}

// appendJSON writes them as an object of {"value", "at", "bundle_id"} by name, with
// "unset", "once" and the floor where there are any.
func (t traits) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i := range t {
		one := &t[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, one.name)
		dst = append(dst, `:{"value":`...)
		dst = append(dst, one.Value...)
		dst = appendInt(dst, `,"at":`, one.At)
		dst = appendInt(dst, `,"bundle_id":`, one.BundleID)
		if one.Unset {
			dst = append(dst, `,"unset":true`...)
		}
		if one.Once {
			dst = append(dst, `,"once":true`...)
		}
		if one.FloorID != 0 {
			dst = appendInt(dst, `,"floor_at":`, one.FloorAt)
			dst = appendInt(dst, `,"floor_id":`, one.FloorID)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendInt(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(dst, name...), n, 10)
}

// readTraits reads what appendJSON wrote and Postgres has stored as jsonb.
func readTraits(text string) (traits, error) {
	if text == "{}" {
		return nil, nil
	}
	document := gjson.Parse(text)
	if !document.IsObject() {
		return nil, fmt.Errorf("read traits: %d bytes are no object", len(text))
	}
	all := make(traits, 0, strings.Count(text, `"bundle_id":`)) // at least as many as there are
	document.ForEach(func(name, fields gjson.Result) bool {
		all = append(all, namedTrait{name.String(), readTrait(fields)})
		return true
	})
	// jsonb sorts names by their length first.
	slices.SortFunc(all, func(a, b namedTrait) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func readTrait(fields gjson.Result) (t trait) {
	fields.ForEach(func(name, field gjson.Result) bool {
		switch name.Str {
		case "value":
			t.Value = json.RawMessage(field.Raw)
		case "at":
			t.At = field.Int()
		case "bundle_id":
			t.BundleID = field.Int()
		case "unset":
			t.Unset = field.Bool()
		case "once":
			t.Once = field.Bool()
		case "floor_at":
			t.FloorAt = field.Int()
		case "floor_id":
			t.FloorID = field.Int()
		}
		return true
	})
	return t
}
