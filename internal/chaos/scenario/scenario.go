//go:build unix

// Package scenario runs Waybill for real and does to it what a schedule says: producers
// that commit, change their minds and lose their connections, several worker processes,
// a fake Amplitude, and a villain between them. When it is over, everything is healed,
// the queue drains by itself, and the evidence goes to the checker.
package scenario

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
	"waybill/internal/chaos/nemesis"
)

// Options say what to run.
type Options struct {
	Seed     uint64
	Duration time.Duration     // of the faults; the queue drains afterwards
	Bundles  int               // about as many are enqueued, evenly over the duration
	Workers  int               // processes
	Worker   string            // path of the worker binary
	Previous Previous          // a worker of an earlier version
	Dir      string            // gets a directory for this seed, with histories and logs
	Schedule *nemesis.Schedule // nil: drawn from the seed
	Limits   checker.Limits
}

// Sample is where the queue stood at a moment.
type Sample struct {
	At               time.Duration // since the start of the run
	Settled, Waiting int           // bundles
}

// Result is how a run went.
type Result struct {
	Seed       uint64
	Dir        string // with histories and logs
	Schedule   nemesis.Schedule
	Length     time.Duration // of the whole run
	Healed     time.Duration // when the last fault was over, since the start
	Bands      []Band
	Skipped    map[nemesis.Kind]string // what could not be done here, and what it needs
	Samples    []Sample
	Figures    checker.Figures
	Violations []checker.Violation
}

const (
	producers = 4
	// perTransaction is how many actions a transaction commits, about: some come in bulk,
	// some are given up, and all take time.
	perTransaction = 1.1
)

// Run does one seed. The error is for a run that could not be done, not for one that
// broke a promise: that is in the result.
func Run(ctx context.Context, o Options) (result Result, err error) {
	result = Result{Seed: o.Seed, Dir: filepath.Join(o.Dir, "seed-"+strconv.FormatUint(o.Seed, 10))}
	if err := os.RemoveAll(result.Dir); err != nil {
		return result, err
	}
	if err := os.MkdirAll(result.Dir, 0o700); err != nil {
		return result, err
	}
	if o.Schedule == nil {
		drawn := nemesis.Draw(o.Seed, o.Duration)
		o.Schedule = &drawn
	}
	result.Schedule, result.Skipped = *o.Schedule, map[nemesis.Kind]string{}
	h, err := openHouse(ctx, o, result.Dir, time.Now())
	if err != nil {
		return result, fmt.Errorf("seed %d: %w", o.Seed, err)
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.load(ctx, &result); err != nil {
		return result, fmt.Errorf("seed %d: %w", o.Seed, err)
	}
	evidence, err := perform(ctx, h, o, &result)
	if err != nil {
		return result, fmt.Errorf("seed %d: %w", o.Seed, err)
	}
	result.Violations, result.Figures = checker.Check(evidence), checker.Measure(evidence)
	if len(result.Violations) > 0 {
		err = keep(result, evidence)
	}
	return result, err
}

// load puts on the house what lasts for the whole run.
func (h *house) load(ctx context.Context, result *Result) (err error) {
	s := &result.Schedule
	if s.Clock != 0 {
		if h.library == nil {
			s.Clock, result.Skipped[nemesis.ClockOff] = 0, h.noFaults.needs
		} else if err := h.setClock(s.Clock); err != nil {
			return err
		}
	}
	if s.Neighbour {
		way, err := h.openLink(ctx, nil)
		if err != nil {
			return err
		}
		if h.foreign, err = openNeighbour(ctx, h.ownURL(way)); err != nil {
			return fmt.Errorf("start a foreign River application: %w", err)
		}
	}
	h.burden.snapshot, h.burden.idle = s.Snapshot, s.Idle
	return h.burden.take(ctx, h.current.URL())
}

// wholeRun are the bands of what lasted from the beginning to the end.
func wholeRun(s nemesis.Schedule, length time.Duration) (bands []Band) {
	for kind, lasts := range map[nemesis.Kind]bool{
		nemesis.Snapshot: s.Snapshot, nemesis.Idle: s.Idle > 0, nemesis.Neighbour: s.Neighbour, nemesis.ClockOff: s.Clock != 0,
	} {
		if lasts {
			bands = append(bands, Band{Kind: kind, To: length})
		}
	}
	return bands
}

// keep leaves beside the histories what the checker saw and what it found.
func keep(r Result, e *checker.Evidence) error {
	for name, value := range map[string]any{"violations.json": r.Violations, "evidence.json": e} {
		text, err := json.MarshalIndent(value, "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Join(r.Dir, name), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
	}
	return nil
}

// perform lets everything happen and gathers the evidence.
func perform(ctx context.Context, h *house, o Options, result *Result) (*checker.Evidence, error) {
	start := time.Now()
	v := &villain{house: h, start: start, skipped: result.Skipped}
	var watching sync.WaitGroup
	watch, stopWatching := context.WithCancel(ctx)
	defer func() {
		stopWatching()
		watching.Wait()
	}()
	watching.Go(func() { result.Samples = h.watch(watch, start) })

	produced, err := h.produce(ctx, o, start)
	if err != nil {
		return nil, err
	}
	err = v.act(ctx, result.Schedule, o.Duration)
	produced()
	if err != nil {
		return nil, err
	}
	if err := h.fleet.fill(ctx); err != nil {
		return nil, err
	}
	e := &checker.Evidence{Healed: time.Now(), Limits: o.Limits}
	result.Healed = e.Healed.Sub(start)
	e.Drained = h.drain(ctx, o.Limits.Drain)
	e.Refusals = refusals(v.bands)
	if e.Innocent, err = h.bringBack(ctx, o.Limits.Drain); err != nil {
		return nil, err
	}
	h.sink.Settle()
	stopWatching()
	watching.Wait()
	for _, w := range h.fleet.running() { // a last SIGTERM each, in peace
		h.fleet.stop(w)
	}
	h.fleet.deserters()
	if err := h.closeHistories(); err != nil {
		return nil, err
	}
	if e.History, err = history.Read(h.dir); err != nil {
		return nil, err
	}
	e.Arrivals = h.sink.received()
	e.Kills, e.Stops, e.Faults, e.Pauses = h.fleet.kills, h.fleet.stops, v.faults, v.pauses
	result.Length = time.Since(start)
	result.Bands = slices.Concat(v.bands, wholeRun(result.Schedule, result.Length))
	slices.SortFunc(result.Bands, func(a, b Band) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(b.To, a.To), cmp.Compare(a.Kind, b.Kind))
	})
	return e, h.collect(ctx, e)
}

