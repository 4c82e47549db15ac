package bundle_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/bundle"
)

func TestParseTakesNullForAbsent(t *testing.T) {
	t.Parallel()
	b, err := bundle.Parse([]byte(`{"v":null,"key":"k","user_id":"u","device_id":null,"occurred_at":null,"identify":null,
		"increment":null,"groups":null,"track":{"event":"E","version":null,"properties":null,"revenue":null},
		"context":{"platform":null,"session_id":null,"ip":null},"source":null,"trace":null}`))
	require.NoError(t, err)
	require.Equal(t, &bundle.Bundle{V: 1, Key: "k", UserID: "u", Track: &bundle.Track{Event: "E"}, Context: &bundle.Context{}}, b)
}

func TestParseReadsEscapes(t *testing.T) {
	t.Parallel()
	b, err := bundle.Parse([]byte(`{"k\u0065y":"caf\u00e9 \ud83d\ude00","user_id":"a\"b"}`))
	require.NoError(t, err)
	require.Equal(t, "café 😀", b.Key)
	require.Equal(t, `a"b`, b.UserID)
}

func TestParseReadsTheTimesThatRFC3339Allows(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	for _, text := range []string{
		"2026-11-22T10:15:00Z", "2026-11-22T11:15:00+01:00", "2026-11-22 10:15:00z", "2026-11-22t10:14:60Z",
		"2026-11-22T10:15:00.000000000Z",
	} {
		b, err := bundle.Parse([]byte(`{"occurred_at":"` + text + `"}`))
		require.NoError(t, err, text)
		require.True(t, b.OccurredAt.Equal(want), "%s read as %s", text, b.OccurredAt)
	}
}

func TestParseRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{``, "is not an object"},
		{`[]`, "is not an object"},
		{`{"v":1} x`, "is not valid JSON"},
		{`{"v":"1"}`, "v: is not a number"},
		{`{"v":0}`, "v: is not a version; write 1"},
		{`{"v":1.5}`, "v: is not an integer"},
		{`{"kee":"x"}`, "kee: is not a field of a bundle; check its spelling"},
		{`{"Key":"x"}`, "Key: is not a field"},
		{`{"kee":null}`, "kee: is not a field"},
		{`{"` + strings.Repeat("x", 300) + `":1}`, `["` + strings.Repeat("x", 64) + `\u2026"]: is not a field`},
		{`{"key":"a","key":"b"}`, "key: stands twice"},
		{`{"key":"a","k\u0065y":"b"}`, "key: stands twice"},
		{`{"key":1}`, "key: is not a string"},
		{`{"user_id":42}`, "user_id: is not a string"},
		{`{"device_id":{}}`, "device_id: is not a string"},
		{`{"occurred_at":1790000000000}`, "occurred_at: is not a string"},
		{`{"occurred_at":"yesterday"}`, "occurred_at: is not an RFC 3339 time"},
		{`{"occurred_at":""}`, "occurred_at: is not an RFC 3339 time"},
		{`{"occurred_at":"0001-01-01T00:00:00Z"}`, "occurred_at: is not an RFC 3339 time"},
		{`{"occurred_at":"2026-02-30T10:15:00Z"}`, "occurred_at: is not an RFC 3339 time"},
		{`{"identify":[]}`, "identify: is not an object"},
		{`{"identify":{"add":{}}}`, "identify.add: is not a field"},
		{`{"identify":{"set":{},"set":{}}}`, "identify.set: stands twice"},
		{`{"identify":{"set":[]}}`, "identify.set: is not an object"},
		{`{"identify":{"set":{"a":1,"a":2}}}`, "identify.set.a: stands twice"},
		{`{"identify":{"set":{"a":9007199254740993}}}`, "identify.set.a: is an integer beyond 2^53"},
		{`{"identify":{"unset":{}}}`, "identify.unset: is not an array"},
		{`{"identify":{"unset":["a",1]}}`, "identify.unset[1]: is not a string"},
		{`{"identify":{"unset":[null]}}`, "identify.unset[0]: is not a string"},
		{`{"increment":{"n":"1"}}`, "increment.n: is not a number"},
		{`{"increment":{"n":null}}`, "increment.n: is not a number"},
		{`{"increment":{"n":1e400}}`, "increment.n: is a number outside the range of float64"},
		{`{"groups":{}}`, "groups: is not an array"},
		{`{"groups":[{},null]}`, "groups[1]: is not an object"},
		{`{"groups":[{"type":"a","name":"b"}]}`, "groups[0].name: is not a field"},
		{`{"groups":[{"id":7}]}`, "groups[0].id: is not a string"},
		{`{"track":"Signed_Up"}`, "track: is not an object"},
		{`{"track":{"name":"Signed_Up"}}`, "track.name: is not a field"},
		{`{"track":{"properties":[]}}`, "track.properties: is not an object"},
		{`{"track":{"revenue":{"amount":"1"}}}`, "track.revenue.amount: is not a number"},
		{`{"track":{"revenue":{"price":1}}}`, "track.revenue.price: is not a field"},
		{`{"context":{"os":"x"}}`, "context.os: is not a field"},
		{`{"context":{"session_id":1.5}}`, "context.session_id: is not an integer"},
		{`{"trace":{"traceparent":1}}`, "trace.traceparent: is not a string"},
	} {
		_, err := bundle.Parse([]byte(tc.in))
		require.ErrorContains(t, err, tc.want, "%.100s", tc.in)
		require.ErrorAs(t, err, new(bundle.Refusal))
	}
}

