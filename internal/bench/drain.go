//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/bench/endpoint"
	"waybill/internal/bench/workload"
)

// drained is one round of one side: n actions that waited, and what it took to get rid of them.
type drained struct {
	n           int
	took        time.Duration
	loadWAL     int64 // bytes of WAL for enqueuing
	drainWAL    int64 // bytes of WAL from there to the last completion
	postgresCPU time.Duration
	worker      usage // of the worker process, its start included
	sinkCPU     time.Duration
	work        work
	arrived     endpoint.Counts
}

func (d drained) rate() float64 { return float64(d.n) / d.took.Seconds() }

// kilobytes is the WAL of one action, enqueue to completed.
func (d drained) kilobytes() float64 { return float64(d.loadWAL+d.drainWAL) / float64(d.n) / 1000 }

func perAction(d time.Duration, n int) float64 { return d.Seconds() * 1e6 / float64(n) }

// delivered says why a round of ours does not count, "" if it does: every bundle is at the endpoint once, in fewer
// requests than bundles.
func (d drained) delivered() string {
	c := d.arrived
	if c.Tracks != d.n || c.Distinct != c.Events || c.Malformed != 0 || c.Requests == 0 {
		return fmt.Sprintf("the endpoint saw %d of %d bundles, %d repeats, %d malformed requests", c.Tracks, d.n, c.Events-c.Distinct, c.Malformed)
	}
	return ""
}

type (
	loader  func(ctx context.Context, shop workload.Shop, from, to int) error
	starter func(ctx context.Context) (*process, error)
)

// drainOurs lets n bundles wait, enqueued by load, and a worker deliver them.
func (h *house) drainOurs(ctx context.Context, shop workload.Shop, n int, load loader) (drained, error) {
	return h.drain(ctx, h.ours, n, h.startWorker, func(ctx context.Context) error { return load(ctx, shop, 0, n) })
}

// drainStock lets n jobs wait and stock River complete them.
func (h *house) drainStock(ctx context.Context, shop workload.Shop, n int) (drained, error) {
	return h.drain(ctx, h.stock, n, h.startStock, func(ctx context.Context) error { return h.loadStock(ctx, shop, n) })
}

// drain measures from the first fetch to the moment at which the database holds no unfinished job, both by the
// database's clock: neither the worker's start nor its last sleep counts.
func (h *house) drain(ctx context.Context, s *side, n int, start starter, load func(context.Context) error) (d drained, err error) {
	d.n = n
	if err := h.fresh(ctx, s); err != nil {
		return d, err
	}
	if d.loadWAL, err = h.walOf(ctx, func() error { return load(ctx) }); err != nil {
		return d, err
	}
	if err := h.settle(ctx, s); err != nil {
		return d, err
	}
	d.drainWAL, err = h.walOf(ctx, func() error { return h.untilDrained(ctx, s, start, &d) })
	if err != nil {
		return d, err
	}
	return d, h.account(ctx, s, &d)
}

// fresh empties a side and the endpoint.
func (h *house) fresh(ctx context.Context, s *side) error {
	if err := s.clear(ctx); err != nil {
		return err
	}
	return h.endpoint.Reset(ctx)
}

func (h *house) untilDrained(ctx context.Context, s *side, start starter, d *drained) error {
	postgres, _ := familyCPU(h.server.PID())
	sink, _ := processCPU(h.sink.pid)
	worker, err := start(ctx)
	if err != nil {
		return err
	}
	defer worker.kill()
	end, err := s.awaitDrained(ctx, worker)
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
	d.worker, err = worker.stop()
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
// the first call to the last completion.
func (h *house) enqueueAndDrain(ctx context.Context, shop workload.Shop, n int) (d drained, err error) {
	d.n = n
	if err := h.fresh(ctx, h.ours); err != nil {
		return d, err
	}
	worker, err := h.startWorker(ctx)
	if err != nil {
		return d, err
	}
	defer worker.kill()
	begin := time.Now()
	if err := h.loadBulk(ctx, shop, 0, n); err != nil {
		return d, err
	}
	if _, err := h.ours.awaitDrained(ctx, worker); err != nil {
		return d, err
	}
	d.took = time.Since(begin)
	if d.worker, err = worker.stop(); err != nil {
		return d, err
	}
	return d, h.account(ctx, h.ours, &d)
}
