//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// backlogs are how fast a worker that has just started drains the first of few and of many that wait, of the same
// users. A part of each is measured that leaves something behind, and the same part of both.
func (b *bench) backlogs(ctx context.Context, _ int) error {
	columns := figures.Columns{Title: "The first that wait, 1 a call", Ours: "of many", Against: "of few"}
	sizes := b.sizes.waiting
	shop := workload.Shop{Name: "backlog", Orders: sizes[0]}
	first := make([]backlog, len(sizes)) // as much as nearly all of the smallest
	long := make([]backlog, len(sizes))  // as much as nearly all of the one before
	for i, waiting := range sizes {
		b.say("  %d waiting", waiting)
		for round := range b.sizes.rounds {
			if round == 0 || i == 0 {
				if err := b.await(ctx, shop, waiting); err != nil {
					return err
				}
			}
			if err := b.drainFirst(ctx, nearly(sizes[0]), &first[i]); err != nil {
				return err
			}
		}
		if i == 0 {
			continue
		}
		part := nearly(sizes[i-1])
		f := figures.Figure{
			ID: fmt.Sprintf("backlog_%d", waiting), Part: columns, Unit: "bundles/s", Rival: short(sizes[0]),
			What: fmt.Sprintf("%s ÷ %s, bundles/s", short(waiting), short(sizes[0])),
		}
		memory := figures.Figure{ID: fmt.Sprintf("memory_%d", waiting), Part: columns, What: fmt.Sprintf("worker memory, %s, MiB", short(waiting)), Unit: "MiB"}
		if waiting == 1_000_000 {
			f.Limit, memory.Limit = atLeast(0.9), atMost(150)
		}
		for round, rate := range first[i].rates {
			b.compare(f, rate, first[0].rates[round], "")
		}
		if i > 1 {
			if err := b.drainFirst(ctx, part, &long[i]); err != nil {
				return err
			}
			b.compare(figures.Figure{
				ID: fmt.Sprintf("backlog_%d_long", waiting), Part: columns, Unit: "bundles/s", Rival: short(sizes[i-1]),
				What: fmt.Sprintf("%s ÷ %s, the first %s", short(waiting), short(sizes[i-1]), short(part)),
			}, long[i].rates[0], long[i-1].rates[0], "")
		}
		b.note(memory, max(first[i].memory, long[i].memory))
		if i == len(sizes)-1 {
			continue
		}
		if err := b.await(ctx, shop, waiting); err != nil { // the next one is held against this one
			return err
		}
		if err := b.drainFirst(ctx, nearly(waiting), &long[i]); err != nil {
			return err
		}
	}
	return nil
}

func nearly(n int) int { return n / 10 * 9 }

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

// backlog is how fast a worker drains what waits.
type backlog struct {
	rates  []float64 // bundles a second
	memory float64   // MiB resident at most
}

// await lets so many bundles wait, one a call.
func (h *house) await(ctx context.Context, shop workload.Shop, waiting int) error {
	if err := h.fresh(ctx); err != nil {
		return err
	}
	if err := h.loadSingle(ctx, shop, 0, waiting); err != nil {
		return err
	}
	return h.settle(ctx, h.ours)
}

// drainFirst has a worker deliver a part of what waits, and measures from its first claim to the record of the last of
// the part.
func (h *house) drainFirst(ctx context.Context, part int, b *backlog) error {
	var since time.Time
	var had int
	if err := h.ours.pool.QueryRow(ctx, query("delivered")).Scan(&since, &had); err != nil {
		return err
	}
	worker, err := launch(ctx, 1, h.startWorker)
	if err != nil {
		return err
	}
	defer worker.kill()
	if err := h.awaitRecorded(ctx, worker, had+part); err != nil {
		return err
	}
	took, err := worker.stop()
	if err != nil {
		return err
	}
	var rate float64
	if err := h.ours.pool.QueryRow(ctx, query("first_rate"), part, since).Scan(&rate); err != nil {
		return err
	}
	b.rates = append(b.rates, rate)
	b.memory = max(b.memory, float64(took.maxBytes)/(1<<20))
	return nil
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
