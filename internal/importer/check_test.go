package importer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestAGoodLineBecomesItsCanonicalForm(t *testing.T) {
	t.Parallel()
	doc, key, refusal := check([]byte(
		` { "track" : {"event":"Order_Completed","properties":{"b":1,"a":[1.50,"<"]}}, "user_id":"usr_1", "key":"order:1", "device_id":null } `), noon)
	require.Empty(t, refusal)
	require.Equal(t, "order:1", key)
	require.Equal(t, //nolint:testifylint // byte by byte: this is what is stored
		`{"v":1,"key":"order:1","user_id":"usr_1","track":{"event":"Order_Completed","properties":{"b":1,"a":[1.50,"<"]}}}`, string(doc))
}

func TestAValueThatPostgresCannotStoreIsMended(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ value, want string }{
		"NUL":           {`"a\u0000b"`, "\"a\uFFFDb\""},
		"invalid UTF-8": {"\"a\xffb\"", "\"a\uFFFDb\""},
		"half a pair":   {`"a\ud800b"`, "\"a\uFFFDb\""},
		"10 MB":         {`"` + strings.Repeat("x", 10<<20) + `"`, `"` + strings.Repeat("x", bundle.MaxText) + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, _, refusal := check([]byte(`{"key":"k","user_id":"u","track":{"event":"E","properties":{"p":`+c.value+`}}}`), noon)
			require.Empty(t, refusal)
			require.Equal(t, `{"v":1,"key":"k","user_id":"u","track":{"event":"E","properties":{"p":`+c.want+`}}}`, string(doc))
		})
	}
}

func TestABadLineIsRefusedWithItsKeyAndTheReason(t *testing.T) {
	t.Parallel()
	const track = `"track":{"event":"E"}`
	for name, c := range map[string]struct{ line, key, reason string }{
		"not JSON":             {`{"key":"k"`, "", "is not valid JSON"},
		"two values":           {bundleLine("k") + bundleLine("l"), "", "is not valid JSON"},
		"raw NUL":              {"{\"key\":\"k\",\x00}", "", "is not valid JSON"},
		"raw NUL in a string":  {"{\"key\":\"k\x00\"}", "", "is not valid JSON"},
		"NaN":                  {`{"key":"k","increment":{"n":NaN}}`, "", "is not valid JSON"},
		"an array":             {"[" + bundleLine("k") + "]", "", "is not an object"},
		"a number":             {"42", "", "is not an object"},
		"no key":               {`{"user_id":"u",` + track + `}`, "", "key: is missing"},
		"a number as key":      {`{"key":7,"user_id":"u",` + track + `}`, "", "key: "},
		"a number as user":     {`{"key":"k","user_id":7,` + track + `}`, "k", "user_id: "},
		"a long key":           {`{"key":"` + strings.Repeat("k", 257) + `","user_id":"u",` + track + `}`, strings.Repeat("k", 257), "key: is longer than 256 bytes"},
		"nobody":               {`{"key":"k",` + track + `}`, "k", "user_id: is missing"},
		"nothing":              {`{"key":"k","user_id":"u"}`, "k", "says nothing"},
		"a typo":               {`{"key":"k","user_id":"u","trak":{"event":"E"}}`, "k", "trak: "},
		"a field twice":        {`{"key":"k","key":"k","user_id":"u",` + track + `}`, "k", "key: "},
		"a placeholder user":   {`{"key":"k","user_id":"anonymous",` + track + `}`, "k", "user_id: "},
		"a reserved event":     {`{"key":"k","user_id":"u","track":{"event":"$identify"}}`, "k", "track.event: "},
		"a huge integer":       {`{"key":"k","user_id":"u","track":{"event":"E","properties":{"n":12345678901234567890}}}`, "k", "track.properties.n: "},
		"a huge number":        {`{"key":"k","user_id":"u","track":{"event":"E","properties":{"n":1e999}}}`, "k", "track.properties.n: "},
		"too deep":             {`{"key":"k","user_id":"u","track":{"event":"E","properties":{"p":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}}}`, "k", "track.properties.p"},
		"no time":              {`{"key":"k","user_id":"u","occurred_at":"yesterday",` + track + `}`, "k", "occurred_at: "},
		"two days ahead":       {`{"key":"k","user_id":"u","occurred_at":"2026-11-24T12:00:00Z",` + track + `}`, "k", "occurred_at: is more than a day ahead"},
		"a later version":      {`{"v":2,"key":"k","news":true}`, "k", "v: is newer than this program"},
		"NUL in the key":       {`{"key":"k\u0000","user_id":"u",` + track + `}`, "k\x00", "key: is too long or holds NUL"},
		"half a pair in a key": {`{"key":"k\ud800","user_id":"u",` + track + `}`, "k\uFFFD", "key: holds a character that was lost"},
		"a mended user":        {"{\"key\":\"k\",\"user_id\":\"u\xff\"," + track + "}", "k", "user_id: is too long or holds NUL or invalid UTF-8"},
		"a cut device":         {`{"key":"k","device_id":"` + strings.Repeat("d", 2000) + `",` + track + `}`, "k", "device_id: is too long"},
		"NUL in the event":     {`{"key":"k","user_id":"u","track":{"event":"Paid\u0000"}}`, "k", "track.event: is too long or holds NUL"},
		"a mended group":       {`{"key":"k","user_id":"u","groups":[{"type":"account","id":"a\u0000"}]}`, "k", "groups[0].id: is too long or holds NUL"},
		"several":              {`{"key":"k","user_id":"null","track":{"event":""}}`, "k", " | track.event: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, key, refusal := check([]byte(c.line), noon)
			require.Nil(t, doc)
			require.Contains(t, refusal, c.reason)
			require.Equal(t, c.key, key)
		})
	}
}

func TestABundleThatStaysTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	var properties []string
	for i := range 300 {
		properties = append(properties, fmt.Sprintf(`"p%d":"%s"`, i, strings.Repeat("x", 1000)))
	}
	doc, key, refusal := check([]byte(`{"key":"k","user_id":"u","track":{"event":"E","properties":{`+strings.Join(properties, ",")+`}}}`), noon)
	require.Nil(t, doc)
	require.Equal(t, "k", key)
	require.Contains(t, refusal, "larger than 256 KB")
}

func TestARefusalNeverHoldsAValue(t *testing.T) {
	t.Parallel()
	_, _, refusal := check([]byte(`{"key":"k","user_id":"anonymous","occurred_at":"hunter2","track":{"event":"$hunter2","properties":{"password":1e999}}}`), noon)
	require.NotEmpty(t, refusal)
	require.NotContains(t, refusal, "hunter2")
}

// FuzzCheck holds that a line is either refused with a reason, or comes out small,
// storable and unchanged by a second check.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(bundleLine("order:1")))
	f.Add([]byte(`{"v":1,"key":"k","device_id":"d","identify":{"set":{"a":"\u0000"}},"groups":[{"type":"account","id":"a"}]}`))
	f.Add([]byte("{\"key\":\"k\",\"user_id\":\"u\",\"track\":{\"event\":\"E\",\"properties\":{\"p\":\"\xff\\ud800\"}}}"))
	f.Fuzz(func(t *testing.T, line []byte) {
		before := string(line)
		doc, key, refusal := check(line, noon)
		require.Equal(t, before, string(line), "the line itself")
		if doc == nil {
			require.NotEmpty(t, refusal)
			return
		}
		require.Empty(t, refusal)
		require.NotEmpty(t, key)
		require.LessOrEqual(t, len(doc), bundle.MaxBytes)
		require.True(t, json.Valid(doc))
		require.NotContains(t, string(doc), `\u0000`)

		again, sameKey, refusal := check(doc, noon)
		require.Empty(t, refusal)
		require.Equal(t, key, sameKey)
		require.Equal(t, string(doc), string(again))
	})
}
