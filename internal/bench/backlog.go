//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// backlogs are how fast a worker drains with few and with many waiting, of the same users.
func (b *bench) backlogs(ctx context.Context, _ int) error {
	few := b.sizes.waiting[0]
	var rates []float64
	for range b.sizes.few {
		part, err := b.drainPart(ctx, few, few, few)
		if err != nil {
			return err
		}
		rates = append(rates, part.rate)
	}
	columns := figures.Columns{Title: "Waiting, 1 a call, bundles/s", Ours: "many", Against: short(few)}
	for _, waiting := range b.sizes.waiting[1:] {
		b.say("  %d waiting", waiting)
		many, err := b.drainPart(ctx, few, waiting, min(6*few, waiting))
		if err != nil {
			return err
		}
		f := figures.Figure{ID: fmt.Sprintf("backlog_%d", waiting), Part: columns, What: fmt.Sprintf("%s ÷ %s", short(waiting), short(few)), Unit: "bundles/s", Rival: short(few)}
		memory := figures.Figure{ID: fmt.Sprintf("memory_%d", waiting), Part: columns, What: fmt.Sprintf("worker memory, %s, MiB", short(waiting)), Unit: "MiB"}
		if waiting == 1_000_000 {
			f.Limit, memory.Limit = atLeast(0.9), atMost(150)
		}
		for _, rate := range rates {
			b.compare(f, many.rate, rate, "")
		}
		b.note(memory, many.memory)
	}
	return nil
}

// short is a round number as people say it.
func short(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%d M", n/1_000_000)
	case n >= 1000:
		return fmt.Sprintf("%d k", n/1000)
	}
	return fmt.Sprint(n)
}

// backlog is how fast a worker drains with much waiting.
type backlog struct {
	rate   float64 // bundles a second
	memory float64 // MiB resident at most
}

// drainPart loads many bundles, one a call, lets a worker deliver the first of them, and measures between the moments
// at which a tenth of part and all of it was recorded. The shop has the users of so many orders.
func (h *house) drainPart(ctx context.Context, orders, waiting, part int) (b backlog, err error) {
	if err := h.fresh(ctx); err != nil {
		return b, err
	}
	if err := h.loadSingle(ctx, workload.Shop{Name: "backlog", Orders: orders}, 0, waiting); err != nil {
		return b, err
	}
	if err := h.settle(ctx, h.ours); err != nil {
		return b, err
	}
	worker, err := launch(ctx, 1, h.startWorker)
	if err != nil {
		return b, err
	}
	defer worker.kill()
	if err := h.awaitRecorded(ctx, worker, part); err != nil {
		return b, err
	}
	took, err := worker.stop()
	if err != nil {
		return b, err
	}
	b.memory = float64(took.maxBytes) / (1 << 20)
	return b, h.ours.pool.QueryRow(ctx, query("recorded_rate"), part).Scan(&b.rate)
}

// awaitRecorded waits until n bundles have an outcome.
func (h *house) awaitRecorded(ctx context.Context, f fleet, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, drainPatience, fmt.Errorf("fewer than %d bundles were recorded in %v", n, drainPatience))
	defer cancel()
	ticker := time.NewTicker(250 * time.Millisecond) // counting costs, too
	defer ticker.Stop()
	for {
		var seen int
		if err := h.ours.pool.QueryRow(ctx, query("recorded"), n).Scan(&seen); err != nil {
			return err
		}
		if seen >= n {
			return nil
		}
		if err := f.failure(); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
