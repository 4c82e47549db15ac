package bundle_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/bundle"
)

func TestCleanReturnsSoundValuesAsTheyCame(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", bundle.MaxText)
	for _, raw := range []string{
		`null`, `true`, `false`, `0`, `-0`, `-12.50e+3`, `""`, `[]`, `{}`, ` { "a" : [ 1 , "b" ] } `,
		`"\u00e9\n\"\\\/ \ud83d\ude00 😀"`,
		`9007199254740992`, `-9007199254740992`, `1.7976931348623157e308`, `5e-324`, `0e-999`, `0.0`,
		`100000000000000000000000`, // 1e23 as Postgres writes it out
		`"` + long + `"`,
		nested(bundle.MaxDepth),
		object(bundle.MaxNames),
	} {
		in := []byte(raw)
		out, cleaned, err := bundle.Clean(in)
		require.NoError(t, err, "%.80s", raw)
		require.Zero(t, cleaned)
		require.Same(t, &in[0], &out[0], "copied for nothing: %.80s", raw)
		require.Len(t, out, len(in))
	}
}

func TestCleanDoesNotAllocateForSoundValues(t *testing.T) {
	raw := []byte(`{"items":[{"sku":"A-1","n":2.5}],"note":"grün \"ja\"","total_cents":1299}`)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _, _ = bundle.Clean(raw) }))
}

func TestCleanMendsStrings(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", bundle.MaxText)
	for name, tc := range map[string]struct {
		in, want string
		cleaned  bundle.Cleaned
	}{
		"NUL":                   {`"a\u0000b"`, `"a�b"`, bundle.Cleaned{Replaced: 1}},
		"NUL in a name":         {`{"a\u0000":1}`, `{"a�":1}`, bundle.Cleaned{Replaced: 1}},
		"invalid UTF-8":         {"\"a\xff\xfe\"", `"a��"`, bundle.Cleaned{Replaced: 2}},
		"encoded surrogate":     {"\"\xed\xa0\x80\"", `"���"`, bundle.Cleaned{Replaced: 3}},
		"high half alone":       {`"\ud83dx"`, `"�x"`, bundle.Cleaned{Replaced: 1}},
		"low half alone":        {`"\ude00"`, `"�"`, bundle.Cleaned{Replaced: 1}},
		"two high halves":       {`"\ud83d\ud83d\ude00"`, `"�\ud83d\ude00"`, bundle.Cleaned{Replaced: 1}},
		"an encoder's stand-in": {`"a\ufffd"`, `"a�"`, bundle.Cleaned{Replaced: 1}},
		"one character too long": {
			`"` + long + `x"`, `"` + long + `"`, bundle.Cleaned{Cut: 1},
		},
		"cut counts an escape as one character": {
			`"` + strings.Repeat(`\ud83d\ude00`, bundle.MaxText) + `!"`, `"` + strings.Repeat(`\ud83d\ude00`, bundle.MaxText) + `"`, bundle.Cleaned{Cut: 1},
		},
		"what is cut away is not counted as replaced": {
			`["` + long + `\u0000","\u0000"]`, `["` + long + `","�"]`, bundle.Cleaned{Cut: 1, Replaced: 1},
		},
		"the rest stays": {`{ "a" : "\u0000" , "b":[true,null,-1.5] }`, `{ "a" : "�" , "b":[true,null,-1.5] }`, bundle.Cleaned{Replaced: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, cleaned, err := bundle.Clean([]byte(tc.in))
			require.NoError(t, err)
			require.Equal(t, tc.want, string(out))
			require.Equal(t, tc.cleaned, cleaned)
		})
	}
}

func TestCleanRefusesWhatCannotBeMended(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{``, "not valid JSON"},
		{`{`, "not valid JSON"},
		{`{"a"`, "not valid JSON"},
		{`{"a":}`, "not valid JSON"},
		{`{"a":1,}`, "not valid JSON"},
		{`{1:2}`, "not valid JSON"},
		{`[1 2]`, "not valid JSON"},
		{`[,1]`, "not valid JSON"},
		{`"\x"`, "not valid JSON"},
		{`"\u12G4"`, "not valid JSON"},
		{`"\`, "not valid JSON"},
		{`"\u00`, "not valid JSON"},
		{"\"\n\"", "not valid JSON"},
		{`tru`, "not valid JSON"},
		{`NaN`, "not valid JSON"},
		{`01`, "not valid JSON"},
		{`-`, "not valid JSON"},
		{`1.`, "not valid JSON"},
		{`1e`, "not valid JSON"},
		{`{} {}`, "not valid JSON"},
		{nested(bundle.MaxDepth + 1), "deeper than 40"},
		{object(bundle.MaxNames + 1), "more than 1,000 names"},
		{`{"` + strings.Repeat("n", bundle.MaxText+1) + `":1}`, "name of more than 1,024"},
		{`9007199254740993`, "beyond 2^53"},
		{`-9223372036854775808`, "beyond 2^53"},
		{`1234567890123456789012345`, "beyond 2^53"},
		{`1.5e17`, "beyond 2^53"},
		{`1e309`, "outside the range of float64"},
		{`1e-400`, "outside the range of float64"},
		{`1e-999`, "outside the range of float64"},
		{`0e-99999`, "outside the range of float64"},
		{`0.` + strings.Repeat("3", 1100), "outside the range of float64"},
	} {
		_, _, err := bundle.Clean([]byte(tc.in))
		require.ErrorContains(t, err, tc.want, "%.80s", tc.in)
		require.ErrorAs(t, err, new(bundle.Refusal))
	}
}

