//go:build unix

// Package bounds measures what Waybill promises in numbers, one fault at a time, on real
// processes: each measurement gives a figure, a bound, and whether it holds.
package bounds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/scenario"
)

// Sense says on which side of a bound a figure has to be.
type Sense string

// The senses.
const (
	AtMost  Sense = "≤"
	AtLeast Sense = "≥"
	Exactly Sense = "="
)

// Row is one figure with its bound.
type Row struct {
	Promise string  `json:"promise"` // of docs/guarantees.md, e.g. P6
	What    string  `json:"what"`
	Figure  float64 `json:"figure"`
	Sense   Sense   `json:"sense"`
	Bound   float64 `json:"bound"`
	Unit    string  `json:"unit,omitempty"`
	Holds   bool    `json:"holds"`
	How     string  `json:"how"` // the conditions, and what else was seen
}

// judge completes a row.
func judge(r Row) Row {
	switch r.Sense {
	case AtMost:
		r.Holds = r.Figure <= r.Bound
	case AtLeast:
		r.Holds = r.Figure >= r.Bound
	default:
		r.Holds = r.Figure == r.Bound
	}
	return r
}

// sizes are how much of everything is done.
type sizes struct {
	kills, wave int // kills in all, and one after the other before the orphans are waited for
	restarts    int
	poisons     int // positions of each kind of poison
	pairs       int // runs with and without a throttled user
	pairLasts   time.Duration
	backlogs    [2]int
	outage      time.Duration // watched, once the workers hold what they can
	traffic     time.Duration // before a backup, and after it
}

var (
	full = sizes{
		kills: 50, wave: 5, restarts: 100, poisons: 10, pairs: 5, pairLasts: 20 * time.Second,
		backlogs: [2]int{2_000, 20_000}, outage: time.Minute, traffic: 5 * time.Second,
	}
	quick = sizes{
		kills: 10, wave: 5, restarts: 12, poisons: 3, pairs: 3, pairLasts: 8 * time.Second,
		backlogs: [2]int{2_000, 10_000}, outage: 20 * time.Second, traffic: 3 * time.Second,
	}
)

// measurement is one fault, measured alone.
type measurement struct {
	name  string
	about string
	run   func(ctx context.Context, b *bench) ([]Row, error)
}

// measurements are all of them, in the order of the table.
func measurements() []measurement {
	return []measurement{
		{"kill", "SIGKILL under load, until the last orphan has an outcome", kills},
		{"stop", "SIGTERM of one worker after the other, under load", stops},
		{"poison", "one bad bundle among a thousand", poison},
		{"throttle", "one throttled user with half of all traffic", throttle},
		{"outage", "Amplitude away, with a small and a large backlog", outage},
		{"doubt", "answers lost for days", doubt},
		{"restore", "a backup taken in mid-run, restored", restore},
	}
}

// bench is what a measurement works with.
type bench struct {
	sizes

	seed     uint64
	worker   string // path of the binary
	dir      string // gets logs
	progress io.Writer
}

// open starts Postgres, a fake Amplitude and workers. Every answer takes latency longer
// than the fake's own.
func (b *bench) open(ctx context.Context, name string, workers int, latency time.Duration) (*scenario.Rig, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	rig, err := scenario.OpenRig(ctx, scenario.Options{Seed: b.seed, Workers: workers, Worker: b.worker, Dir: dir})
	if err != nil {
		return nil, err
	}
	if latency > 0 {
		rig.Amplitude().Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Latency: latency}})
	}
	return rig, nil
}

// random is a measurement's own source.
func (b *bench) random() *rand.Rand { return rand.New(rand.NewPCG(b.seed, 0x626f756e6473)) }

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...)
}

// measure does one measurement; one that fails to finish is an error that names it.
func (b *bench) measure(ctx context.Context, m measurement) ([]Row, error) {
	began := time.Now()
	b.say("%s: %s", m.name, m.about)
	rows, err := m.run(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; the workers' logs are in %s", m.name, err, filepath.Join(b.dir, m.name))
	}
	for i := range rows {
		rows[i] = judge(rows[i])
	}
	b.say("%s: done in %.0f s", m.name, time.Since(began).Seconds())
	return rows, nil
}

// closing ends a rig and keeps its error.
func closing(rig *scenario.Rig, err *error) { *err = errors.Join(*err, rig.Close()) }

// pause lets time pass, and fails when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// until asks every 50 ms until the answer is yes, for a minute and a half at most.
func until(ctx context.Context, what string, ask func() (bool, error)) error {
	const patience, every = 90 * time.Second, 50 * time.Millisecond
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		yes, err := ask()
		if yes && err == nil {
			return nil
		}
		last = err
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("waited in vain for %s", what), last)
}
