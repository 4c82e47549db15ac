//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/bench/endpoint"
	"waybill/internal/bench/workload"
)

// trial is what one drain is made of.
type trial struct {
	shop    workload.Shop
	n       int    // bundles that wait
	load    loader // how ours are enqueued; River's are inserted as its own bench does
	workers int    // processes, 0 for one
	url     string // where ours connects, "" for the server itself
	// before is done when everything waits and before a worker is there.
	before func(ctx context.Context) error
}

// loader enqueues orders from..to.
type loader func(ctx context.Context, shop workload.Shop, from, to int) error

// drained is one round of one side: n actions that waited, and what it took to get rid of them.
type drained struct {
	n           int
	took        time.Duration
	loadWAL     int64         // bytes of WAL for enqueuing
	loadCPU     time.Duration // of Postgres
	drainWAL    int64         // bytes of WAL from there to the last completion
	postgresCPU time.Duration
	worker      usage // of the worker processes, their start included
	sinkCPU     time.Duration
	work        work
	arrived     endpoint.Counts
}

func (d drained) rate() float64 { return float64(d.n) / d.took.Seconds() }

// kilobytes is the WAL of one action, enqueue to completed.
func (d drained) kilobytes() float64 { return float64(d.loadWAL+d.drainWAL) / float64(d.n) / 1000 }

func perAction(d time.Duration, n int) float64 { return d.Seconds() * 1e6 / float64(n) }

// delivered says why a round of ours does not count, "" if it does: every bundle that was not refused is at the
// endpoint once.
func (d drained) delivered() string {
	c := d.arrived
	if c.Tracks != d.n-d.work.refused || c.Distinct != c.Events || c.Malformed != 0 || c.Requests == 0 {
		return fmt.Sprintf("the endpoint saw %d of %d bundles, %d repeats, %d malformed requests", c.Tracks, d.n-d.work.refused, c.Events-c.Distinct, c.Malformed)
	}
	return ""
}

// against says why two rounds of ours cannot be compared, "" if they can.
func (d drained) against(other drained) string {
	for _, refused := range []string{d.work.asBusyAs(other.work), d.delivered(), other.delivered()} {
		if refused != "" {
			return refused
		}
	}
	return ""
}

// drainOurs lets bundles wait and workers deliver them.
func (h *house) drainOurs(ctx context.Context, t trial) (drained, error) {
	start := func(ctx context.Context) (*process, error) { return h.startWorkerAt(ctx, t.url) }
	return h.drain(ctx, h.ours, t, start, func(ctx context.Context) error { return t.load(ctx, t.shop, 0, t.n) })
}

// drainStock lets jobs wait and stock River complete them.
func (h *house) drainStock(ctx context.Context, t trial) (drained, error) {
	return h.drain(ctx, h.stock, t, h.startStock, func(ctx context.Context) error { return h.loadStock(ctx, t.shop, t.n) })
}

// drain measures from the first fetch to the moment at which the database holds no unfinished job, both by the
// database's clock: neither the workers' start nor their last sleep counts.
func (h *house) drain(ctx context.Context, s *side, t trial, start starter, load func(context.Context) error) (d drained, err error) {
	d.n = t.n
	if err := h.fresh(ctx); err != nil {
		return d, err
	}
	before, _ := familyCPU(h.server.PID())
	if d.loadWAL, err = h.walOf(ctx, func() error { return load(ctx) }); err != nil {
		return d, err
	}
	after, _ := familyCPU(h.server.PID())
	d.loadCPU = after - before
	if t.before != nil {
		if err := t.before(ctx); err != nil {
			return d, err
		}
	}
	if err := h.settle(ctx, s); err != nil {
		return d, err
	}
	d.drainWAL, err = h.walOf(ctx, func() error { return h.untilDrained(ctx, s, max(t.workers, 1), start, &d) })
	if err != nil {
		return d, err
	}
	return d, h.account(ctx, s, &d)
}

// fresh empties both sides and the endpoint: what the round before has left would be vacuumed in the time of this one,
// whoever's it is. The checkpoint is the last one until everything is drained, as for most jobs of a queue that keeps
// up: after one, each page goes into the log as a whole when it is next written.
func (h *house) fresh(ctx context.Context) error {
	for _, s := range []*side{h.ours, h.stock} {
		if err := s.clear(ctx); err != nil {
			return err
		}
	}
	if _, err := h.ours.pool.Exec(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	return h.endpoint.Reset(ctx)
}

func (h *house) untilDrained(ctx context.Context, s *side, workers int, start starter, d *drained) error {
	postgres, _ := familyCPU(h.server.PID())
	sink, _ := processCPU(h.sink.pid)
	all, err := launch(ctx, workers, start)
	if err != nil {
		return err
	}
	defer all.kill()
	end, err := s.awaitDrained(ctx, all)
	if err != nil {
		return err
	}
	postgresThen, _ := familyCPU(h.server.PID())
	sinkThen, _ := processCPU(h.sink.pid)
	d.postgresCPU, d.sinkCPU = postgresThen-postgres, sinkThen-sink
	begin, err := s.began(ctx)
	if err != nil {
		return err
	}
	d.took = end.Sub(begin)
	d.worker, err = all.stop()
	return err
}

// account counts what was done, after the clock was stopped.
func (h *house) account(ctx context.Context, s *side, d *drained) (err error) {
	if d.work, err = s.work(ctx); err != nil {
		return err
	}
	d.arrived, err = h.endpoint.Counts(ctx)
	return err
}

func (h *house) walOf(ctx context.Context, do func() error) (int64, error) {
	before, err := h.wal(ctx)
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := h.wal(ctx)
	return after - before, err
}

// enqueueAndDrain has two connections enqueue n bundles, 100 a call, while a worker delivers them, and measures from
// the first call to the last completion. The bundles are built before: so are the jobs that River drains beside it.
func (h *house) enqueueAndDrain(ctx context.Context, shop workload.Shop, n int) (d drained, err error) {
	d.n = n
	if err := h.fresh(ctx); err != nil {
		return d, err
	}
	calls := make([]string, 0, n/perCall+1)
	for from := 0; from < n; from += perCall {
		calls = append(calls, array(shop.OrdersFrom(from, min(from+perCall, n))))
	}
	all, err := launch(ctx, 1, h.startWorker)
	if err != nil {
		return d, err
	}
	defer all.kill()
	begin := time.Now()
	if err := h.load(ctx, 0, n, perCall, func(ctx context.Context, from, to int) error {
		return enqueueArray(ctx, h.ours.pool, calls[from/perCall], to-from)
	}); err != nil {
		return d, err
	}
	if _, err := h.ours.awaitDrained(ctx, all); err != nil {
		return d, err
	}
	d.took = time.Since(begin)
	if d.worker, err = all.stop(); err != nil {
		return d, err
	}
	return d, h.account(ctx, h.ours, &d)
}
