package bundle_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
)

// FuzzClean: whatever comes in, what goes out is sound, and nothing that
// encoding/json rejects is let through.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e3,true,null,"é\u0000\ud83d\ude00"]}`, `"\ud800"`, "\"\xff\"", `9007199254740993`, `[[[]]]`, ` 0 `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, cleaned, err := bundle.Clean(in)
		if err != nil {
			require.ErrorAs(t, err, new(bundle.Refusal))
			return
		}
		require.True(t, json.Valid(in))
		requireSound(t, out)
		if cleaned == (bundle.Cleaned{}) {
			require.Equal(t, string(in), string(out))
		}
		again, cleaned, err := bundle.Clean(out)
		require.NoError(t, err)
		require.Zero(t, cleaned)
		require.Equal(t, string(out), string(again))
	})
}

// FuzzParse: no input panics, and what is read is what encoding/json reads.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"full.json", "minimal.json", "identify.json", "groups.json"} {
		f.Add(golden(f, name))
	}
	f.Add([]byte(`{"v":2,"new":[]}`))
	f.Add([]byte(`{"k\u0065y":"a","occurred_at":"2026-11-22 10:15:60z","context":{"session_id":-1}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := bundle.Parse(in)
		if err != nil {
			require.True(t, errors.Is(err, bundle.ErrNewerVersion) || errors.As(err, new(bundle.Refusal)))
			return
		}
		require.True(t, json.Valid(in))
		if len(b.Refusals(noon)) > 0 || !utf8.Valid(in) {
			return
		}
		written, err := b.AppendJSON(nil)
		require.NoError(t, err)
		again, err := bundle.Parse(written)
		require.NoError(t, err)
		require.Equal(t, string(written), canonical(t, again))
		requireSameAsEncodingJSON(t, written, b)
	})
}
