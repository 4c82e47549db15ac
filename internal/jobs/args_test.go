package jobs

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArgsAreReadAsTheTableHasThemAndAsTheyAreClaimed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Args{
		`{"bundle_ids": [1, 22], "action_key": "k", "event": "E", "user_id": "u"}`: {BundleIDs: []int64{1, 22}, ActionKey: "k", Event: "E", UserID: "u"},
		`{"bundle_ids": [7], "new": 1}`:                                            {BundleIDs: []int64{7}},
		`{}`:                                                                       {},
		`[1, 22]`:                                                                  {BundleIDs: []int64{1, 22}},
		`[9223372036854775807]`:                                                    {BundleIDs: []int64{1<<63 - 1}},
		` [ 1 ,2 ] `:                                                               {BundleIDs: []int64{1, 2}},
		`[]`:                                                                       {},
		`7`:                                                                        {BundleIDs: []int64{7}},
	} {
		got := Args{BundleIDs: []int64{99}, Event: "before"}
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		`[0]`, `[-1]`, `["1"]`, `[null]`, `[[1]]`, `[{"a":1}]`, `[1.5]`, `[9223372036854775808]`, `"x"`,
		`{"bundle_ids": [0]}`, `{"bundle_ids": ["1"]}`, `{"bundle_ids": "x"}`,
	} {
		require.Error(t, json.Unmarshal([]byte(text), &Args{}), text)
	}
}
