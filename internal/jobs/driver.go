package jobs

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// driver is River's driver for pgx without the writes that must not be: a job that a record
// has completed needs no statement of River's any more, and one that another worker has
// taken over is not this worker's to put off. River promises nothing about this interface;
// an upgrade that changes it does not compile, or fails TestRiverWritesNothingThatIsWritten.
type driver struct {
	riverdriver.Driver[pgx.Tx]
	batcher *batcher
}

// GetExecutor implements riverdriver.Driver.
func (d driver) GetExecutor() riverdriver.Executor {
	return executor{d.Driver.GetExecutor(), d.batcher}
}

type executor struct {
	riverdriver.Executor
	batcher *batcher
}

// JobSetStateIfRunningMany implements riverdriver.Executor. The rows it returns are for
// River's subscribers, of which there are none.
func (e executor) JobSetStateIfRunningMany(ctx context.Context, all *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	left := &riverdriver.JobSetStateIfRunningManyParams{Now: all.Now, Schema: all.Schema}
	var written []int64
	for i, id := range all.ID {
		if e.batcher.isWritten(id) {
			written = append(written, id)
			continue
		}
		left.ID = append(left.ID, id)
		left.Attempt = append(left.Attempt, all.Attempt[i])
		left.ErrData = append(left.ErrData, all.ErrData[i])
		left.FinalizedAt = append(left.FinalizedAt, all.FinalizedAt[i])
		left.MetadataDoMerge = append(left.MetadataDoMerge, all.MetadataDoMerge[i])
		left.MetadataUpdates = append(left.MetadataUpdates, all.MetadataUpdates[i])
		left.ScheduledAt = append(left.ScheduledAt, all.ScheduledAt[i])
		left.State = append(left.State, all.State[i])
	}
	if len(left.ID) == 0 {
		e.batcher.ended(written)
		return nil, nil
	}
	rows, err := e.Executor.JobSetStateIfRunningMany(ctx, left)
	if err == nil { // else River asks again for all of them
		e.batcher.ended(written)
	}
	return rows, err
}
