package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/riverqueue/river/rivershared/riverpilot"
	"github.com/riverqueue/river/rivertype"
)

// driver is River's driver for pgx with three differences. It leaves out the writes that must
// not be: a job that a record has completed needs no statement of River's any more, and one
// that another worker has taken over is not this worker's to put off. The times that a job
// waits for, which River takes from the clock of whichever machine it runs on, are the
// database's. And it says when to ask for jobs. River promises nothing about this interface;
// an upgrade that changes it does not compile, or fails TestRiverWritesNothingThatIsWritten
// or TestRiverAsksAgainSoonAfterAJob.
type driver struct {
	riverdriver.Driver[pgx.Tx]
	claims  *claims
	batcher *batcher
	clock   *databaseClock
	polls   *polls
}

// SupportsListener implements riverdriver.Driver. River listens to nothing here, and takes
// our word for new jobs only if it could not.
func (driver) SupportsListener() bool { return false }

// PluginInit implements River's driverPlugin.
func (driver) PluginInit(*baseservice.Archetype) {}

// PluginPilot implements River's driverPlugin.
func (d driver) PluginPilot() riverpilot.Pilot {
	return &pilot{polls: d.polls, more: d.claims.more.Load}
}

// GetExecutor implements riverdriver.Driver.
func (d driver) GetExecutor() riverdriver.Executor {
	return executor{d.Driver.GetExecutor(), d.claims, d.batcher, d.clock}
}

type executor struct {
	riverdriver.Executor
	claims  *claims
	batcher *batcher
	clock   *databaseClock
}

// JobSetStateIfRunningMany implements riverdriver.Executor. The rows it returns are for
// River's subscribers, of which there are none.
func (e executor) JobSetStateIfRunningMany(ctx context.Context, all *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	left := &riverdriver.JobSetStateIfRunningManyParams{Now: all.Now, Schema: all.Schema}
	for i, id := range all.ID {
		if e.batcher.isWritten(id) {
			continue
		}
		left.ID = append(left.ID, id)
		left.Attempt = append(left.Attempt, all.Attempt[i])
		left.ErrData = append(left.ErrData, all.ErrData[i])
		left.FinalizedAt = append(left.FinalizedAt, onClock(e.clock, all.FinalizedAt[i]))
		left.MetadataDoMerge = append(left.MetadataDoMerge, all.MetadataDoMerge[i])
		left.MetadataUpdates = append(left.MetadataUpdates, all.MetadataUpdates[i])
		left.ScheduledAt = append(left.ScheduledAt, e.due(id, all.ScheduledAt[i]))
		left.State = append(left.State, all.State[i])
	}
	if len(left.ID) == 0 {
		e.batcher.ended(all.ID)
		return nil, nil
	}
	rows, err := e.setState(ctx, left)
	if err == nil { // else River asks again for all of them
		e.batcher.ended(all.ID)
	}
	return rows, err
}

// setState looks each job up: a plan that was made while the table was small would read all of it.
func (e executor) setState(ctx context.Context, jobs *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // what counts is the commit
	if err := tx.Exec(ctx, indexedSQL); err != nil {
		return nil, err
	}
	rows, err := tx.JobSetStateIfRunningMany(ctx, jobs)
	if err != nil {
		return nil, err
	}
	return rows, tx.Commit(ctx)
}

// due is when a job is due that River puts off, on the database's clock; nil if it does not.
func (e executor) due(job int64, at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	if until, ok := e.batcher.putOffUntil(job); ok {
		return &until
	}
	return onClock(e.clock, at)
}

// JobGetAvailable implements riverdriver.Executor. Whoever puts a job off has claimed it
// before, and so knows a clock that is no older.
func (e executor) JobGetAvailable(ctx context.Context, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	asked := time.Now()
	claimed, err := e.claims.fetch(ctx, params)
	if err == nil && len(claimed.Jobs) > 0 && claimed.Jobs[0].AttemptedAt != nil {
		e.clock.suspect(asked, time.Now(), *claimed.Jobs[0].AttemptedAt)
	}
	return claimed, err
}

// Begin implements riverdriver.Executor.
func (e executor) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return executorTx{tx, e.clock}, nil
}

// executorTx is where River's leader looks for jobs that have waited long enough.
type executorTx struct {
	riverdriver.ExecutorTx
	clock *databaseClock
}

// JobSchedule implements riverdriver.Executor.
func (t executorTx) JobSchedule(ctx context.Context, params *riverdriver.JobScheduleParams) ([]*riverdriver.JobScheduleResult, error) {
	if err := t.Exec(ctx, query("uncompiled")); err != nil {
		return nil, err
	}
	due := *params
	due.Now = onClock(t.clock, due.Now)
	scheduled, err := t.ExecutorTx.JobSchedule(ctx, &due)
	var unreadable pgx.ScanArgError
	if errors.As(err, &unreadable) {
		// Somebody has put a job before all others with -infinity, which no time in Go is. It is
		// scheduled, and so are those beside it; only the answer cannot be read.
		return nil, nil
	}
	return scheduled, err
}

// onClock is a time of this process as the database's clock shows it.
func onClock(clock *databaseClock, at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	shown := clock.when(*at)
	return &shown
}
