package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// claim fetches jobs as River's own JobGetAvailable does, by the database's clock. The rows
// hold what River and this package read of them: a job's errors are there in number alone,
// and its arguments are the list of the bundles' ids, without the object around it.
func claim(ctx context.Context, pool *pgxpool.Pool, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	rows, err := pool.Query(ctx, claimSQL, params.Queue, params.MaxToLock, params.MaxAttemptedBy, params.ClientID)
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*rivertype.JobRow, error) {
		return scanClaimed(row, params.Queue)
	})
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	return &riverdriver.JobGetAvailableResult{Jobs: claimed}, nil
}

func scanClaimed(row pgx.CollectableRow, queue string) (*rivertype.JobRow, error) {
	var (
		job       = &rivertype.JobRow{Queue: queue, State: rivertype.JobStateRunning}
		attempted time.Time
		errors    int
	)
	if err := row.Scan(&job.ID, &job.Kind, &job.Attempt, &job.MaxAttempts, &attempted, &job.ScheduledAt, &job.Metadata, &errors, &job.EncodedArgs); err != nil {
		return nil, err
	}
	job.AttemptedAt = &attempted
	job.Errors = make([]rivertype.AttemptError, errors)
	return job, nil
}
