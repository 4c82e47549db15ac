//go:build unix

package main

import (
	"fmt"
	"io"
	"time"

	"waybill/internal/bench/figures"
)

// sizes are how much is measured.
type sizes struct {
	rounds  int           // of what is compared with River
	few     int           // rounds of what varies one thing
	drain   int           // bundles that wait, on both sides and however they were enqueued
	vary    int           // the same, where one thing is varied
	commit  time.Duration // of each producer on each number of connections
	turns   int           // of all producers in a round, where there is a budget
	moving  bool          // also drain orders that each change a trait
	pairs   int           // transactions compared one by one
	steady  time.Duration
	beside  int // bundles, in packs, that wait beside a steady rate; 0 leaves that out
	idle    time.Duration
	waiting []int         // backlogs that are compared with the first
	starts  int           // of a worker on each of them in a round
	sustain time.Duration // enqueuing and draining at once; River gets a fifth of it
	outage  time.Duration
	overdue int // completed jobs that the cleaner finds
	soak    time.Duration
	bench   string // how long go test measures one function
}

var (
	full = sizes{
		rounds: 5, few: 3, moving: true, drain: 60_000, vary: 30_000, commit: 2 * time.Second, turns: 4, pairs: 500,
		steady: 20 * time.Second, beside: 200_000, idle: 20 * time.Second, waiting: []int{10_000, 100_000, 1_000_000}, starts: 3,
		sustain: 5 * time.Minute, outage: 30 * time.Second, overdue: 300_000, soak: 30 * time.Minute, bench: "1s",
	}
	quick = sizes{
		rounds: 3, few: 1, drain: 30_000, vary: 10_000, commit: 300 * time.Millisecond, turns: 1, pairs: 100,
		steady: 4 * time.Second, idle: 5 * time.Second, waiting: []int{10_000, 20_000}, starts: 1,
		sustain: 10 * time.Second, outage: 5 * time.Second, overdue: 20_000, soak: 30 * time.Second, bench: "100ms",
	}
)

// bench collects figures.
type bench struct {
	*house

	sizes    sizes
	progress io.Writer
	figures  map[string]*figures.Figure
	order    []string
	work     []string
}

// figure is the one of that id, made at its first use. The order of first uses is that of the table.
func (b *bench) figure(f figures.Figure) *figures.Figure {
	if b.figures[f.ID] == nil {
		b.figures[f.ID] = &f
		b.order = append(b.order, f.ID)
	}
	return b.figures[f.ID]
}

// compare enters one round of a comparison, or why it is none.
func (b *bench) compare(f figures.Figure, ours, against float64, refused string) {
	into := b.figure(f)
	into.Ours, into.Against = append(into.Ours, ours), append(into.Against, against)
	if refused != "" {
		into.Refused = refused
	}
}

// note enters one round of a figure that stands alone.
func (b *bench) note(f figures.Figure, ours float64) {
	into := b.figure(f)
	into.Ours = append(into.Ours, ours)
}

// noteMemory enters what a worker has had resident at most.
func (b *bench) noteMemory(f figures.Figure, peak int64) {
	if f.Unit = "MiB"; peak == 0 {
		b.absent(f, "the system does not tell")
		return
	}
	b.note(f, float64(peak)/(1<<20))
}

// absent says why a figure is not there.
func (b *bench) absent(f figures.Figure, why string) {
	b.figure(f).Absent = why
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...)
}

func atLeast(ratio float64) figures.Limit { return figures.Limit{AtLeast: ratio, OfRatio: true} }
func atMost(value float64) figures.Limit  { return figures.Limit{AtMost: value} }
