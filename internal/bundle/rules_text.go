package bundle

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text checks a string that is used as it is: a name or an id.
func (r *refusals) text(field, s string) {
	switch {
	case isShortASCII(s):
	case !utf8.ValidString(s):
		r.add(field, "is not valid UTF-8; send text")
	case strings.ContainsFunc(s, unicode.IsControl):
		r.add(field, "holds a control character; remove it")
	case utf8.RuneCountInString(s) > MaxText:
		r.add(field, "is longer than 1,024 characters; shorten it")
	}
}

// isShortASCII is the fast path of text, for nearly every name and id.
func isShortASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= MaxText
}

// name checks the name of a property or trait of the object at field.
func (r *refusals) name(field, name string) {
	switch {
	case name == "":
		r.add(field, "holds an empty name; name it")
	case name[0] == '$':
		r.add(Member(field, name), "starts with $, which Amplitude keeps for itself; rename it")
	case !isShortASCII(name):
		r.text(Member(field, name), name)
	}
}

func (r *refusals) count(field string, n int) {
	if n > MaxNames {
		r.refusal(field, errNames)
	}
}

// isFinite reports whether n is a number that can be added up without loss.
func isFinite(n json.Number) bool {
	p := parser{scanner{data: []byte(n)}}
	_, err := p.num()
	return err == nil && p.end() == nil
}

// refusal adds err, if any, seen from field.
func (r *refusals) refusal(field string, err error) {
	if err == nil {
		return
	}
	var inner Refusal
	if errors.As(err, &inner) {
		inner = inner.In(field)
		r.add(inner.Field, inner.Problem)
	}
}

func isCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
