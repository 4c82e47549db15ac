package amplitude

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const testKey = "5a1f0c77e2d94b06"

func TestReasonKeepsAmplitudesOwnWords(t *testing.T) {
	t.Parallel()
	events := []json.RawMessage{[]byte(`{"event_type":"Invalid","user_id":"time","event_properties":{"note":"Forbidden request"}}`)}
	for _, text := range []string{
		"Invalid API key",
		"Invalid field values on some events",
		"Request missing required field",
		"Invalid id length for user_id or device_id",
		"Too many requests for some devices and users",
		"event_type: missing field; time: invalid field",
		"HTTP 502 without Amplitude's error text: empty",
	} {
		require.Equal(t, text, newScrubber(testKey, events).clean(text))
	}
}

func TestReasonNeverEchoesTheEvents(t *testing.T) {
	t.Parallel()
	events := []json.RawMessage{
		[]byte(`{"event_type":"Report_Created","user_id":"usr_42","ip":"203.0.113.9"}`),
		[]byte(`{"event_type":"Signed_Up","event_properties":{"email":"jane.doe@example.com","full_name":"Jo Zo\u00eb Óscar","note":"a\nbob","total_cents":129900}}`),
		[]byte(`{"event_properties":{"by_mail":{"max@example.org":1},"plan_tier": "gold"}}`),
	}
	cases := map[string]struct{ text, want string }{
		"quoted value":            {`bad value "jane.doe@example.com" in email`, `bad value "[removed]" in email`},
		"part of a value":         {"user jane is unknown", "user [removed] is unknown"},
		"beginning of a value":    {"cannot read jane.doe@exam", "cannot read [removed]"},
		"glued to something else": {"key=usr_42&x=prefix-jane-suffix", "key=[removed]&x=[removed]"},
		"inside of a path":        {"/users/usr_42/edit", "/users/[removed]/edit"},
		"several words":           {"name Jo Zoë Óscar!", "name [removed]!"},
		"after an escape":         {"note by bob", "note by [removed]"},
		"number":                  {"value 129900 is out of bounds", "value [removed] is out of bounds"},
		"address":                 {"blocked 203.0.113.9.", "blocked [removed]."},
		"event type":              {"unplanned event Report_Created", "unplanned event [removed]"},
		"key that is no name":     {"max@example.org", "[removed]"},
		"property name":           {"total_cents: invalid field; plan_tier and tier", "total_cents: invalid field; plan_tier and tier"},
		"unrelated words":         {"Access denied by policy 17", "Access denied by policy 17"},
		"short word within words": {"ed or bo or ig", "ed or bo or ig"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, newScrubber(testKey, events).clean(c.text))
		})
	}
}

func TestReasonNeverHoldsTheKey(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"Invalid API key: " + testKey,
		testKey,
		"x" + testKey + "y",
		"cut" + strings.Repeat(" ", 1_985) + testKey,
	} {
		require.NotContains(t, newScrubber(testKey, nil).clean(text), testKey[:8])
	}
}

func TestReasonIsOneShortPrintableLine(t *testing.T) {
	t.Parallel()
	clean := func(text string) string { return newScrubber(testKey, nil).clean(text) }

	require.Equal(t, "one two three [31m", clean("one\r\n\ttwo\x00three\x1b[31m"))
	require.Equal(t, "broken text", clean("broken\xfftext"))
	require.Empty(t, clean(" \n"))

	long := clean(strings.Repeat("ä", 299) + "öü")
	require.Equal(t, maxReason, utf8.RuneCountInString(long))
	require.True(t, strings.HasSuffix(long, "ä…"))
	require.Equal(t, strings.Repeat("é", maxReason), clean(strings.Repeat("é", maxReason)))
}

// TestEchoedValuesAreRemovedWhateverTheyAre sends one value and lets the answer quote it, whole and cut.
func TestEchoedValuesAreRemovedWhateverTheyAre(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-z]{2,9}[0-9]{2}([ .@_/-][A-Za-zäé]{3,9}[0-9]{1,3}){0,3}`).Draw(t, "value")
		event, err := json.Marshal(map[string]any{"event_properties": map[string]any{"p": value}})
		require.NoError(t, err)
		quote := rapid.SampledFrom([]string{`%s`, `value "%s" is wrong`, `/path/%s?x=1`, `field=%s;`, `<b>%s</b>`}).Draw(t, "quote")

		reason := newScrubber(testKey, []json.RawMessage{event}).clean(fmt.Sprintf(quote, value))
		for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return !alphanumeric(r) }) {
			require.NotContains(t, reason, part)
		}
	})
}
