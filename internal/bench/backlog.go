//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// backlogs are how fast a worker that has just started drains the first of few and of many that wait, of the same users.
// The same part of both is measured, and one that leaves more behind than a worker holds, so that both have as much under
// way at its end: half of the smallest, and nearly all of the one before. The smallest, which takes a second, is drained
// before and after each of the others, and its mean compared.
func (b *bench) backlogs(ctx context.Context, round int) error {
	columns := figures.Columns{Title: "The first that wait, 1 a call", Ours: "of many", Against: "of few"}
	sizes := b.sizes.waiting
	shop := workload.Shop{Name: "backlog", Orders: sizes[0]}
	nearly := func(n int) int { return n / 10 * 9 }
	half := sizes[0] / 2
	first := func(waiting int, parts ...int) (backlog, error) {
		b.say("  %d waiting, round %d", waiting, round+1)
		return b.drainFirst(ctx, shop, waiting, append([]int{half}, parts...))
	}
	few, err := first(sizes[0])
	if err != nil {
		return err
	}
	var before backlog
	for i, waiting := range sizes[1:] {
		parts := []int{nearly(sizes[i]), nearly(sizes[min(i+1, len(sizes)-2)])}
		many, err := first(waiting, parts...)
		if err != nil {
			return err
		}
		again, err := first(sizes[0])
		if err != nil {
			return err
		}
		b.compare(backlogFigure(columns, waiting, sizes[0], half), many.rates[0], (few.rates[0]+again.rates[0])/2, "")
		if i > 0 {
			b.compare(backlogFigure(columns, waiting, sizes[i], parts[0]), many.rates[1], before.rates[2], "")
		}
		b.noteMemory(memoryFigure(columns, waiting), many.memory)
		few, before = again, many
	}
	return nil
}

func backlogFigure(columns figures.Columns, many, few, part int) figures.Figure {
	f := figures.Figure{
		ID: fmt.Sprintf("backlog_%d_%d", many, few), Part: columns, Unit: "bundles/s", Rival: short(few),
		What: fmt.Sprintf("%s of %s ÷ of %s, 1/s", short(part), short(many), short(few)),
	}
	if many == 1_000_000 {
		f.Limit = atLeast(0.9)
	}
	return f
}

func memoryFigure(columns figures.Columns, waiting int) figures.Figure {
	f := figures.Figure{ID: fmt.Sprintf("memory_%d", waiting), Part: columns, What: fmt.Sprintf("worker memory, %s, MiB", short(waiting))}
	if waiting == 1_000_000 {
		f.Limit = atMost(150)
	}
	return f
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

// backlog is how fast a worker drains what waits.
type backlog struct {
	rates  []float64 // bundles a second, of each part
	memory int64     // bytes resident at most
}

// drainFirst lets many wait, one a call, has a worker deliver the largest of the parts of it, and measures from its
// first claim to the record of the last of each part.
func (h *house) drainFirst(ctx context.Context, shop workload.Shop, waiting int, parts []int) (b backlog, err error) {
	if err := h.fresh(ctx); err != nil {
		return b, err
	}
	if err := h.loadSingle(ctx, shop, 0, waiting); err != nil {
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
	if err := h.awaitRecorded(ctx, worker, slices.Max(parts)); err != nil {
		return b, err
	}
	took, err := worker.stop()
	if err != nil {
		return b, err
	}
	b.memory = took.maxBytes
	for _, part := range parts {
		var rate float64
		if err := h.ours.pool.QueryRow(ctx, query("first_rate"), part).Scan(&rate); err != nil {
			return b, err
		}
		b.rates = append(b.rates, rate)
	}
	return b, nil
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