// The limit of 40 levels counts from the bundle itself, as the database's does.
func TestParseCountsLevelsFromTheBundle(t *testing.T) {
	t.Parallel()
	for place, around := range map[string]int{
		`{"track":{"properties":{"a":%s}}}`:  3,
		`{"identify":{"set":{"a":%s}}}`:      3,
		`{"identify":{"set_once":{"a":%s}}}`: 3,
		`{"groups":[{"set":{"a":%s}}]}`:      4,
	} {
		at := func(depth int) error {
			_, err := bundle.Parse([]byte(strings.Replace(place, "%s", nested(depth), 1)))
			return err
		}
		require.NoError(t, at(bundle.MaxDepth-around), place)
		require.ErrorContains(t, at(bundle.MaxDepth-around+1), "deeper than 40", place)
	}
}

func TestParseLeavesNewerVersionsAlone(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"v":2}`,
		`{"v":9999,"key":"k"}`,
		`{"key":7,"cohort":"new field","track":{"kind":1},"v":2}`,
	} {
		_, err := bundle.Parse([]byte(in))
		require.ErrorIs(t, err, bundle.ErrNewerVersion, in)
	}
}

func TestParseNeverRepeatsContents(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"key":{"secret":"secret"}}`, `{"occurred_at":"secret"}`, `{"increment":{"n":"secret"}}`, `{"track":{"event":["secret"]}}`, `{"user_id":"secret`,
	} {
		_, err := bundle.Parse([]byte(in))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "secret", in)
	}
}

func TestParseReadsBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawBundle(t)
		require.Empty(t, want.Refusals(noon))
		data, err := want.AppendJSON(nil)
		require.NoError(t, err)
		got, err := bundle.Parse(data)
		require.NoError(t, err)
		require.Equal(t, want, got)
		requireSameAsEncodingJSON(t, data, got)
	})
}

// requireSameAsEncodingJSON holds reader and writer to encoding/json.
func requireSameAsEncodingJSON(t require.TestingT, data []byte, got *bundle.Bundle) {
	want := reference{V: bundle.Version}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&want))
	written, err := want.encode()
	require.NoError(t, err)
	require.Equal(t, written, canonical(t, got))
}

func canonical(t require.TestingT, b *bundle.Bundle) string {
	data, err := b.AppendJSON(nil)
	require.NoError(t, err)
	return string(data)
}

// drawBundle draws a bundle that nothing can be said against.
func drawBundle(t *rapid.T) *bundle.Bundle {
	text := rapid.StringMatching(`[a-zA-Z0-9é😀"\\<][ a-zA-Z0-9é😀"\\<]{0,20}[a-z"]`)
	raw := rapid.Map(rapid.SampledFrom([]string{`null`, `true`, `-1.5`, `"é\n"`, `[1,{"a":[]}]`, `{}`}),
		func(s string) json.RawMessage { return json.RawMessage(s) })
	values := rapid.MapOfN(rapid.StringMatching(`[a-z] ?[A-Zé]{1,3}`), raw, 1, 4)
	pick := rapid.Bool()

	b := &bundle.Bundle{V: 1, Key: text.Draw(t, "key"), UserID: "u_" + text.Draw(t, "user"), Track: &bundle.Track{Event: "Order_Completed"}}
	if pick.Draw(t, "device only") {
		b.UserID, b.DeviceID = "", b.UserID
	}
	if pick.Draw(t, "at") {
		b.OccurredAt = time.Unix(rapid.Int64Range(1, 1.7e9).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
	}
	if pick.Draw(t, "identify") {
		b.Identify = &bundle.Identify{Set: bundle.ValuesOf(values.Draw(t, "set")), Unset: []string{"0" + text.Draw(t, "unset")}}
	}
	if pick.Draw(t, "increment") {
		b.Increment = map[string]json.Number{"n": json.Number(strconv.FormatInt(rapid.Int64Range(-1<<53, 1<<53).Draw(t, "n"), 10))}
	}
	if pick.Draw(t, "groups") {
		root := bundle.Group{Type: "account", ID: text.Draw(t, "root"), Set: bundle.ValuesOf(values.Draw(t, "group set"))}
		b.Groups = []bundle.Group{root, {Type: "ws_1", ID: text.Draw(t, "leaf"), Parent: root.ID}}
	}
	if pick.Draw(t, "properties") {
		b.Track.Properties, _ = json.Marshal(values.Draw(t, "properties"))
		b.Track.Revenue = &bundle.Revenue{Amount: "-12.50", Currency: "EUR"}
	}
	if pick.Draw(t, "context") {
		b.Context = &bundle.Context{Platform: text.Draw(t, "platform"), SessionID: rapid.Int64Range(-1, 1<<53).Draw(t, "session"), IP: "2001:db8::1"}
		b.Source, b.Trace = "client", map[string]string{"tracestate": text.Draw(t, "tracestate")}
	}
	return b
}
