//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/bench/workload"
)

// backlog is how fast a worker drains with much waiting.
type backlog struct {
	rate   float64 // bundles a second
	memory float64 // MiB resident at most
}

// drainPart loads many bundles, one a call, lets a worker deliver the first of them, and measures between the moments
// at which the endpoint had seen a tenth of part and all of it.
func (h *house) drainPart(ctx context.Context, shop workload.Shop, waiting, part int) (b backlog, err error) {
	if err := h.fresh(ctx, h.ours); err != nil {
		return b, err
	}
	if err := h.loadSingle(ctx, shop, 0, waiting); err != nil {
		return b, err
	}
	if err := h.settle(ctx, h.ours); err != nil {
		return b, err
	}
	worker, err := h.startWorker(ctx)
	if err != nil {
		return b, err
	}
	defer worker.kill()
	firstAt, first, err := h.awaitArrived(ctx, worker, part/10)
	if err != nil {
		return b, err
	}
	lastAt, last, err := h.awaitArrived(ctx, worker, part)
	if err != nil {
		return b, err
	}
	b.rate = float64(last-first) / lastAt.Sub(firstAt).Seconds()
	took, err := worker.stop()
	b.memory = float64(took.maxBytes) / (1 << 20)
	return b, err
}

// awaitArrived waits until the endpoint has seen n bundles, and returns how many it had seen when.
func (h *house) awaitArrived(ctx context.Context, p *process, n int) (at time.Time, seen int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainPatience, fmt.Errorf("fewer than %d bundles arrived in %v", n, drainPatience))
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		counts, err := h.endpoint.Counts(ctx)
		if err != nil {
			return at, 0, err
		}
		if counts.Tracks >= n {
			return time.Now(), counts.Tracks, nil
		}
		select {
		case <-ticker.C:
		case <-p.finished:
			return at, 0, p.failure()
		case <-ctx.Done():
			return at, 0, context.Cause(ctx)
		}
	}
}