// collect reads what everybody says at the end. The ledger's times are the database's.
func (h *house) collect(ctx context.Context, e *checker.Evidence) (err error) {
	if err := patiently(ctx, func(ctx context.Context) error {
		e.Actions, e.Ledger, e.Taken = nil, nil, nil
		return collect(ctx, h.referee.pool, h.sink.Fake, e)
	}); err != nil {
		return err
	}
	for i := range e.Ledger {
		if b := &e.Ledger[i]; b.Outcome != "" {
			b.SettledAt = h.clock.here(b.SettledAt)
		}
	}
	e.ClockStepped, e.Usurped = h.clock.stepped(), h.usurped
	if h.foreign != nil {
		e.Neighbour, err = h.foreign.end(ctx)
		h.foreign = nil
	}
	return err
}

// produce starts the producers and returns what ends them and waits for them. Those that
// have done their share end by themselves.
func (h *house) produce(ctx context.Context, o Options, start time.Time) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	var committed atomic.Int64
	pause := time.Duration(float64(o.Duration) * producers * perTransaction / float64(max(o.Bundles, 1)))
	for i := range producers {
		lines, err := h.write(fmt.Sprintf("producer-%d", i), start)
		if err != nil {
			cancel()
			return nil, err
		}
		p := &producer{
			author: author{random: newRandom(o.Seed, i), producer: i, poisoned: h.poison.Load}, history: lines, pause: pause, judge: commitOutcome,
			url:    h.urlThrough(h.commits, "chaos_app", fmt.Sprintf("producer-%d", i)),
			enough: func(n int) bool { return committed.Add(int64(n)) >= int64(o.Bundles) },
		}
		working.Go(func() { p.run(ctx) })
	}
	return func() {
		cancel()
		working.Wait()
	}, nil
}

// drain waits for the empty queue; the zero time says that it did not come.
func (h *house) drain(ctx context.Context, patience time.Duration) time.Time {
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if s, err := h.referee.standing(ctx); err == nil && s.Waiting+s.Left == 0 {
			return time.Now()
		}
		if !wait(ctx, 100*time.Millisecond) {
			break
		}
	}
	return time.Time{}
}

// watch samples the queue until ctx ends.
func (h *house) watch(ctx context.Context, start time.Time) []Sample {
	var samples []Sample
	for wait(ctx, 500*time.Millisecond) {
		if s, err := h.referee.standing(ctx); err == nil {
			samples = append(samples, Sample{time.Since(start), s.Settled, s.Waiting})
		}
	}
	return samples
}
