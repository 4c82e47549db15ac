package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Cleaned counts what [Clean] changed.
type Cleaned struct {
	Cut      int // strings cut to 1,024 characters
	Replaced int // characters replaced by U+FFFD
}

// Add adds other to c.
func (c *Cleaned) Add(other Cleaned) {
	c.Cut += other.Cut
	c.Replaced += other.Replaced
}

// Clean makes one JSON value fit to be stored and sent: strings of more than
// 1,024 characters are cut, and NUL characters, invalid UTF-8 and half
// surrogate pairs are replaced by U+FFFD. A value that needs nothing is
// returned as it came, sharing raw's memory. Clean(Clean(x)) is Clean(x).
//
// The error is a [Refusal], for what cannot be mended: malformed JSON, more
// than 40 levels, an object of more than 1,000 names, a name of more than
// 1,024 characters, an integer beyond 2^53, a number outside float64.
func Clean(raw []byte) (json.RawMessage, Cleaned, error) {
	s := scanner{data: raw}
	if err := s.document(); err != nil {
		return nil, Cleaned{}, err
	}
	if !s.dirty {
		return raw, Cleaned{}, nil
	}
	out, cleaned := rewrite(raw)
	return out, cleaned, nil
}

// rewrite copies a scanned document, mending its strings on the way.
func rewrite(raw []byte) (json.RawMessage, Cleaned) {
	var cleaned Cleaned
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		out = append(out, raw[i])
		i++
		if raw[i-1] == '"' {
			out, i = rewriteText(out, raw, i, &cleaned)
		}
	}
	return out, cleaned
}

// rewriteText copies the string whose body starts at i, up to and including
// its closing quote, and returns where the document goes on.
func rewriteText(out, raw []byte, i int, cleaned *Cleaned) ([]byte, int) {
	n := 0
	for ; raw[i] != '"'; n++ {
		size, bad := char(raw[i:])
		switch {
		case n >= MaxText:
		case bad:
			out = utf8.AppendRune(out, utf8.RuneError)
			cleaned.Replaced++
		default:
			out = append(out, raw[i:i+size]...)
		}
		i += size
	}
	if n > MaxText {
		cleaned.Cut++
	}
	return append(out, '"'), i + 1
}

// Value turns any Go value into clean JSON. It never panics, whatever the
// value's own methods do; the error is a [Refusal] and names types, never
// contents.
func Value(v any) (json.RawMessage, Cleaned, error) {
	if text, ok := v.(string); ok {
		if len(text) <= MaxText && isPlain(text) {
			return json.RawMessage(`"` + text + `"`), Cleaned{}, nil
		}
		// One character more than is kept, so that the cut is still counted.
		v = text[:min(len(text), (MaxText+1)*utf8.UTFMax)]
	}
	if tooDeep(v) {
		return nil, Cleaned{}, Refusal{Problem: "is nested deeper than 40 levels, or refers to itself; send less of it"}
	}
	raw, err := encode(v)
	if err != nil {
		return nil, Cleaned{}, err
	}
	return Clean(raw)
}

// isPlain says of most strings that they are their own JSON.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// encode is encoding/json with its failures, and those of the value's own
// methods, put into words that hold no contents.
func encode(v any) (raw []byte, err error) {
	defer func() {
		if recover() != nil {
			raw, err = nil, Refusal{Problem: fmt.Sprintf("panics while a %T is turned into JSON; mend its MarshalJSON", v)}
		}
	}()
	raw, err = appendEncoded(nil, v)
	if err == nil {
		return raw, nil
	}
	var badType *json.UnsupportedTypeError
	var badValue *json.UnsupportedValueError
	switch {
	case errors.As(err, &badType):
		return nil, Refusal{Problem: fmt.Sprintf("holds a Go %s, which has no JSON; send a plain value", badType.Type)}
	case errors.As(err, &badValue):
		return nil, Refusal{Problem: "holds NaN, an infinity or a cycle, which JSON cannot; leave it out"}
	}
	return nil, Refusal{Problem: fmt.Sprintf("cannot be made JSON from a %T; mend its MarshalJSON", v)}
}

// appendEncoded appends v as compact JSON without escaping <, > and &.
func appendEncoded(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
