package amplitude

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Of what Amplitude names, exactly what was sent is judged: no event is rejected that no
// field names, and none that one names is let off, whatever the answer looks like else.
func TestWhatAmplitudeNamesIsWhatIsJudged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "events")
		status := rapid.SampledFrom([]int{400, 403, 422, 429}).Draw(t, "status")
		index := rapid.IntRange(-2, n+2)
		fields := rapid.MapOfN(rapid.SampledFrom([]string{"time", "user_id", "event_type"}), rapid.SliceOfN(index, 0, 5), 0, 3)
		body := map[string]any{
			"code": status, "error": "Some error",
			"events_with_invalid_fields":     fields.Draw(t, "invalid"),
			"events_with_missing_fields":     fields.Draw(t, "missing"),
			"events_with_invalid_id_lengths": fields.Draw(t, "lengths"),
			"silenced_events":                rapid.SliceOfN(index, 0, 5).Draw(t, "silenced"),
			"throttled_events":               rapid.SliceOfN(index, 0, 5).Draw(t, "throttled"),
		}
		text, err := json.Marshal(body)
		require.NoError(t, err)

		answer := classify(status, nil, text, n)

		if status == 429 {
			named := sent(n, body["throttled_events"].([]int))
			require.Equal(t, named, answer.ThrottledEvents)
			require.Equal(t, len(named) > 0, answer.Verdict == Throttled)
			require.Empty(t, answer.Rejected, "a 429 ends nothing")
			return
		}
		var named []int
		for _, name := range []string{"events_with_invalid_fields", "events_with_missing_fields", "events_with_invalid_id_lengths"} {
			for _, at := range body[name].(map[string][]int) {
				named = append(named, at...)
			}
		}
		named = sent(n, append(named, body["silenced_events"].([]int)...))
		require.Equal(t, named, slices.Sorted(maps.Keys(answer.Rejected)))
		require.Equal(t, len(named) > 0, answer.Verdict == Rejected)
		require.Equal(t, len(named) == 0, answer.Verdict == Refused)
		for _, reason := range answer.Rejected {
			require.NotEmpty(t, reason)
		}
	})
}

// sent are the positions that a request of n events has, sorted, each once.
func sent(n int, named []int) []int {
	kept := slices.DeleteFunc(slices.Clone(named), func(i int) bool { return i < 0 || i >= n })
	slices.Sort(kept)
	if kept = slices.Compact(kept); len(kept) == 0 {
		return nil
	}
	return kept
}

// A request whose answer nobody can read is never taken for delivered, and never for
// rejected: only Amplitude's own JSON ends an event.
func TestOnlyAmplitudesOwnWordsEndAnEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.IntRange(100, 599).Draw(t, "status")
		word := rapid.StringMatching(`[a-zA-Z<>/ ]{0,20}`).Draw(t, "body")
		body := rapid.SampledFrom([]string{word, `{"error":` + fmt.Sprintf("%q", word) + `}`, `[` + fmt.Sprintf("%q", word) + `]`}).Draw(t, "shape")
		answer := classify(status, nil, []byte(body), 3)
		require.NotEqual(t, Delivered, answer.Verdict)
		require.Empty(t, answer.Rejected)
	})
}
