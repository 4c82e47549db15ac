//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// backlogs are how fast a worker that has just started drains the first of few and of many that wait, of the same users.
// The same part of both is measured, and one that leaves more behind than a worker holds, so that both have as much under
// way at its end: half of the smallest queue, and nearly all of the one before. The smallest is drained several times
// before and after each of the others, and as many workers start on the other one: such a part takes half a second.
func (b *bench) backlogs(ctx context.Context, round int) error {
	columns := figures.Columns{Title: "The first that wait, 1 a call", Ours: "of many", Against: "of few"}
	sizes := b.sizes.waiting
	half := sizes[0] / 2
	nearly := func(n int) int { return n / 10 * 9 }
	const parts = 2 // of nearly all of the queue before: one is compared with one before, the other with one after
	before, err := b.shortQueues(ctx, round)
	if err != nil {
		return err
	}
	for i, waiting := range sizes[1:] {
		var few []backlog
		if i > 0 {
			few = make([]backlog, parts)
			if few[0], err = b.drainFirst(ctx, sizes[i], nearly(sizes[i]), round); err != nil {
				return err
			}
		}
		if err := b.wait(ctx, waiting, round); err != nil {
			return err
		}
		var many []backlog
		for range b.sizes.starts {
			first, err := b.startOn(ctx, half)
			if err != nil {
				return err
			}
			many = append(many, first)
		}
		long := make([]backlog, len(few))
		for j := range long {
			if long[j], err = b.startOn(ctx, nearly(sizes[i])); err != nil {
				return err
			}
		}
		if i > 0 {
			if few[1], err = b.drainFirst(ctx, sizes[i], nearly(sizes[i]), round); err != nil {
				return err
			}
		}
		after, err := b.shortQueues(ctx, round)
		if err != nil {
			return err
		}
		for j := range many {
			b.compare(backlogFigure(columns, waiting, sizes[0], half), many[j].rate, (before[j].rate+after[j].rate)/2, "")
		}
		var memory int64
		for j := range long {
			b.compare(backlogFigure(columns, waiting, sizes[i], nearly(sizes[i])), long[j].rate, few[j].rate, "")
			memory = max(memory, long[j].memory)
		}
		for j := range many {
			memory = max(memory, many[j].memory)
		}
		b.noteMemory(memoryFigure(columns, waiting), memory)
		before = after
	}
	return nil
}

// shortQueues are the smallest backlog, drained as often as workers start on a longer one.
func (b *bench) shortQueues(ctx context.Context, round int) (all []backlog, err error) {
	for range b.sizes.starts {
		waiting := b.sizes.waiting[0]
		few, err := b.drainFirst(ctx, waiting, waiting/2, round)
		if err != nil {
			return nil, err
		}
		all = append(all, few)
	}
	return all, nil
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
	rate   float64 // bundles a second
	memory int64   // bytes resident at most
}

// drainFirst lets many wait and has a worker start on them.
func (b *bench) drainFirst(ctx context.Context, waiting, part, round int) (backlog, error) {
	if err := b.wait(ctx, waiting, round); err != nil {
		return backlog{}, err
	}
	return b.startOn(ctx, part)
}

// wait lets many wait, one a call.
func (b *bench) wait(ctx context.Context, waiting, round int) error {
	b.say("  %d waiting, round %d", waiting, round+1)
	if err := b.fresh(ctx); err != nil {
		return err
	}
	return b.loadSingle(ctx, workload.Shop{Name: "backlog", Orders: b.sizes.waiting[0]}, 0, waiting)
}

// startOn starts a worker, stops it once it has recorded a part of what waits, and measures from its first claim to the
// record of the last of the part. Nobody is known to it, however many have started before.
func (h *house) startOn(ctx context.Context, part int) (b backlog, err error) {
	if _, err := h.ours.pool.Exec(ctx, query("forget")); err != nil {
		return b, err
	}
	if err := h.settle(ctx, h.ours); err != nil {
		return b, err
	}
	var begun time.Time
	var last int64
	if err := h.ours.pool.QueryRow(ctx, query("begun")).Scan(&begun, &last); err != nil {
		return b, err
	}
	worker, err := launch(ctx, 1, h.startWorker)
	if err != nil {
		return b, err
	}
	defer worker.kill()
	if err := h.awaitRecorded(ctx, worker, last, part); err != nil {
		return b, err
	}
	took, err := worker.stop()
	if err != nil {
		return b, err
	}
	b.memory = took.maxBytes
	return b, h.ours.pool.QueryRow(ctx, query("first_rate"), begun, part).Scan(&b.rate)
}

// awaitRecorded waits until n bundles have an outcome that came after the one with the given id.
func (h *house) awaitRecorded(ctx context.Context, f fleet, after int64, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, drainPatience, fmt.Errorf("fewer than %d bundles were recorded in %v", n, drainPatience))
	defer cancel()
	ticker := time.NewTicker(250 * time.Millisecond) // counting costs, too
	defer ticker.Stop()
	for {
		var seen int
		if err := h.ours.pool.QueryRow(ctx, query("recorded"), n, after).Scan(&seen); err != nil {
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
