//go:build unix

package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
	"waybill/internal/chaos/link"
)

// worker is one `worker run` and its own way to the database.
type worker struct {
	*process
	link    *link.Link
	id      string // as its heartbeat row has it
	ordered bool   // its end was ours to decide
}

// fleet is the workers of a run. They are started one at a time, so that the heartbeat
// row that is new is the new one's.
type fleet struct {
	house *house
	size  int

	mu      sync.Mutex
	started int
	seen    []string // ids of all workers so far
	all     []*worker
	kills   []checker.Kill
	stops   []checker.Stop
}

// endedEarly is a worker that ended before it had a heartbeat.
type endedEarly struct {
	name  string
	code  int
	words error
}

func (e endedEarly) Error() string {
	return fmt.Sprintf("%s ended with exit code %d before it was ready: %v", e.name, e.code, e.words)
}

const readyTimeout = 40 * time.Second

// start starts a worker of some version and returns when it has a heartbeat.
func (f *fleet) start(ctx context.Context, binary string) (*worker, error) {
	f.started++
	name := fmt.Sprintf("worker-%d", f.started)
	way, err := f.house.openLink(ctx, nil)
	if err != nil {
		return nil, err
	}
	p, err := startProcess(name, binary, []string{"run"}, []string{
		"DATABASE_URL=" + f.house.urlThrough(way, "chaos_worker", name),
		"ANALYTICS_ENV=production",
		"AMPLITUDE_API_KEY=chaos-key",
		"AMPLITUDE_ENDPOINT=" + f.house.sink.URL,
		"ANALYTICS_HTTP_ADDR=127.0.0.1:0",
		"ANALYTICS_LOG_FORMAT=text",
	}, f.house.dir)
	if err != nil {
		return nil, errors.Join(err, way.Close())
	}
	w := &worker{process: p, link: way}
	f.mu.Lock()
	f.all = append(f.all, w)
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for w.id == "" {
		ids, err := f.house.referee.workers(ctx)
		for _, id := range ids {
			if err == nil && !slices.Contains(f.seen, id) {
				w.id = id
				f.seen = append(f.seen, id)
			}
		}
		select {
		case <-w.finished:
			w.ordered = true // whoever asked for it hears of it
			return nil, endedEarly{name, w.state.ExitCode(), w.lastWords()}
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is not ready: %w", name, errors.Join(context.Cause(ctx), w.lastWords()))
		case <-time.After(20 * time.Millisecond):
		}
	}
	return w, nil
}

// fill starts as many workers as are missing.
func (f *fleet) fill(ctx context.Context) error {
	for len(f.running()) < f.size {
		if _, err := f.start(ctx, f.house.binary); err != nil {
			return err
		}
	}
	return nil
}

// running are the workers that have not ended and are not to end.
func (f *fleet) running() []*worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	var alive []*worker
	for _, w := range f.all {
		if !w.ordered && w.running() {
			alive = append(alive, w)
		}
	}
	return alive
}

// kill freezes a worker, sees what it holds, and kills it.
func (f *fleet) kill(ctx context.Context, w *worker) error {
	w.ordered = true
	w.signal(syscall.SIGSTOP)
	at := time.Now()
	f.house.nemesis.Append(history.Record{Op: history.Kill, Type: history.Invoke, Detail: w.name})
	w.kill()
	_ = w.link.Close()
	return patiently(ctx, func(ctx context.Context) error {
		// What one of its statements was doing may yet commit; only afterwards is it
		// known what is left.
		connected, err := f.house.referee.endBackends(ctx, w.name)
		if err == nil && connected > 0 {
			err = fmt.Errorf("%d connections of %s are left", connected, w.name)
		}
		if err != nil {
			return err
		}
		held, err := f.house.referee.held(ctx, w.id)
		if err == nil {
			f.kills = append(f.kills, checker.Kill{Worker: w.name, At: at, Held: held})
		}
		return err
	})
}

// stop asks a worker to end.
func (f *fleet) stop(w *worker) {
	w.ordered = true
	at := time.Now()
	f.house.nemesis.Append(history.Record{Op: history.Stop, Type: history.Invoke, Detail: w.name})
	took, code := w.stop(time.Minute)
	_ = w.link.Close()
	f.stops = append(f.stops, checker.Stop{Worker: w.name, At: at, Took: took, Code: code})
}

// deserters notes the workers that ended by themselves.
func (f *fleet) deserters() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.all {
		if !w.ordered && !w.running() {
			w.ordered = true
			f.house.nemesis.Append(history.Record{Op: history.Exit, Type: history.Fail, Detail: w.name + ": " + w.lastWords().Error()})
		}
	}
}

// end kills whatever still runs.
func (f *fleet) end() {
	for _, w := range f.all {
		w.kill()
		_ = w.link.Close()
	}
}
