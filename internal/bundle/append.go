package bundle

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// AppendJSON appends the canonical JSON of b to dst: compact, fields in the
// order of the struct, names of objects sorted, version 1. It fails only for a
// bundle that [Bundle.Refusals] objects to.
//
// It writes byte for byte what encoding/json would, in much less time.
func (b *Bundle) AppendJSON(dst []byte) ([]byte, error) {
	w := writer{out: dst}
	w.bundle(b)
	if w.failed {
		return dst, Refusal{"bundle", "cannot be written as JSON; ask for its Refusals first"}
	}
	return w.out, nil
}

// writer writes one field after the other; field names come quoted, with their colon.
type writer struct {
	out    []byte
	failed bool // something had no JSON
}

func (w *writer) bundle(b *Bundle) {
	w.open()
	w.field(`"v":`)
	w.out = strconv.AppendInt(w.out, Version, 10)
	w.text(`"key":`, b.Key)
	w.optional(`"user_id":`, b.UserID)
	w.optional(`"device_id":`, b.DeviceID)
	if !b.OccurredAt.IsZero() {
		w.occurredAt(b)
	}
	if b.Identify != nil {
		w.identify(b.Identify)
	}
	if len(b.Increment) > 0 {
		w.increment(b.Increment)
	}
	if len(b.Groups) > 0 {
		w.groups(b.Groups)
	}
	if b.Track != nil {
		w.track(b.Track)
	}
	if b.Context != nil {
		w.context(b.Context)
	}
	w.optional(`"source":`, b.Source)
	if len(b.Trace) > 0 {
		w.trace(b.Trace)
	}
	w.close()
}

func (w *writer) occurredAt(b *Bundle) {
	w.field(`"occurred_at":`)
	var err error
	w.out, err = b.OccurredAt.AppendText(append(w.out, '"'))
	w.failed = w.failed || err != nil
	w.out = append(w.out, '"')
}

func (w *writer) identify(id *Identify) {
	w.field(`"identify":`)
	w.open()
	w.values(`"set":`, id.Set)
	w.values(`"set_once":`, id.SetOnce)
	if len(id.Unset) > 0 {
		w.field(`"unset":`)
		w.out = append(w.out, '[')
		for i, name := range id.Unset {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.out = appendText(w.out, name)
		}
		w.out = append(w.out, ']')
	}
	w.close()
}

func (w *writer) increment(deltas map[string]json.Number) {
	w.field(`"increment":`)
	w.open()
	for _, name := range slices.Sorted(maps.Keys(deltas)) {
		w.name(name)
		w.number(deltas[name])
	}
	w.close()
}

func (w *writer) groups(groups []Group) {
	w.field(`"groups":`)
	w.out = append(w.out, '[')
	for i, g := range groups {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.open()
		w.text(`"type":`, g.Type)
		w.text(`"id":`, g.ID)
		w.optional(`"parent":`, g.Parent)
		w.values(`"set":`, g.Set)
		w.close()
	}
	w.out = append(w.out, ']')
}

func (w *writer) track(t *Track) {
	w.field(`"track":`)
	w.open()
	w.text(`"event":`, t.Event)
	w.optional(`"version":`, t.Version)
	if len(t.Properties) > 0 {
		w.field(`"properties":`)
		w.raw(t.Properties)
	}
	if t.Revenue != nil {
		w.field(`"revenue":`)
		w.open()
		w.field(`"amount":`)
		w.number(t.Revenue.Amount)
		w.text(`"currency":`, t.Revenue.Currency)
		w.close()
	}
	w.close()
}

func (w *writer) context(c *Context) {
	w.field(`"context":`)
	w.open()
	w.optional(`"platform":`, c.Platform)
	w.optional(`"app_version":`, c.AppVersion)
	if c.SessionID != 0 {
		w.field(`"session_id":`)
		w.out = strconv.AppendInt(w.out, c.SessionID, 10)
	}
	w.optional(`"language":`, c.Language)
	w.optional(`"ip":`, c.IP)
	w.close()
}

func (w *writer) trace(trace map[string]string) {
	w.field(`"trace":`)
	w.open()
	for _, name := range slices.Sorted(maps.Keys(trace)) {
		w.name(name)
		w.out = appendText(w.out, trace[name])
	}
	w.close()
}

func (w *writer) open()  { w.out = append(w.out, '{') }
func (w *writer) close() { w.out = append(w.out, '}') }

func (w *writer) field(name string) {
	w.comma()
	w.out = append(w.out, name...)
}

func (w *writer) text(field, s string) {
	w.field(field)
	w.out = appendText(w.out, s)
}

// optional leaves an empty string out.
func (w *writer) optional(field, s string) {
	if s != "" {
		w.text(field, s)
	}
}

// values leaves an empty object out.
func (w *writer) values(field string, values Values) {
	if len(values) == 0 {
		return
	}
	w.field(field)
	w.open()
	for _, one := range values {
		w.name(one.Name)
		w.raw(one.Value)
	}
	w.close()
}

// name is a field whose name is not ours.
func (w *writer) name(name string) {
	w.comma()
	w.out = append(appendText(w.out, name), ':')
}

// comma goes before every field but the first one. No value ends like an object begins.
func (w *writer) comma() {
	if w.out[len(w.out)-1] != '{' {
		w.out = append(w.out, ',')
	}
}

func (w *writer) number(n json.Number) {
	s := scanner{data: []byte(n)}
	if s.number() != nil || s.pos != len(n) {
		w.failed = true
	}
	w.out = append(w.out, n...)
}

// raw writes JSON without the white space between its tokens.
func (w *writer) raw(value json.RawMessage) {
	s := scanner{data: value}
	if s.document() != nil {
		w.failed = true
		return
	}
	start := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '"':
			for i++; value[i] != '"'; i++ {
				if value[i] == '\\' {
					i++
				}
			}
		case ' ', '\t', '\n', '\r':
			w.out = append(w.out, value[start:i]...)
			start = i + 1
		}
	}
	w.out = append(w.out, value[start:]...)
}

// appendText writes a string; most are their own JSON.
func appendText(dst []byte, s string) []byte {
	if isPlain(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	out, err := appendEncoded(dst, s)
	if err != nil {
		panic("bundle: a string that has no JSON") // encoding/json writes every string
	}
	return out
}