func TestCleanNamesThePlace(t *testing.T) {
	t.Parallel()
	_, _, err := bundle.Clean([]byte(`{"track":{"properties":{"order ids":[1,{"big":9007199254740993}]}}}`))
	require.EqualError(t, err,
		`track.properties["order ids"][1].big: is an integer beyond 2^53, which loses digits; send it as a string`)
}

// Postgres writes exponents out in digits: what a producer let pass must not be
// refused by the worker that reads it back.
func TestNumbersAreJudgedAlikeInBothNotations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.OneOf(rapid.Float64(), rapid.Float64Range(1e15, 1e24)).Draw(t, "f")
		_, _, short := bundle.Clean(strconv.AppendFloat(nil, f, 'e', -1, 64))
		_, _, written := bundle.Clean(strconv.AppendFloat(nil, f, 'f', -1, 64))
		require.Equal(t, short, written)
		if abs := math.Abs(f); abs < 1<<53 || abs >= 1e21 {
			require.NoError(t, short)
		}
	})
}

func TestCleanKeepsPathsShort(t *testing.T) {
	t.Parallel()
	_, _, err := bundle.Clean([]byte(strings.Repeat(`{"`+strings.Repeat("é", 40)+`":`, 41)))
	require.ErrorContains(t, err, "…: is nested deeper than 40 levels")
	require.Less(t, len(err.Error()), 500)
}

func TestCleanedOutputIsAlwaysSound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rawValue(t)
		out, _, err := bundle.Clean(raw)
		require.NoError(t, err)
		requireSound(t, out)

		again, cleaned, err := bundle.Clean(out)
		require.NoError(t, err)
		require.Zero(t, cleaned)
		require.Equal(t, string(out), string(again))
	})
}

// requireSound checks with encoding/json what Clean promises.
func requireSound(t require.TestingT, out []byte) {
	require.True(t, utf8.Valid(out))
	var v any
	require.NoError(t, json.Unmarshal(out, &v))
	eachString(v, func(s string) {
		require.LessOrEqual(t, utf8.RuneCountInString(s), bundle.MaxText)
		require.NotContains(t, s, "\x00")
	})
}

func eachString(v any, do func(string)) {
	switch v := v.(type) {
	case string:
		do(v)
	case []any:
		for _, e := range v {
			eachString(e, do)
		}
	case map[string]any:
		for name, e := range v {
			do(name)
			eachString(e, do)
		}
	}
}

// rawValue draws well-formed JSON whose strings hold all that they should not.
func rawValue(t *rapid.T) []byte {
	pieces := rapid.SampledFrom([]string{
		"a", "é", "😀", "\xff", "\xed\xa0\x80", `\n`, `\"`, `\\`, `\u0000`, `\ud800`, `\udc00`, `\ud83d\ude00`, `\ufffd`,
		strings.Repeat("x", bundle.MaxText-1),
	})
	quoted := rapid.Map(rapid.SliceOf(pieces), func(p []string) string { return `"` + strings.Join(p, "") + `"` })
	scalar := rapid.OneOf(quoted, rapid.SampledFrom([]string{"null", "true", "-1.5e3", "0"}))
	elements := rapid.SliceOfN(scalar, 0, 5).Draw(t, "elements")
	var members []string
	for i, e := range elements {
		members = append(members, fmt.Sprintf(`"n%d\u0000" : %s`, i, e))
	}
	return fmt.Appendf(nil, `[{%s},[%s]]`, strings.Join(members, ","), strings.Join(elements, " , "))
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

func object(names int) string {
	var b strings.Builder
	for i := range names {
		fmt.Fprintf(&b, `,"n%d":%d`, i, i)
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}
