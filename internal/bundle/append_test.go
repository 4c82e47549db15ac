package bundle_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
)

// reference is the stored form as encoding/json reads and writes it: the oracle for the
// reader and the writer of the package, which know the same fields by heart.
type reference struct {
	V          int                    `json:"v"`
	Key        string                 `json:"key"`
	UserID     string                 `json:"user_id,omitempty"`
	DeviceID   string                 `json:"device_id,omitempty"`
	OccurredAt time.Time              `json:"occurred_at,omitzero"`
	Identify   *referenceIdentify     `json:"identify,omitempty"`
	Increment  map[string]json.Number `json:"increment,omitempty"`
	Groups     []referenceGroup       `json:"groups,omitempty"`
	Track      *referenceTrack        `json:"track,omitempty"`
	Context    *referenceContext      `json:"context,omitempty"`
	Source     string                 `json:"source,omitempty"`
	Trace      map[string]string      `json:"trace,omitempty"`
}

type referenceIdentify struct {
	Set     map[string]json.RawMessage `json:"set,omitempty"`
	SetOnce map[string]json.RawMessage `json:"set_once,omitempty"`
	Unset   []string                   `json:"unset,omitempty"`
}

type referenceGroup struct {
	Type   string                     `json:"type"`
	ID     string                     `json:"id"`
	Parent string                     `json:"parent,omitempty"`
	Set    map[string]json.RawMessage `json:"set,omitempty"`
}

type referenceTrack struct {
	Event      string            `json:"event"`
	Version    string            `json:"version,omitempty"`
	Properties json.RawMessage   `json:"properties,omitempty"`
	Revenue    *referenceRevenue `json:"revenue,omitempty"`
}

type referenceRevenue struct {
	Amount   json.Number `json:"amount"`
	Currency string      `json:"currency"`
}

type referenceContext struct {
	Platform   string `json:"platform,omitempty"`
	AppVersion string `json:"app_version,omitempty"`
	SessionID  int64  `json:"session_id,omitempty"`
	Language   string `json:"language,omitempty"`
	IP         string `json:"ip,omitempty"`
}

func (r *reference) encode() (string, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(r)
	return string(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), err
}

func referenceOf(b *bundle.Bundle) *reference {
	r := &reference{
		V: bundle.Version, Key: b.Key, UserID: b.UserID, DeviceID: b.DeviceID, OccurredAt: b.OccurredAt,
		Increment: b.Increment, Context: (*referenceContext)(b.Context), Source: b.Source, Trace: b.Trace,
	}
	if id := b.Identify; id != nil {
		r.Identify = &referenceIdentify{asMap(id.Set), asMap(id.SetOnce), id.Unset}
	}
	for _, g := range b.Groups {
		r.Groups = append(r.Groups, referenceGroup{g.Type, g.ID, g.Parent, asMap(g.Set)})
	}
	if t := b.Track; t != nil {
		r.Track = &referenceTrack{t.Event, t.Version, t.Properties, (*referenceRevenue)(t.Revenue)}
	}
	return r
}

func asMap(values bundle.Values) map[string]json.RawMessage {
	m := make(map[string]json.RawMessage, len(values))
	for _, one := range values {
		m[one.Name] = one.Value
	}
	return m
}

// requireWrittenLikeEncodingJSON: the same bytes, or no bytes from both. The writer may
// also fail where only the rules object, never otherwise.
func requireWrittenLikeEncodingJSON(t require.TestingT, b *bundle.Bundle) {
	got, err := b.AppendJSON(nil)
	want, wantErr := referenceOf(b).encode()
	switch {
	case err == nil:
		require.NoError(t, wantErr)
		require.Equal(t, want, string(got))
	case wantErr == nil:
		require.NotEmpty(t, b.Refusals(noon), want)
	}
	if err != nil {
		require.Empty(t, got)
	}
}

func TestAppendJSONWritesWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bundle.Bundle){
		"as it is":      func(*bundle.Bundle) {},
		"nothing":       func(b *bundle.Bundle) { *b = bundle.Bundle{} },
		"escapes":       func(b *bundle.Bundle) { b.Key = "\"\\\b\f\n\r\t\x01\x1f\x7f<>&\u2028\u2029é😀\xff" },
		"escaped names": func(b *bundle.Bundle) { b.Identify.Set.Set("a\"\u2028", json.RawMessage(`1`)) },
		"empty parts":   func(b *bundle.Bundle) { b.Identify, b.Context = &bundle.Identify{}, &bundle.Context{} },
		"no members":    func(b *bundle.Bundle) { b.Identify.Set, b.Groups, b.Trace = bundle.Values{}, []bundle.Group{}, nil },
		"spaced JSON": func(b *bundle.Bundle) {
			b.Track.Properties = json.RawMessage(" { \"a b\" :\n[ 1 ,\t\"\\\" \\\\\" ] }\r\n")
		},
		"malformed JSON":         func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(`{"a":1`) },
		"two values":             func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(`{} {}`) },
		"no JSON":                func(b *bundle.Bundle) { b.Identify.Set.Set("a", nil) },
		"no number":              func(b *bundle.Bundle) { b.Increment["n"] = "secret" },
		"a number after a blank": func(b *bundle.Bundle) { b.Increment["n"] = " 1" },
		"a number before more":   func(b *bundle.Bundle) { b.Increment["n"] = "1 2" },
		"an empty number":        func(b *bundle.Bundle) { b.Track.Revenue.Amount = "" },
		"a large number":         func(b *bundle.Bundle) { b.Track.Revenue.Amount = "1e300" },
		"several increments":     func(b *bundle.Bundle) { b.Increment["a"], b.Increment["z"] = "-1.50", "2E3" },
		"several traces":         func(b *bundle.Bundle) { b.Trace["tracestate"] = "a=1" },
		"several unset":          func(b *bundle.Bundle) { b.Identify.Unset = []string{"z", "a\n"} },
		"another zone":           func(b *bundle.Bundle) { b.OccurredAt = noon.In(time.FixedZone("", -5400)) },
		"a zone of seconds":      func(b *bundle.Bundle) { b.OccurredAt = noon.In(time.FixedZone("", 24*3600)) },
		"nanoseconds":            func(b *bundle.Bundle) { b.OccurredAt = noon.Add(1) },
		"a far year":             func(b *bundle.Bundle) { b.OccurredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a session outside":      func(b *bundle.Bundle) { b.Context.SessionID = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := bundle.Parse(golden(t, "full.json"))
			require.NoError(t, err)
			change(b)
			requireWrittenLikeEncodingJSON(t, b)
		})
	}
}

// FuzzAppendJSON: whatever a bundle is made of, what is written is what encoding/json
// would write.
func FuzzAppendJSON(f *testing.F) {
	f.Add("order:1", "pla\"n", "é\xff\u2028", []byte(` { "a" : [ 1 , "\u0000" ] } `), "12.50", int64(1790000000123456789), 3600)
	f.Add("", "", "", []byte(`null`), "1e400", int64(-1), -1)
	f.Fuzz(func(t *testing.T, key, name, text string, raw []byte, number string, at int64, zone int) {
		b := &bundle.Bundle{
			Key: key, UserID: text, DeviceID: name, OccurredAt: time.Unix(at>>10, at&1023).In(time.FixedZone("", zone)),
			Identify:  &bundle.Identify{SetOnce: bundle.Values{{text, raw}}, Unset: []string{name, text}},
			Increment: map[string]json.Number{name: json.Number(number), "n": "1"},
			Groups:    []bundle.Group{{Type: name, ID: text}, {Type: key, Parent: name, Set: bundle.Values{{key, raw}}}},
			Track:     &bundle.Track{Event: text, Version: key, Properties: raw, Revenue: &bundle.Revenue{Amount: json.Number(number), Currency: name}},
			Context:   &bundle.Context{Platform: name, AppVersion: text, SessionID: at, Language: key, IP: text},
			Source:    key, Trace: map[string]string{name: text, text: key},
		}
		b.Identify.Set.Set(name, raw)
		b.Identify.Set.Set(text, json.RawMessage(`true`))
		requireWrittenLikeEncodingJSON(t, b)
	})
}

func TestValuesAreSortedAndEachNameOnce(t *testing.T) {
	t.Parallel()
	var values bundle.Values
	require.Nil(t, values.Get("a"))
	for _, name := range []string{"b", "a", "c", "b"} {
		values.Set(name, json.RawMessage(`"`+name+`"`))
	}
	want := bundle.Values{{"a", json.RawMessage(`"a"`)}, {"b", json.RawMessage(`"b"`)}, {"c", json.RawMessage(`"c"`)}}
	require.Equal(t, want, values)
	require.Equal(t, want, bundle.ValuesOf(asMap(values)))
	require.Equal(t, `"c"`, string(values.Get("c")))

	b, err := bundle.Parse([]byte(`{"identify":{"set":{"c":"c","a":"a","b":"b"}}}`))
	require.NoError(t, err)
	require.Equal(t, want, b.Identify.Set)
}
