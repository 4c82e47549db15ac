package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"waybill/internal/importer"
)

const (
	// barAfter keeps a short import from flashing a bar.
	barAfter = time.Second
	// drawEvery is as often as an eye can follow.
	drawEvery = 100 * time.Millisecond
	// lineEvery is how often a log, which has no bar, gets a line.
	lineEvery = 10 * time.Second
)

// progress shows how far an import is: a bar on a terminal, else now and then a line.
type progress struct {
	w     io.Writer
	now   func() time.Time
	input input
	pause time.Duration            // until something is drawn or written again
	told  time.Time                // when that last happened, or when it began
	bar   *progressbar.ProgressBar // nil where w is no terminal
}

// newProgress begins now.
func (p *program) newProgress(in input) *progress {
	tell := &progress{w: p.stderr, now: p.now, input: in, pause: lineEvery, told: p.now()}
	if p.terminal {
		tell.pause = barAfter
		tell.bar = newBar(p.stderr, in.size)
	}
	return tell
}

// newBar is a bar of bytes, or a spinner where their number is not known beforehand.
func newBar(w io.Writer, size int64) *progressbar.ProgressBar {
	if size <= 0 {
		size = -1
	}
	bar := progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(12),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		// Drawn by advance alone: no goroutine of its own.
		progressbar.OptionSetSpinnerChangeInterval(0),
	)
	bar.StartWithoutRender()
	return bar
}

// advance is told of each batch.
func (p *progress) advance(bytes int64, so importer.Summary) {
	now := p.now()
	if now.Sub(p.told) < p.pause {
		return
	}
	p.told = now
	if p.bar == nil {
		say(p.w, "", p.line(bytes, so))
		return
	}
	p.pause = drawEvery
	// A terminal that is gone is no reason to stop.
	p.bar.Describe(fmt.Sprintf("%d lines", so.Lines))
	_ = p.bar.Set64(bytes)
}

func (p *progress) line(bytes int64, so importer.Summary) string {
	const mega = 1e6
	line := fmt.Sprintf("%s: %d lines, %.1f MB", p.input.name, so.Lines, float64(bytes)/mega)
	if p.input.size > 0 {
		line += fmt.Sprintf(" of %.1f MB (%d %%)", float64(p.input.size)/mega, 100*bytes/p.input.size)
	}
	return line
}

// clear takes the bar away, so that something else can be printed.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
