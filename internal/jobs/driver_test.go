package jobs

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/migrations"
)

// asked is an executor of River's that keeps what it is asked to write.
type asked struct {
	riverdriver.Executor
	params []*riverdriver.JobSetStateIfRunningManyParams
	err    error
}

func (a *asked) Begin(context.Context) (riverdriver.ExecutorTx, error) {
	return &askedTx{asked: a}, nil
}

type askedTx struct {
	riverdriver.ExecutorTx
	asked *asked
}

func (*askedTx) Exec(context.Context, string, ...any) error { return nil }
func (*askedTx) Commit(context.Context) error               { return nil }
func (*askedTx) Rollback(context.Context) error             { return nil }

func (a *askedTx) JobSetStateIfRunningMany(_ context.Context, params *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	a.asked.params = append(a.asked.params, params)
	return nil, a.asked.err
}

func TestRiverWritesNothingThatIsWritten(t *testing.T) {
	t.Parallel()
	river, b := &asked{}, newBatcher(10)
	b.completed([]int64{1})
	b.admit(4, 1, 1, numbered(40, 1))
	b.lose([]int64{4}, nil) // another worker has it
	now, later := time.Now(), time.Now().Add(time.Hour)
	attempt := 2
	all := &riverdriver.JobSetStateIfRunningManyParams{
		ID:              []int64{1, 2, 5, 4},
		Attempt:         []*int{nil, nil, &attempt, nil},
		ErrData:         [][]byte{nil, []byte("e"), nil, nil},
		FinalizedAt:     []*time.Time{&now, nil, nil, nil},
		MetadataDoMerge: []bool{false, true, false, false},
		MetadataUpdates: [][]byte{nil, []byte("{}"), nil, nil},
		ScheduledAt:     []*time.Time{nil, nil, &later, &later},
		State:           []rivertype.JobState{"completed", "completed", "scheduled", "scheduled"},
		Now:             &now, Schema: "waybill",
	}
	_, err := executor{river, nil, b, &databaseClock{}}.JobSetStateIfRunningMany(t.Context(), all)
	require.NoError(t, err)
	require.Equal(t, []*riverdriver.JobSetStateIfRunningManyParams{{
		ID: []int64{2, 5}, Attempt: []*int{nil, &attempt}, ErrData: [][]byte{[]byte("e"), nil}, FinalizedAt: []*time.Time{nil, nil},
		MetadataDoMerge: []bool{true, false}, MetadataUpdates: [][]byte{[]byte("{}"), nil}, ScheduledAt: []*time.Time{nil, &later},
		State: []rivertype.JobState{"completed", "scheduled"}, Now: &now, Schema: "waybill",
	}}, river.params)

	require.False(t, b.isWritten(1), "it is over")
}

// River asks again after an error, and another worker's jobs are still not to be written.
func TestRiverWritesNothingThatIsWrittenWhenItAsksAgain(t *testing.T) {
	t.Parallel()
	river, b := &asked{err: errors.New("away")}, newBatcher(10)
	b.completed([]int64{1})
	all := &riverdriver.JobSetStateIfRunningManyParams{
		ID: []int64{1, 2}, Attempt: make([]*int, 2), ErrData: make([][]byte, 2), FinalizedAt: make([]*time.Time, 2),
		MetadataDoMerge: make([]bool, 2), MetadataUpdates: make([][]byte, 2), ScheduledAt: make([]*time.Time, 2),
		State: []rivertype.JobState{"available", "available"},
	}
	for range 2 {
		_, err := executor{river, nil, b, &databaseClock{}}.JobSetStateIfRunningMany(t.Context(), all)
		require.ErrorIs(t, err, river.err)
	}
	for _, params := range river.params {
		require.Equal(t, []int64{2}, params.ID)
	}
}

// TestRiverLooksUpTheJobsItEnds: a plan of its statement that was made while the table was empty
// would read all of it.
func TestRiverLooksUpTheJobsItEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueueMany(t, 2)
	h.exec(t, `UPDATE waybill.river_job SET state = 'running', attempt = 1;
		CREATE TABLE planned (seqscan text);
		CREATE FUNCTION planned() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN INSERT INTO public.planned VALUES (current_setting('enable_seqscan')); RETURN NULL; END $$;
		CREATE TRIGGER planned AFTER UPDATE ON waybill.river_job EXECUTE FUNCTION planned()`)
	ids := jobIDs(t, h)
	now := time.Now()
	rows, err := h.skewed(t, &databaseClock{}).JobSetStateIfRunningMany(t.Context(), &riverdriver.JobSetStateIfRunningManyParams{
		ID: ids, Attempt: make([]*int, 2), ErrData: make([][]byte, 2), FinalizedAt: []*time.Time{&now, &now},
		MetadataDoMerge: make([]bool, 2), MetadataUpdates: make([][]byte, 2), ScheduledAt: make([]*time.Time, 2),
		State: []rivertype.JobState{"completed", "completed"}, Schema: migrations.Schema,
	})
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, "off", ask[string](t, h, "SELECT string_agg(DISTINCT seqscan, ',') FROM public.planned"))
	require.Equal(t, 2, ask[int](t, h, "SELECT count(*) FROM waybill.river_job WHERE state = 'completed'"))
	require.Equal(t, "on", ask[string](t, h, "SHOW enable_seqscan"), "and nothing else is planned so")
}

// A field that River adds would not be passed on.
func TestEveryFieldIsPassedOnToRiver(t *testing.T) {
	t.Parallel()
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[riverdriver.JobSetStateIfRunningManyParams]()) {
		names = append(names, field.Name)
	}
	require.Equal(t, []string{"ID", "Attempt", "ErrData", "FinalizedAt", "MetadataDoMerge", "MetadataUpdates", "Now", "ScheduledAt", "Schema", "State"}, names)
}

// TestAJobIsCompletedByTheRecordOfItsBundles, also if it was taken for lost meanwhile and
// waits once more; what a person has ended stays as it is.
func TestAJobIsCompletedByTheRecordOfItsBundles(t *testing.T) {
	t.Parallel()
	for was, is := range map[string]string{
		"running": "completed", "available": "completed", "scheduled": "completed", "retryable": "completed", "cancelled": "cancelled",
	} {
		t.Run(was, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			ids := h.enqueue(t, `{"key": "k", "user_id": "u1", "track": {"event": "E"}}`)
			h.exec(t, "UPDATE waybill.river_job SET state = 'running', attempt = 1")
			h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w')")
			l := preparing(h)
			job := l.batcher.admit(ask[int64](t, h, "SELECT id FROM waybill.river_job"), 1, 1, ids)
			out, err := l.prepare(t.Context(), l.batcher.take(1), 0, roomy)
			require.NoError(t, err)
			f := l.newFlight(out.send, 0)
			f.accept(f.plan(f.split.next()))
			h.exec(t, "UPDATE waybill.river_job SET state = $1::text::waybill.river_job_state, finalized_at = CASE $1::text WHEN 'cancelled' THEN now() END", was)

			require.NoError(t, f.record(t.Context()))

			require.Equal(t, is, ask[string](t, h, "SELECT state FROM waybill.river_job WHERE state IN ('completed', 'cancelled') = (finalized_at IS NOT NULL)"))
			require.True(t, l.batcher.isWritten(job.id))
		})
	}
}
