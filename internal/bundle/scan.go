package bundle

import (
	"strings"
	"unicode/utf8"
)

// scanner reads one JSON document once, from left to right, without
// allocating. It holds the limits that protect Postgres and Amplitude, and
// notes whether a string needs rewriting. Why not encoding/json: it matches
// names whatever their case, lets repeated names through, and takes several
// times as long.
type scanner struct {
	data  []byte
	pos   int
	dirty bool // some string is too long or holds characters to replace
}

// Declared as errors, so that returning one does not allocate.
var (
	errSyntax  error = Refusal{Problem: "is not valid JSON; write it with a JSON encoder"}
	errDepth   error = Refusal{Problem: "is nested deeper than 40 levels; flatten it"}
	errNames   error = Refusal{Problem: "holds more than 1,000 names; send fewer"}
	errName    error = Refusal{Problem: "has a name of more than 1,024 characters; shorten it"}
	errInteger error = Refusal{Problem: "is an integer beyond 2^53, which loses digits; send it as a string"}
	errNumber  error = Refusal{Problem: "is a number outside the range of float64; send it as a string"}
)

// document reads one value and nothing after it.
func (s *scanner) document() error {
	if err := s.value(0); err != nil {
		return err
	}
	return s.end()
}

func (s *scanner) end() error {
	s.space()
	if s.pos != len(s.data) {
		return errSyntax
	}
	return nil
}

// value reads the next value, which stands inside depth objects and arrays.
func (s *scanner) value(depth int) error {
	switch s.peek() {
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	case '"':
		_, err := s.text()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *scanner) object(depth int) error {
	if depth >= MaxDepth {
		return errDepth
	}
	s.pos++
	for n := 0; ; n++ {
		name, more, err := s.member(n == 0)
		if err != nil || !more {
			return err
		}
		if n == MaxNames {
			return errNames
		}
		if err := s.value(depth + 1); err != nil {
			return within(err, Name(string(name)))
		}
	}
}

func (s *scanner) array(depth int) error {
	if depth >= MaxDepth {
		return errDepth
	}
	s.pos++
	for n := 0; ; n++ {
		more, err := s.element(']', n == 0)
		if err != nil || !more {
			return err
		}
		if err := s.value(depth + 1); err != nil {
			return within(err, index(n))
		}
	}
}

// member reads up to the value of the next member of an object; more is false
// after the last one.
func (s *scanner) member(first bool) (name []byte, more bool, err error) {
	if more, err = s.element('}', first); err != nil || !more {
		return nil, false, err
	}
	if s.peek() != '"' {
		return nil, false, errSyntax
	}
	if name, err = s.text(); err != nil {
		return nil, false, err
	}
	if len(name) > MaxText && runes(name) > MaxText {
		return nil, false, errName
	}
	if s.peek() != ':' {
		return nil, false, errSyntax
	}
	s.pos++
	return name, true, nil
}

// element reads the comma before the next element, or the closing bracket.
func (s *scanner) element(closing byte, first bool) (more bool, err error) {
	switch c := s.peek(); {
	case c == closing:
		s.pos++
		return false, nil
	case first:
		return true, nil
	case c == ',':
		s.pos++
		return true, nil
	}
	return false, errSyntax
}

// text reads a string and returns what stands between its quotes, escapes
// included.
func (s *scanner) text() ([]byte, error) {
	data, start := s.data, s.pos+1
	for i := start; i < len(data); {
		c := data[i]
		switch {
		case c == '"':
			s.pos = i + 1
			body := data[start:i]
			if len(body) > MaxText && runes(body) > MaxText {
				s.dirty = true
			}
			return body, nil
		case c < ' ':
			return nil, errSyntax
		case c == '\\' || c >= utf8.RuneSelf:
			size, bad := char(data[i:])
			if size == 0 {
				return nil, errSyntax
			}
			s.dirty = s.dirty || bad
			i += size
		default:
			i++
		}
	}
	return nil, errSyntax
}

// char measures the character at the start of data, written out or escaped.
// bad means that it must be replaced: NUL, which Postgres cannot store; bytes
// that are no UTF-8; half a surrogate pair; and an escaped U+FFFD, which is
// what encoders write for bytes they could not read. size is 0 for an escape
// that JSON does not know.
func char(data []byte) (size int, bad bool) {
	if data[0] != '\\' {
		r, size := utf8.DecodeRune(data)
		return size, r == utf8.RuneError && size == 1
	}
	if len(data) < 2 {
		return 0, false
	}
	if data[1] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, data[1]) < 0 {
			return 0, false
		}
		return 2, false
	}
	r, ok := hex4(data[2:])
	switch {
	case !ok:
		return 0, false
	case r < 0xD800 || r > 0xDFFF:
		return 6, r == 0 || r == utf8.RuneError
	case r <= 0xDBFF && len(data) >= 8 && data[6] == '\\' && data[7] == 'u':
		if low, ok := hex4(data[8:]); ok && low >= 0xDC00 && low <= 0xDFFF {
			return 12, false
		}
	}
	return 6, true
}

func hex4(data []byte) (rune, bool) {
	if len(data) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range data[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// runes counts the characters of a scanned string body.
func runes(body []byte) int {
	n := 0
	for i := 0; i < len(body); n++ {
		if c := body[i]; c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size, _ := char(body[i:])
		i += size
	}
	return n
}

func (s *scanner) literal(word string) error {
	end := s.pos + len(word)
	if end > len(s.data) || string(s.data[s.pos:end]) != word {
		return errSyntax
	}
	s.pos = end
	return nil
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}
