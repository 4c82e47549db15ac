package bundle

import (
	"encoding/json"
	"slices"
	"strings"
)

// Values is a JSON object whose values stay JSON: sorted by name, each name once. A
// slice, because an object holds a handful of names and is walked more often than it is
// searched.
type Values []NamedValue

// NamedValue is one member of [Values].
type NamedValue struct {
	Name  string
	Value json.RawMessage
}

// ValuesOf puts the members of a map into their order.
func ValuesOf(m map[string]json.RawMessage) Values {
	values := make(Values, 0, len(m))
	for name, value := range m {
		values = append(values, NamedValue{name, value})
	}
	values.sort()
	return values
}

// Get returns the value of a name, nil if there is none.
func (v Values) Get(name string) json.RawMessage {
	if i, ok := v.find(name); ok {
		return v[i].Value
	}
	return nil
}

// Set adds a value, or replaces the one of the same name.
func (v *Values) Set(name string, value json.RawMessage) {
	i, ok := v.find(name)
	if !ok {
		*v = slices.Insert(*v, i, NamedValue{Name: name})
	}
	(*v)[i].Value = value
}

func (v Values) find(name string) (int, bool) {
	return slices.BinarySearchFunc(v, name, func(a NamedValue, name string) int { return strings.Compare(a.Name, name) })
}

func (v Values) sort() {
	slices.SortFunc(v, func(a, b NamedValue) int { return strings.Compare(a.Name, b.Name) })
}
