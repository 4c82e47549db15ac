package bundle

import (
	"encoding"
	"encoding/json"
	"reflect"
)

// tooDeep says that v is nested deeper than a bundle may be. It is asked before
// encoding/json, which follows a value as deep as it goes and ends the process, not the
// call, when the stack is full. What marshals itself is left to its own methods.
func tooDeep(v any) bool { return deeper(reflect.ValueOf(v), MaxDepth, maxHops) }

// maxHops bounds pointers to pointers, which add no depth to the JSON.
const maxHops = 1000

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// deeper looks for more than left objects and arrays inside one another.
func deeper(v reflect.Value, left, hops int) bool {
	if !v.IsValid() || v.Type().Implements(jsonMarshaler) || v.Type().Implements(textMarshaler) {
		return false
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return hops == 0 || deeper(v.Elem(), left, hops-1)
	case reflect.Map:
		for entries := v.MapRange(); nests(v.Type().Elem()) && entries.Next(); {
			if left == 0 || deeper(entries.Value(), left-1, hops) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for i := 0; nests(v.Type().Elem()) && i < v.Len(); i++ {
			if left == 0 || deeper(v.Index(i), left-1, hops) {
				return true
			}
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			if left == 0 || deeper(field, left-1, hops) {
				return true
			}
		}
	default: // it holds nothing
	}
	return false
}

// nests says whether values of a type can hold others.
func nests(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice, reflect.Array, reflect.Struct:
		return true
	default:
		return false
	}
}
