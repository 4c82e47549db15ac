//go:build unix

package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"
)

// screen prints the course of things: a line a step, and between them one line that
// lives. On a terminal it is rewritten in place, in a log it comes every five seconds.
type screen struct {
	out      io.Writer
	terminal bool
	width    int // columns
	began    time.Time

	drawn time.Time // when the living line was printed last
	rate  meter
}

const (
	columns   = 80
	inLogs    = 5 * time.Second
	eraseLine = "\r\x1b[K"
)

func newScreen(out *os.File) *screen {
	s := &screen{out: out, terminal: term.IsTerminal(int(out.Fd())), width: columns, began: time.Now()}
	if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
		s.width = min(width, columns)
	}
	return s
}

// step prints a line that stays, after the time since the start.
func (s *screen) step(format string, args ...any) {
	s.print(fmt.Sprintf("%5.1f s  %s", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...)))
}

// print prints lines that stay.
func (s *screen) print(text string) {
	s.erase()
	s.write(text + "\n")
}

// erase takes the living line away, so that something else can stand there.
func (s *screen) erase() {
	if s.terminal && !s.drawn.IsZero() {
		s.write(eraseLine)
	}
}

// write ignores that nobody reads any more: a signal tells this process to stop then.
func (s *screen) write(text string) { _, _ = io.WriteString(s.out, text) }

// live draws the living line.
func (s *screen) live(now time.Time, at sample) {
	rate := s.rate.add(now, at.Settled)
	line := fmt.Sprintf("%5.1f s  %s orders   depth %s   rate %s/s   age %.1f s",
		now.Sub(s.began).Seconds(), thousands(at.Orders), thousands(at.Waiting), thousands(rate), at.Oldest)
	switch {
	case s.terminal:
		s.write(eraseLine + line[:min(len(line), s.width-1)])
		s.drawn = now
	case now.Sub(s.drawn) >= inLogs:
		s.write(line + "\n")
		s.drawn = now
	}
}

// meter is a rate over the last seconds.
type meter struct{ seen []reading }

type reading struct {
	at    time.Time
	count int
}

const meterWindow = 2 * time.Second

// add takes a reading of a counter and returns how much it grows a second.
func (m *meter) add(at time.Time, count int) int {
	m.seen = append(m.seen, reading{at, count})
	for len(m.seen) > 2 && at.Sub(m.seen[1].at) >= meterWindow {
		m.seen = m.seen[1:]
	}
	first := m.seen[0]
	seconds := at.Sub(first.at).Seconds()
	if seconds == 0 {
		return 0
	}
	return int(float64(count-first.count)/seconds + 0.5)
}

// thousands writes 4000 as 4,000.
func thousands(n int) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
