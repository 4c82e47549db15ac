package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// wakes finds what a step of the database's clock has misled: jobs that were put off by it
// when it showed a later time, and would wait for as much longer as it stepped back.
type wakes struct {
	loop  *loop
	steps int       // of the clock, that were acted on
	more  bool      // a page was full: there is more to wake
	again time.Time // when to look a second time; zero: not at all
}

const (
	wakePage  = 5000             // LIMIT of wake.sql
	wakePages = 8                // at one look
	wakeAgain = 30 * time.Second // by then, what was being put off during the step has been
)

// look wakes what was misled, if the clock has stepped back since the last look.
func (w *wakes) look(ctx context.Context, now time.Time) error {
	if err := w.unpark(ctx); err != nil {
		return err
	}
	switch steps := w.loop.beat.clock.steppedBack(); {
	case steps != w.steps:
		w.steps, w.again = steps, now.Add(wakeAgain)
	case w.more:
	case !w.again.IsZero() && !now.Before(w.again):
		w.again = time.Time{}
	default:
		return nil
	}
	w.more = true // until a page says otherwise
	var woken int64
	for range wakePages {
		n, err := w.page(ctx)
		if err != nil {
			return err
		}
		woken += n
		if w.more = n == wakePage; !w.more {
			break
		}
	}
	if woken > 0 {
		w.loop.cfg.Logger.WarnContext(ctx, "the database's clock has stepped back; what was put off by it is looked at again now, and nothing need be done",
			"jobs", woken)
	}
	return nil
}

func (w *wakes) page(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
	defer cancel()
	woken, err := w.loop.store.pool.Exec(ctx, query("wake"))
	if err != nil {
		return 0, fmt.Errorf("wake jobs: %w", err)
	}
	return woken.RowsAffected(), nil
}

// unpark ends parks that a step of the database's clock has made hours long.
func (w *wakes) unpark(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
	defer cancel()
	var n int64
	var batch pgx.Batch // one transaction
	batch.Queue(indexedSQL)
	batch.Queue(query("unpark"), w.loop.store.dest, longestPause).Exec(func(ended pgconn.CommandTag) error {
		n = ended.RowsAffected()
		return nil
	})
	if err := w.loop.store.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("end parks: %w", err)
	}
	if n > 0 {
		w.loop.cfg.Logger.WarnContext(ctx, "the database's clock has stepped back; users and devices that were parked by it are tried again, and nothing need be done",
			"identities", n)
	}
	return nil
}
