package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// claims fetches jobs as River's own JobGetAvailable does, by the database's clock. River
// asks one at a time.
type claims struct {
	pool *pgxpool.Pool
	// isAlone says that no other worker is about. If one has come since, they may wait for
	// each other's claims for a moment, and no job is taken twice.
	isAlone func() bool
	// packs is how many jobs of packs may be taken; River says how many of all.
	packs func() int
	// more says that the last claim took as many packs as it might, and not as many jobs as
	// River asked for, which takes them for the last then.
	more atomic.Bool
	// busy says that the last claim found jobs. Else there is nothing to save, and what is
	// set for a claim of a worker that is alone takes a statement.
	busy atomic.Bool
	// crowded is when somebody was last in the way of a worker that took itself for alone;
	// nil for never.
	crowded atomic.Pointer[time.Time]
}

// crowdedFor is how long a worker leaves out what others have locked, once somebody had: an
// operator who holds a job in an open transaction holds it for longer than one claim, and a
// claim that gives up has written for nothing.
const crowdedFor = time.Minute

// fetch takes jobs that are due. The rows hold what River and this package read of them: a
// job's errors are there in number alone, and its arguments are the list of the bundles'
// ids, without the object around it.
func (c *claims) fetch(ctx context.Context, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	allowed := c.packs()
	claimed, err := c.take(ctx, params, allowed)
	if err != nil {
		return nil, err
	}
	c.busy.Store(len(claimed) > 0)
	c.more.Store(allowed > 0 && len(claimed) < params.MaxToLock && packsAmong(claimed) == allowed)
	return &riverdriver.JobGetAvailableResult{Jobs: claimed}, nil
}

func (c *claims) take(ctx context.Context, params *riverdriver.JobGetAvailableParams, packs int) ([]*rivertype.JobRow, error) {
	var batch pgx.Batch // one transaction
	if at := c.crowded.Load(); c.busy.Load() && c.isAlone() && (at == nil || time.Since(*at) > crowdedFor) {
		batch.Queue(claimAloneLimitsSQL)
		claimed, err := c.ask(ctx, &batch, claimAloneSQL, params, packs)
		if ctx.Err() != nil || !isHeldUp(err) {
			return claimed, err
		}
		now := time.Now()
		c.crowded.Store(&now)
		batch = pgx.Batch{}
	}
	batch.Queue(indexedSQL)
	return c.ask(ctx, &batch, claimSQL, params, packs)
}

// packsAmong counts the jobs of packs.
func packsAmong(claimed []*rivertype.JobRow) (n int) {
	for _, job := range claimed {
		if job.Priority >= packPriority {
			n++
		}
	}
	return n
}

// ask sends the batch and, at its end, the statement.
func (c *claims) ask(ctx context.Context, batch *pgx.Batch, statement string, params *riverdriver.JobGetAvailableParams, packs int) (claimed []*rivertype.JobRow, err error) {
	batch.Queue(statement, params.Queue, params.MaxToLock, params.MaxAttemptedBy, params.ClientID, packs).Query(func(rows pgx.Rows) (err error) {
		claimed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*rivertype.JobRow, error) {
			return scanClaimed(row, params.Queue)
		})
		return err
	})
	if err = c.pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	slices.SortFunc(claimed, func(a, b *rivertype.JobRow) int { // an UPDATE answers in any order
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.ScheduledAt.Compare(b.ScheduledAt), cmp.Compare(a.ID, b.ID))
	})
	return claimed, nil
}

// isHeldUp says that a claim has waited for somebody's lock, or for those of many, longer
// than it may.
func isHeldUp(err error) bool {
	const queryCanceled = "57014" // https://www.postgresql.org/docs/current/errcodes-appendix.html
	var refused *pgconn.PgError
	return isLocked(err) || errors.As(err, &refused) && refused.Code == queryCanceled
}

func scanClaimed(row pgx.CollectableRow, queue string) (*rivertype.JobRow, error) {
	var (
		job       = &rivertype.JobRow{Queue: queue, State: rivertype.JobStateRunning}
		attempted time.Time
		failures  int
	)
	if err := row.Scan(&job.ID, &job.Priority, &job.Kind, &job.Attempt, &job.MaxAttempts, &attempted, &job.ScheduledAt, &job.Metadata, &failures, &job.EncodedArgs); err != nil {
		return nil, err
	}
	job.AttemptedAt = &attempted
	job.Errors = make([]rivertype.AttemptError, failures)
	return job, nil
}
