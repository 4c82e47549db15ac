package bundle_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/bundle"
)

func TestValueWritesPlainJSON(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		`null`:                   nil,
		`true`:                   true,
		`"pro"`:                  "pro",
		`"<b> & \"é\""`:          `<b> & "é"`,
		`1299`:                   1299,
		`-9007199254740992`:      int64(-1 << 53),
		`12.99`:                  12.99,
		`1e+21`:                  1e21,
		`[1,"a",null]`:           []any{1, "a", nil},
		`{"a":{"b":[true]}}`:     map[string]any{"a": map[string][]bool{"b": {true}}},
		`"2026-11-22T12:00:00Z"`: noon,
		`{"raw":1}`:              json.RawMessage(`{ "raw" : 1 }`),
	} {
		got, cleaned, err := bundle.Value(v)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		require.Zero(t, cleaned)
	}
}

func TestValueMendsAndCounts(t *testing.T) {
	t.Parallel()
	type inner struct{ S string }
	for name, tc := range map[string]struct {
		v       any
		want    string
		cleaned bundle.Cleaned
	}{
		"NUL":                      {"a\x00b", `"a�b"`, bundle.Cleaned{Replaced: 1}},
		"invalid UTF-8":            {"a\xffb", `"a�b"`, bundle.Cleaned{Replaced: 1}},
		"invalid UTF-8 inside":     {inner{"a\xffb"}, `{"S":"a�b"}`, bundle.Cleaned{Replaced: 1}},
		"invalid UTF-8 in raw":     {json.RawMessage("\"\xff\""), `"�"`, bundle.Cleaned{Replaced: 1}},
		"a replacement of its own": {"a�b", `"a�b"`, bundle.Cleaned{}},
		"10 MB":                    {strings.Repeat("x", 10<<20), `"` + strings.Repeat("x", 1024) + `"`, bundle.Cleaned{Cut: 1}},
		"cut at a wide character":  {strings.Repeat("😀", 1025), `"` + strings.Repeat("😀", 1024) + `"`, bundle.Cleaned{Cut: 1}},
		"just not cut":             {strings.Repeat("😀", 1024), `"` + strings.Repeat("😀", 1024) + `"`, bundle.Cleaned{}},
	} {
		got, cleaned, err := bundle.Value(tc.v)
		require.NoError(t, err, name)
		require.Equal(t, tc.want, string(got), name)
		require.Equal(t, tc.cleaned, cleaned, name)
	}
}

type (
	panics    struct{ Secret string }
	fails     struct{ Secret string }
	nilTime   struct{ *time.Time }
	cyclic    struct{ Next *cyclic }
	writesBad struct{}
)

func (panics) MarshalJSON() ([]byte, error)    { panic("secret") }
func (fails) MarshalJSON() ([]byte, error)     { return nil, errors.New("secret") }
func (writesBad) MarshalJSON() ([]byte, error) { return []byte(`{"secret`), nil }

func TestValueRefusesWithoutPanicOrContents(t *testing.T) {
	t.Parallel()
	loop := &cyclic{}
	loop.Next = loop
	for name, tc := range map[string]struct {
		v    any
		want string
	}{
		"NaN":               {math.NaN(), "NaN, an infinity or a cycle"},
		"infinity inside":   {map[string]any{"secret": math.Inf(1)}, "NaN, an infinity or a cycle"},
		"cycle":             {loop, "refers to itself"},
		"channel":           {make(chan int), "holds a Go chan int"},
		"function inside":   {[]any{func() {}}, "holds a Go func()"},
		"complex":           {1i, "holds a Go complex128"},
		"panic":             {panics{"secret"}, "panics while a bundle_test.panics"},
		"nil receiver":      {nilTime{}, "panics while a bundle_test.nilTime"},
		"error":             {fails{"secret"}, "cannot be made JSON from a bundle_test.fails"},
		"bad output":        {writesBad{}, "cannot be made JSON from a bundle_test.writesBad"},
		"bad number":        {json.Number("secret"), "cannot be made JSON from a json.Number"},
		"large integer":     {uint64(math.MaxUint64), "beyond 2^53"},
		"deep":              {json.RawMessage(nested(41)), "deeper than 40"},
		"too many names":    {json.RawMessage(object(1001)), "more than 1,000 names"},
		"bad raw":           {json.RawMessage(`{"secret"`), "cannot be made JSON"},
		"integer somewhere": {map[string]any{"ids": []int64{1, 1 << 60}}, "ids[1]: is an integer beyond 2^53"},
	} {
		_, _, err := bundle.Value(tc.v)
		require.ErrorContains(t, err, tc.want, name)
		require.ErrorAs(t, err, new(bundle.Refusal), name)
		require.NotContains(t, err.Error(), "secret", name)
	}
}

func TestValueIsAlwaysSound(t *testing.T) {
	t.Parallel()
	text := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.MapOf(text, text).Draw(t, "value")
		out, _, err := bundle.Value(v)
		require.NoError(t, err)
		requireSound(t, out)
	})
}

// Most strings skip the encoder: what they become is what it would have made of them.
func TestValueOfAStringIsWhatTheEncoderMakesOfIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringOfN(rapid.RuneFrom([]rune(" ~<>&/'aZ09")), 0, 1030, -1), // nearly always plain
			rapid.StringOfN(rapid.RuneFrom([]rune("a~\x7f\x1f\"\\é\u2028")), 0, 3, -1),
			rapid.String(),
		).Draw(t, "text")
		plain, plainCleaned, err := bundle.Value(text)
		require.NoError(t, err)
		encoded, cleaned, err := bundle.Value(any(&text)) // a pointer does not skip it
		require.NoError(t, err)
		require.Equal(t, string(encoded), string(plain))
		require.Equal(t, cleaned, plainCleaned)
	})
}
