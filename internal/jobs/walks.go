package jobs

import (
	"context"
	"fmt"
	"time"
)

// walks are the slow rounds over large tables: bundles that nobody will deliver, and
// what retention takes away. Every step is one short transaction over a bounded number
// of rows, and its place is kept in waybill.walk, so that any worker can take the next
// step and two never take the same one.
type walks struct {
	loop  *loop
	steps []walkStep
}

type walkStep struct {
	name  string
	every time.Duration // pause after a step that found nothing to do
	sql   string
	said  func(ctx context.Context, l *loop, n int)
}

// walkTick is how often a worker asks whether a step is due.
const walkTick = 2 * time.Second

func newWalks(l *loop) *walks {
	return &walks{loop: l, steps: []walkStep{
		{"orphans", 5 * time.Second, query("walk_orphans"), sayRequeued},
		{"jobs", 30 * time.Second, query("walk_jobs"), nil},
		{"payloads", time.Minute, query("walk_payloads"), nil},
		{"profiles", time.Minute, query("walk_profiles"), nil},
	}}
}

func (w *walks) run(ctx context.Context) {
	ticker := time.NewTicker(walkTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := w.freeStrays(ctx); err != nil && ctx.Err() == nil {
			w.loop.cfg.Logger.WarnContext(ctx, "cannot look for jobs that were claimed without an answer", "error", err)
		}
		for _, step := range w.steps {
			if err := w.take(ctx, step); err != nil && ctx.Err() == nil {
				w.loop.cfg.Logger.WarnContext(ctx, "a maintenance step failed and will be tried again", "step", step.name, "error", err)
			}
		}
	}
}

// freeStrays gives back the jobs that the database says this worker runs and that it does
// not hold. What is held is read first: a job that comes meanwhile is too young.
func (w *walks) freeStrays(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
	defer cancel()
	held := w.loop.batcher.heldIDs()
	freed, err := w.loop.store.pool.Exec(ctx, query("strays"), w.loop.store.worker, held)
	if err != nil {
		return fmt.Errorf("free strays: %w", err)
	}
	if n := freed.RowsAffected(); n > 0 {
		w.loop.cfg.Meter.Rescued(int(n), 0)
		w.loop.cfg.Logger.WarnContext(ctx, "gave back jobs that were claimed without this worker learning of it", "jobs", n)
	}
	return nil
}

// take takes one step if it is due and no other worker is at it.
func (w *walks) take(ctx context.Context, step walkStep) error {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
	defer cancel()
	var n int
	if err := w.loop.store.pool.QueryRow(ctx, step.sql, step.every).Scan(&n); err != nil {
		return fmt.Errorf("%s: %w", step.name, err)
	}
	if n > 0 && step.said != nil {
		step.said(ctx, w.loop, n)
	}
	return nil
}

func sayRequeued(ctx context.Context, l *loop, n int) {
	l.cfg.Meter.Rescued(0, n)
	l.cfg.Logger.WarnContext(ctx, "found bundles whose job was gone and gave them new ones", "bundles", n)
}
