package bundle

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrNewerVersion says that a bundle was written by a later release. It is not
// wrong: it waits for a worker that can read it.
var ErrNewerVersion = errors.New("bundle: written by a newer version: upgrade this program")

// Refusal is one reason why a bundle, or a value for one, is not accepted.
// Neither field ever holds a property value, an id or an action key.
//
//nolint:errname // it is a finding first: bundles carry lists of them
type Refusal struct {
	Field   string // path, e.g. "track.event", "groups[1].id", "bundle"; empty for a lone value
	Problem string // what is wrong; what to do about it
}

// Error reads "track.event: is missing; name the event".
func (r Refusal) Error() string {
	if r.Field == "" {
		return r.Problem
	}
	return r.Field + ": " + r.Problem
}

// In returns the refusal with its field seen from the object that outer names.
func (r Refusal) In(outer string) Refusal {
	r.Field = join(outer, r.Field)
	return r
}

// Name writes one member's name for use in a path: as it is, or quoted and cut
// to a length a log line can bear.
func Name(name string) string {
	if name != "" && len(name) <= maxShownName && !strings.ContainsFunc(name, isOdd) {
		return name
	}
	if len(name) > maxShownName {
		name = strings.ToValidUTF8(name[:maxShownName], "") + "…"
	}
	return "[" + strconv.QuoteToASCII(name) + "]"
}

const (
	maxShownName = 64
	maxShownPath = 2 * maxShownName
)

// isOdd reports characters that would make a dotted path ambiguous.
func isOdd(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '$':
		return false
	}
	return r < utf8.RuneSelf || r == utf8.RuneError || !strconv.IsPrint(r)
}

// Member is the path of one member of the object at field.
func Member(field, name string) string { return join(field, Name(name)) }

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

func join(outer, inner string) string {
	if len(inner) > maxShownPath {
		inner = strings.ToValidUTF8(inner[:maxShownPath], "") + "…"
	}
	switch {
	case outer == "":
		return inner
	case inner == "" || inner[0] == '[':
		return outer + inner
	}
	return outer + "." + inner
}

// within adds an outer path element to an error on its way up.
func within(err error, outer string) error {
	var r Refusal
	if errors.As(err, &r) {
		return r.In(outer)
	}
	return err
}
