package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// walks are the slow rounds over large tables: bundles that nobody will deliver, and
// what retention takes away. Every step is one short transaction over a bounded number
// of rows, and its place is kept in waybill.walk, so that any worker can take the next
// step and two never take the same one.
type walks struct {
	loop  *loop
	steps []walkStep
	wakes wakes
	// strays are the jobs that the last look found claimed and not held, by id, with their
	// attempt.
	strays map[int64]int
}

type walkStep struct {
	name  string
	every time.Duration // pause after a step that found nothing to do
	sql   string
	page  int // rows of a step after which the next one follows at once, 0 for never
	said  func(ctx context.Context, l *loop, n int)
}

const (
	walkTick   = 2 * time.Second // how often a worker asks which steps are due
	jobsPage   = 5000            // LIMIT of walk_jobs.sql
	stepsATick = 8               // completed jobs must go as fast as they come: 20,000 a second
)

func newWalks(l *loop) *walks {
	return &walks{loop: l, wakes: wakes{loop: l}, steps: []walkStep{
		{name: "orphans", every: 5 * time.Second, sql: query("walk_orphans"), said: sayRequeued},
		{name: "jobs", every: 30 * time.Second, sql: query("walk_jobs"), page: jobsPage},
		{name: "payloads", every: time.Minute, sql: query("walk_payloads")},
		{name: "profiles", every: time.Minute, sql: query("walk_profiles")},
		{name: "violations", every: time.Minute, sql: query("walk_violations")},
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
		if err := w.freeForgotten(ctx); err != nil && ctx.Err() == nil {
			w.loop.cfg.Logger.WarnContext(ctx, "cannot look for requests that nobody sent", "error", err)
		}
		if err := w.pullAhead(ctx); err != nil && ctx.Err() == nil {
			w.loop.cfg.Logger.WarnContext(ctx, "cannot look for jobs that a clock has put out of reach", "error", err)
		}
		if err := w.wakes.look(ctx, time.Now()); err != nil && ctx.Err() == nil {
			w.loop.cfg.Logger.WarnContext(ctx, "cannot look for jobs that a clock has misled", "error", err)
		}
		if err := w.takeDue(ctx); err != nil && ctx.Err() == nil {
			w.loop.cfg.Logger.WarnContext(ctx, "a maintenance step failed and will be tried again", "error", err)
		}
	}
}

// takeDue takes the steps that are due. One that fails does not keep the others.
func (w *walks) takeDue(ctx context.Context) error {
	rows, err := w.loop.store.pool.Query(ctx, walksDueSQL)
	if err != nil {
		return fmt.Errorf("ask which steps are due: %w", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("ask which steps are due: %w", err)
	}
	var failed []error
	for _, step := range w.steps {
		if !slices.Contains(due, step.name) {
			continue
		}
		for range stepsATick {
			n, err := w.take(ctx, step)
			failed = append(failed, err)
			if err != nil || step.page == 0 || n < step.page {
				break
			}
		}
	}
	return errors.Join(failed...)
}

// freeStrays gives back the jobs that the database says this worker runs and that it does
// not hold, once two looks have found so. The age of a claim alone does not tell: the
// database's clock may step forward, or this process pause, while a claim is being answered,
// and River writes the end of a job a moment after it is held no more.
func (w *walks) freeStrays(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
	defer cancel()
	before := w.strays
	w.strays = map[int64]int{}
	held := w.loop.batcher.heldIDs()
	rows, err := w.loop.store.pool.Query(ctx, query("strays"), w.loop.store.worker, held)
	if err != nil {
		return fmt.Errorf("look for strays: %w", err)
	}
	var ids []int64
	var attempts []int
	var id int64
	var attempt int
	if _, err := pgx.ForEachRow(rows, []any{&id, &attempt}, func() error {
		if was, found := before[id]; found && was == attempt {
			ids, attempts = append(ids, id), append(attempts, attempt)
		} else {
			w.strays[id] = attempt
		}
		return nil
	}); err != nil {
		return fmt.Errorf("look for strays: %w", err)
	}
	if len(ids) == 0 {
		return nil
	}
	freed, err := w.loop.store.pool.Exec(ctx, query("strays_free"), w.loop.store.worker, ids, attempts)
	if err != nil {
		return fmt.Errorf("free strays: %w", err)
	}
	if n := freed.RowsAffected(); n > 0 {
		w.loop.cfg.Meter.Rescued(int(n), 0)
		w.loop.cfg.Logger.WarnContext(ctx, "gave back jobs that were claimed without this worker learning of it", "jobs", n)
	}
	return nil
}

// freeForgotten takes away requests that were written down without this worker learning of
// it. What is open is read first: a request that comes meanwhile is too young.
func (w *walks) freeForgotten(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
	defer cancel()
	open := w.loop.batcher.openRequests()
	if _, err := w.loop.store.pool.Exec(ctx, query("requests_forgotten"), w.loop.store.worker, open); err != nil {
		return fmt.Errorf("free forgotten requests: %w", err)
	}
	return nil
}

// pullAhead makes jobs claimable that two clocks which differ have put out of reach.
func (w *walks) pullAhead(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
	defer cancel()
	pulled, err := w.loop.store.pool.Exec(ctx, query("ahead"))
	if err != nil {
		return fmt.Errorf("pull jobs back: %w", err)
	}
	if n := pulled.RowsAffected(); n > 0 {
		w.loop.cfg.Logger.WarnContext(ctx, "made jobs due that were so by one clock only; does the database's clock differ from this one?", "jobs", n)
	}
	return nil
}

// take takes one step if it is due and no other worker is at it, and counts its rows. It is
// planned anew each time: a step comes seldom, and a plan from when a table was small reads
// all of it for every row once it is not.
func (w *walks) take(ctx context.Context, step walkStep) (n int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
	defer cancel()
	err = pgx.BeginFunc(ctx, w.loop.store.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, query("uncompiled")); err != nil {
			return err
		}
		return tx.QueryRow(ctx, step.sql, pgx.QueryExecModeExec, step.every).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", step.name, err)
	}
	if n > 0 && step.said != nil {
		step.said(ctx, w.loop, n)
	}
	return n, nil
}

func sayRequeued(ctx context.Context, l *loop, n int) {
	l.cfg.Meter.Rescued(0, n)
	l.cfg.Logger.WarnContext(ctx, "found bundles whose job was gone and gave them new ones", "bundles", n)
}
