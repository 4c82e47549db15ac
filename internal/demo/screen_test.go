//go:build unix

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestInALogTheLivingLineComesNowAndThen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out, began: noon}
	for tenths := range 101 {
		s.live(noon.Add(time.Duration(tenths)*100*time.Millisecond), sample{Orders: 10 * tenths, Settled: 12 * tenths, Waiting: 7})
	}
	require.Equal(t, ""+
		"  0.0 s  0 orders   depth 7   rate 0/s   age 0.0 s\n"+
		"  5.0 s  500 orders   depth 7   rate 120/s   age 0.0 s\n"+
		" 10.0 s  1,000 orders   depth 7   rate 120/s   age 0.0 s\n", out.String())
}

func TestOnATerminalTheLivingLineIsRewritten(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out, terminal: true, width: 40, began: noon}

	s.live(noon, sample{Orders: 1_000_000, Waiting: 1_000_000, Oldest: 1000})
	s.live(noon.Add(time.Second), sample{Orders: 2})
	s.print("a step")

	lines := strings.Split(out.String(), eraseLine)
	require.Len(t, lines, 4)
	for _, line := range lines[1:3] {
		require.NotContains(t, line, "\n")
		require.Less(t, utf8.RuneCountInString(line), 40, "a line that wraps could not be rewritten")
	}
	require.Equal(t, "a step\n", lines[3], "a step takes the line's place")
}

func TestTheLivingLineFitsEightyColumns(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out, began: noon.Add(-999 * time.Second)}
	s.live(noon, sample{Orders: 100_000, Waiting: 100_000, Oldest: 999})
	require.Less(t, out.Len(), columns)
}

func TestMeter(t *testing.T) {
	t.Parallel()
	var m meter
	require.Zero(t, m.add(noon, 50))
	require.Equal(t, 100, m.add(noon.Add(time.Second), 150))
	require.Equal(t, 200, m.add(noon.Add(2*time.Second), 450))
	require.Zero(t, m.add(noon.Add(10*time.Second), 450), "what happened before the window does not count")
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -4000: "-4,000"} {
		require.Equal(t, want, thousands(n))
	}
}
