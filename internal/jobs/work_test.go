package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestOurOwnErrorsAreRetriedSoonAndForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		want := time.Second
		for failures := range 100 {
			seen := map[time.Duration]bool{}
			for id := range int64(2000) {
				row := &rivertype.JobRow{ID: id, Errors: make([]rivertype.AttemptError, failures)}
				wait := time.Until(retryPolicy{}.NextRetry(row))
				require.GreaterOrEqual(t, wait, want/2, "after %d failures", failures)
				require.Less(t, wait, want, "after %d failures", failures)
				seen[wait] = true
			}
			require.Len(t, seen, 1000, "jobs that failed together come back apart")
			want = min(2*want, 5*time.Minute)
		}
	})
}

func TestJobsHaveNoTimeout(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Duration(-1), (&worker{}).Timeout(nil))
	require.Equal(t, Kind, Args{}.Kind())
}

// jobOf is a job as River hands it to Work.
func jobOf(id int64, priority int, bundles ...int64) *river.Job[Args] {
	return &river.Job[Args]{
		JobRow: &rivertype.JobRow{ID: id, Attempt: 1, Priority: priority}, Args: Args{BundleIDs: bundles},
	}
}

// work starts Work on a job of bundles and returns the channel of what it returns.
func work(ctx context.Context, b *batcher, job int64, bundles ...int64) <-chan error {
	result := make(chan error, 1)
	go func() {
		w := &worker{batcher: b, clock: &databaseClock{}}
		result <- w.Work(ctx, jobOf(job, 1, bundles...))
	}()
	return result
}

func TestWorkReturnsWhenEveryBundleIsSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatcher(10)
		result := work(t.Context(), b, 1, 11, 12)
		refs := b.gather(t.Context(), 2, time.Second, func() {})
		require.Len(t, refs, 2)
		b.settle(&item{job: refs[0].job})
		synctest.Wait()
		require.Empty(t, result)
		b.settle(&item{job: refs[1].job})
		require.NoError(t, <-result)
		require.True(t, b.idle())
	})
}

func TestWorkGivesAJobBackUntilItsFirstWaitingBundleIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatcher(10)
		result := work(t.Context(), b, 1, 11, 12, 13)
		refs := b.gather(t.Context(), 3, time.Second, func() {})
		b.postpone(&item{job: refs[0].job}, time.Now().Add(time.Minute))
		b.postpone(&item{job: refs[1].job}, time.Now().Add(30*time.Second))
		b.settle(&item{job: refs[2].job})
		var snooze *river.JobSnoozeError
		require.ErrorAs(t, <-result, &snooze)
		require.Equal(t, 30*time.Second, snooze.Duration)
	})
}

func TestWorkDoesNotSnoozeIntoThePast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatcher(10)
		result := work(t.Context(), b, 1, 11)
		refs := b.gather(t.Context(), 1, time.Second, func() {})
		b.postpone(&item{job: refs[0].job}, time.Now().Add(-time.Minute))
		var snooze *river.JobSnoozeError
		require.ErrorAs(t, <-result, &snooze)
		require.Zero(t, snooze.Duration)
	})
}

func TestWorkEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatcher(10)
		ctx, cancel := context.WithCancel(t.Context())
		result := work(ctx, b, 1, 11)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-result, context.Canceled)
		require.True(t, b.idle())
		require.Empty(t, b.take(10), "nobody waits for its bundles any more")
	})
}

func TestWorkOfAJobThatAnotherWorkerTookOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatcher(10)
		lost, kept := work(t.Context(), b, 1, 11), work(t.Context(), b, 2, 12)
		synctest.Wait()
		b.lose([]int64{1, 2}, map[int64]bool{2: true})
		var snooze *river.JobSnoozeError
		require.ErrorAs(t, <-lost, &snooze)
		require.Equal(t, time.Second, snooze.Duration)
		refs := b.take(10)
		require.Len(t, refs, 1)
		b.settle(&item{job: refs[0].job})
		require.NoError(t, <-kept)
	})
}

func TestAJobWithoutBundlesIsDone(t *testing.T) {
	t.Parallel()
	require.NoError(t, <-work(t.Context(), newBatcher(10), 1))
}

func TestErrorsOfJobsAreLogged(t *testing.T) {
	t.Parallel()
	var logged []string
	h := errorHandler{log: func(_ context.Context, job int64, err error) {
		require.Equal(t, int64(7), job)
		logged = append(logged, err.Error())
	}}
	row := &rivertype.JobRow{ID: 7}
	require.Nil(t, h.HandleError(t.Context(), row, errors.New("broken")))
	require.Nil(t, h.HandlePanic(t.Context(), row, "a value that may hold personal data", "trace"))
	require.Equal(t, []string{"broken", "panic: trace"}, logged)
}

func TestArgsReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		written := Args{
			BundleIDs: rapid.SliceOfN(rapid.Int64Range(1, math.MaxInt64), 1, 5).Draw(t, "bundle_ids"),
			ActionKey: rapid.String().Draw(t, "action_key"),
			Event:     rapid.String().Draw(t, "event"),
			UserID:    rapid.String().Draw(t, "user_id"),
		}
		text, err := json.Marshal(written)
		require.NoError(t, err)
		var read Args
		require.NoError(t, json.Unmarshal(text, &read))
		require.Equal(t, written, read)
	})
	for _, wrong := range []string{`{"bundle_ids":["1"]}`, `{"bundle_ids":"1"}`, `{"bundle_ids":[-1]}`, `{"bundle_ids":[0]}`, `{"bundle_ids":[null]}`} {
		var read Args
		require.ErrorContains(t, json.Unmarshal([]byte(wrong), &read), "bundle_ids", wrong)
	}
}
