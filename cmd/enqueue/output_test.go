package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/importer"
)

func TestAMessageIsFoldedAtSpaces(t *testing.T) {
	t.Parallel()
	require.Equal(t, "short\n", fold("", "short"))
	require.Equal(t, "    short\n", fold("    ", "short"))
	require.Equal(t,
		"    "+strings.Repeat("word ", 14)+"word\n    word\n",
		fold("    ", strings.Repeat("word ", 16)))
	require.Equal(t,
		"begin\n    "+strings.Repeat("x", 76)+"\n    "+strings.Repeat("x", 24)+" end\n",
		fold("", "begin "+strings.Repeat("x", 100)+" end"))
}

func TestAFoldedMessageFitsAndLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		message := strings.Join(rapid.SliceOf(rapid.StringMatching(`[a-zé…]{1,120}`)).Draw(t, "words"), " ")
		indent := rapid.SampledFrom([]string{"", "    "}).Draw(t, "indent")
		folded := fold(indent, message)
		for line := range strings.Lines(folded) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
				t.Fatalf("%d columns: %q", n, line)
			}
		}
		bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if bare(folded) != bare(message) {
			t.Fatalf("%q became %q", message, folded)
		}
	})
}

func TestAKeyCannotWriteToTheTerminal(t *testing.T) {
	t.Parallel()
	require.Equal(t, "order:8412:completed", show("order:8412:completed"))
	require.Equal(t, "größe", show("größe"))
	require.Equal(t, `"\x1b[2Jgone"`, show("\x1b[2Jgone"))
	require.Equal(t, `"\xff"`, show("\xff"))
	require.Equal(t, maxShown, utf8.RuneCountInString(show(strings.Repeat("ö", 200))))
}

// clock is a hand-set one.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func watch(w *bytes.Buffer, terminal bool, size int64) (*progress, *clock) {
	c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	p := &program{stderr: w, terminal: terminal, now: c.now}
	return p.newProgress(input{name: "orders.ndjson", size: size}), c
}

func TestALogGetsALineEveryTenSeconds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p, clock := watch(&out, false, 40e6)
	for i := range 45 {
		clock.advance(500 * time.Millisecond)
		p.advance(int64(i)*1e6, importer.Summary{Lines: i * 500})
	}
	p.clear()
	require.Equal(t, "orders.ndjson: 9500 lines, 19.0 MB of 40.0 MB (47 %)\n"+
		"orders.ndjson: 19500 lines, 39.0 MB of 40.0 MB (97 %)\n", out.String())
}

func TestALogOfAnInputOfUnknownSize(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p, clock := watch(&out, false, 0)
	clock.advance(lineEvery)
	p.advance(2e6, importer.Summary{Lines: 1000})
	require.Equal(t, "orders.ndjson: 1000 lines, 2.0 MB\n", out.String())
}

func TestATerminalGetsABarOnceItTakesLong(t *testing.T) {
	t.Parallel()
	for size, shows := range map[int64]string{4e9: "50%", 0: "500000 lines"} {
		var out bytes.Buffer
		p, clock := watch(&out, true, size)
		clock.advance(barAfter - time.Millisecond)
		p.advance(1e6, importer.Summary{Lines: 500})
		p.clear()
		require.Empty(t, out.String(), "a short import")

		clock.advance(time.Millisecond)
		p.advance(2e9, importer.Summary{Lines: 500_000})
		require.Contains(t, out.String(), shows)
		for _, drawn := range strings.Split(out.String(), "\r") {
			fits(t, drawn)
		}
		drawn := out.Len()
		clock.advance(drawEvery - time.Millisecond)
		p.advance(3e9, importer.Summary{Lines: 750_000})
		require.Equal(t, drawn, out.Len(), "no faster than an eye can follow")
		p.clear()
		require.True(t, strings.HasSuffix(out.String(), " \r"), "the line is free again")
	}
}
