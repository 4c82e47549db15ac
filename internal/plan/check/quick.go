package check

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tidwall/gjson"
)

// form is a schema with a short cut: most values are fine and plainly so, which costs a
// tenth of asking the library. What the short cut does not take is the library's to
// judge, and to put into words.
type form struct {
	schema *jsonschema.Schema
	quick  *quick
}

func (f form) takes(raw json.RawMessage) bool { return f.quick != nil && f.quick.takes(raw) }

// quick takes only what its schema takes.
type quick struct {
	kind        string
	least, most int // characters
	lo, hi      float64
	enum        map[string]bool
	properties  map[string]*quick // nil values: always the library's to judge
	required    map[string]uint64 // a bit for each
	complete    uint64            // all of them
}

// sketch is the part of JSON Schema that has a short cut.
type sketch struct {
	ID          string                     `json:"$id"`
	Dialect     string                     `json:"$schema"`
	Title       string                     `json:"title"`
	Description string                     `json:"description"`
	Type        string                     `json:"type"`
	MinLength   int                        `json:"minLength"`
	MaxLength   *int                       `json:"maxLength"`
	Minimum     *float64                   `json:"minimum"`
	Maximum     *float64                   `json:"maximum"`
	Enum        []string                   `json:"enum"`
	Properties  map[string]json.RawMessage `json:"properties"`
	Required    []string                   `json:"required"`
	Additional  *bool                      `json:"additionalProperties"`
}

// newQuick is nil for a schema that says more than a sketch holds.
func newQuick(schema json.RawMessage) *quick {
	decoder := json.NewDecoder(bytes.NewReader(schema))
	decoder.DisallowUnknownFields()
	var s sketch
	if decoder.Decode(&s) != nil || len(s.Required) > 64 {
		return nil
	}
	q := &quick{kind: s.Type, least: s.MinLength, most: math.MaxInt, lo: math.Inf(-1), hi: math.Inf(1)}
	if s.MaxLength != nil {
		q.most = *s.MaxLength
	}
	if s.Minimum != nil {
		q.lo = *s.Minimum
	}
	if s.Maximum != nil {
		q.hi = *s.Maximum
	}
	if s.Enum != nil {
		q.enum = setOf(s.Enum)
	}
	if s.Type == "object" {
		q.properties, q.required = map[string]*quick{}, map[string]uint64{}
		for name, property := range s.Properties {
			q.properties[name] = newQuick(property)
		}
		for i, name := range s.Required {
			q.required[name] = 1 << i
			q.complete |= 1 << i
		}
	}
	return q
}

func (q *quick) takes(raw json.RawMessage) bool {
	switch q.kind {
	case "string":
		return q.takesText(raw)
	case "boolean":
		return string(raw) == "true" || string(raw) == "false"
	case "integer":
		return q.takesInteger(string(raw))
	case "number":
		f, err := strconv.ParseFloat(string(raw), 64)
		return err == nil && q.lo < f && f < q.hi // at a limit a float64 may have been rounded
	case "object":
		return q.takesObject(raw)
	}
	return false
}

func (q *quick) takesText(raw json.RawMessage) bool {
	if len(raw) < len(`""`) || raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return false
	}
	text := raw[1 : len(raw)-1]
	if q.enum != nil {
		return q.enum[string(text)] && q.most == math.MaxInt && q.least == 0
	}
	n := utf8.RuneCount(text)
	return q.least <= n && n <= q.most
}

// exactDigits are as many as a float64 and an int64 hold without loss.
const exactDigits = 15

func (q *quick) takesInteger(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > exactDigits || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && q.lo <= float64(n) && float64(n) <= q.hi
}

// takesObject wants every property known and plainly right.
func (q *quick) takesObject(raw json.RawMessage) bool {
	var seen uint64
	fine := true
	document := gjson.ParseBytes(raw)
	if !document.IsObject() {
		return false
	}
	document.ForEach(func(name, value gjson.Result) bool {
		property := q.properties[name.Str]
		fine = property != nil && property.takes(json.RawMessage(value.Raw))
		seen |= q.required[name.Str]
		return fine
	})
	return fine && seen == q.complete
}
