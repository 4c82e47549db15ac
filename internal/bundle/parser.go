package bundle

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// parser reads typed values where the scanner only checks them.
type parser struct{ scanner }

var (
	errUnknown  error = Refusal{Problem: "is not a field of a bundle; check its spelling"}
	errRepeated error = Refusal{Problem: "stands twice; keep one"}
	errObject   error = Refusal{Problem: "is not an object; write it as one"}
	errArray    error = Refusal{Problem: "is not an array; write it as one"}
	errString   error = Refusal{Problem: "is not a string; write it as one"}
	errNotNum   error = Refusal{Problem: "is not a number; write it without quotes"}
	errNotInt   error = Refusal{Problem: "is not an integer; write it without a fraction"}
)

// fields reads an object of known fields, whose values stand inside depth
// levels. field reads the value of the one it is given. After a bad field the
// rest is still read and the first problem returned, because a later version
// of the form, wherever its number stands, may know that field.
func (p *parser) fields(depth int, field func(name []byte) error) error {
	if p.peek() != '{' {
		return errObject
	}
	p.pos++
	var seen nameSet
	var bad error
	for n := 0; ; n++ {
		name, more, err := p.member(n == 0)
		switch {
		case err != nil:
			return err
		case !more:
			return bad
		case n == MaxNames:
			return errNames
		}
		name = unescape(name)
		start := p.pos
		if err = errRepeated; seen.add(name) {
			err = field(name)
		}
		if err == nil {
			continue
		}
		if bad == nil {
			bad = within(err, Name(string(name)))
		}
		p.pos = start
		if err := p.value(depth); err != nil {
			return within(err, Name(string(name)))
		}
	}
}

// elements reads an array, or null, calling element at the start of each.
func (p *parser) elements(element func() error) error {
	if p.null() {
		return nil
	}
	if p.peek() != '[' {
		return errArray
	}
	p.pos++
	for n := 0; ; n++ {
		more, err := p.element(']', n == 0)
		if err != nil || !more {
			return err
		}
		if err := element(); err != nil {
			return within(err, index(n))
		}
	}
}

// optional reads an object into a new T, or null into nil.
func optional[T any](p *parser, read func(*T) error) (*T, error) {
	if p.null() {
		return nil, nil
	}
	v := new(T)
	return v, read(v)
}

// mapOf reads an object of any names, or null.
func mapOf[T any](p *parser, depth int, read func() (T, error)) (map[string]T, error) {
	if p.null() {
		return nil, nil
	}
	m := make(map[string]T)
	err := p.fields(depth, func(name []byte) (err error) {
		m[string(name)], err = read()
		return err
	})
	return m, err
}

// values reads an object whose values stay JSON, or null.
func (p *parser) values(depth int) (values Values, err error) {
	if p.null() {
		return nil, nil
	}
	err = p.fields(depth, func(name []byte) error {
		raw, err := p.raw(depth)
		values = append(values, NamedValue{string(name), raw})
		return err
	})
	values.sort()
	return values, err
}

func (p *parser) names() (names []string, err error) {
	err = p.elements(func() error {
		if p.peek() == 'n' {
			return errString
		}
		name, err := p.str()
		names = append(names, name)
		return err
	})
	return names, err
}

// raw returns the next value as it stands, once it is known to be sound.
func (p *parser) raw(depth int) (json.RawMessage, error) {
	p.space()
	start := p.pos
	if err := p.value(depth); err != nil {
		return nil, err
	}
	return p.data[start:p.pos:p.pos], nil
}

func (p *parser) rawObject(depth int) (json.RawMessage, error) {
	if p.null() {
		return nil, nil
	}
	if p.peek() != '{' {
		return nil, errObject
	}
	return p.raw(depth)
}

func (p *parser) str() (string, error) {
	if p.null() {
		return "", nil
	}
	if p.peek() != '"' {
		return "", errString
	}
	body, err := p.text()
	return string(unescape(body)), err
}

func (p *parser) num() (json.Number, error) {
	if c := p.peek(); c != '-' && (c < '0' || c > '9') {
		return "", errNotNum
	}
	raw, err := p.raw(0)
	return json.Number(raw), err
}

// integer reads an integer, or null for 0.
func (p *parser) integer() (int64, error) {
	if p.null() {
		return 0, nil
	}
	n, err := p.num()
	if err != nil {
		return 0, err
	}
	i, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil {
		return 0, errNotInt
	}
	return i, nil
}

// null reads a null if one comes next.
func (p *parser) null() bool {
	return p.peek() == 'n' && p.literal("null") == nil
}

// unescape turns the scanned body of a string into its characters.
func unescape(body []byte) []byte {
	if bytes.IndexByte(body, '\\') < 0 {
		return body
	}
	var s string
	quoted := append(append([]byte{'"'}, body...), '"')
	if json.Unmarshal(quoted, &s) != nil {
		return nil // cannot be: the scanner has read it
	}
	return []byte(s)
}

// nameSet finds a repeated name without allocating for an object of usual size.
type nameSet struct {
	few  [16][]byte
	n    int
	many map[string]struct{}
}

// add reports whether name is new.
func (s *nameSet) add(name []byte) bool {
	for _, seen := range s.few[:s.n] {
		if bytes.Equal(seen, name) {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	if _, seen := s.many[string(name)]; seen {
		return false
	}
	if s.many == nil {
		s.many = make(map[string]struct{})
	}
	s.many[string(name)] = struct{}{}
	return true
}
