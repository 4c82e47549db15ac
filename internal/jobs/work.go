package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// worker hands River's jobs to the batcher and waits for their bundles.
type worker struct {
	river.WorkerDefaults[Args]
	batcher *batcher
	clock   *databaseClock
}

// Timeout switches River's off: a job that waits out an outage is not stuck, and
// orphans are found by heartbeat instead of by age.
func (worker) Timeout(*river.Job[Args]) time.Duration { return -1 }

// Work returns when every bundle of the job has an outcome, or is to be looked at
// later. Only then does River complete or reschedule the job: its state follows what
// waybill.delivery says.
func (w *worker) Work(ctx context.Context, job *river.Job[Args]) error {
	held := w.batcher.admit(job.ID, job.Attempt, job.Priority, job.Args.BundleIDs)
	select {
	case <-held.done:
	case <-ctx.Done():
		w.batcher.withdraw(held)
		return ctx.Err() // River gives the job back with its attempt restored
	}
	switch {
	case held.lost:
		// Another worker has it. A snooze changes nothing once the job is not running
		// any more, and at worst makes it be looked at once too often.
		return river.JobSnooze(time.Second)
	case !held.later.IsZero():
		w.batcher.puttingOff(job.ID, held.later)
		return river.JobSnooze(max(held.later.Sub(w.clock.when(time.Now())), 0))
	}
	return nil
}

// retryPolicy is only for errors of ours: what Amplitude answers never ends as a River
// error. River's own policy grows with the fourth power of the attempt, to weeks.
type retryPolicy struct{}

const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// NextRetry implements river.ClientRetryPolicy: 1 s, 2 s, 4 s … 5 min, the job id
// serving as jitter.
func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	failures := min(len(job.Errors), 16)
	wait := min(firstRetry<<failures, lastRetry)
	jitter := time.Duration(job.ID%1000) * wait / 2000
	return time.Now().Add(wait/2 + jitter)
}

// errorHandler logs what River would otherwise keep to the jobs table.
type errorHandler struct {
	log func(ctx context.Context, job int64, err error)
}

// HandleError implements river.ErrorHandler.
func (h errorHandler) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	h.log(ctx, job.ID, err)
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (h errorHandler) HandlePanic(ctx context.Context, job *rivertype.JobRow, _ any, trace string) *river.ErrorHandlerResult {
	h.log(ctx, job.ID, errors.New("panic: "+trace))
	return nil
}
