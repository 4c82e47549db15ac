package ops

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second:                          "0 ms",
		0:                                     "0 ms",
		999 * time.Millisecond:                "999 ms",
		time.Second:                           "1 s",
		59*time.Second + 999*time.Millisecond: "59 s",
		time.Minute:                           "1 min",
		61 * time.Second:                      "1 min 1 s",
		time.Hour + 59*time.Second:            "1 h",
		25*time.Hour + 10*time.Minute:         "1 d 1 h",
		400 * 24 * time.Hour:                  "400 d",
	} {
		require.Equal(t, want, span(d), d.String())
	}
}

func TestPlural(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0 bundles", plural(0, false, "bundle"))
	require.Equal(t, "1 bundle", plural(1, false, "bundle"))
	require.Equal(t, "1+ bundles", plural(1, true, "bundle"))
	require.Equal(t, "1,234,567 identities", plural(1234567, false, "identity"))
	require.Equal(t, "-1,000 jobs", plural(-1000, false, "job"))
}

func TestNothingFromOutsideMovesTheCursorOrForgesALine(t *testing.T) {
	t.Parallel()
	var p page
	p.row("Label", "%s", "a\r\nb\x1b[2J\tc\xff\u202e")
	p.wrapped("Label", strings.Repeat("ä", 200)+"\n\x07end")
	require.Equal(t, 1+4, strings.Count(string(p.text), "\n"))
	require.NotContains(t, string(p.text), "\x1b")
	require.NotContains(t, string(p.text), "\x07")
	require.NotContains(t, string(p.text), "\u202e")
	requireNarrow(t, string(p.text))
	require.Contains(t, string(p.text), "end")
}
