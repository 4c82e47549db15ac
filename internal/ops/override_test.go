package ops

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func (f *fixture) override(db DB, action Action, filter Filter) Tally {
	f.t.Helper()
	o, err := NewOverride(f.t.Context(), db, action, filter)
	require.NoError(f.t, err)
	tally, err := o.Run(f.t.Context(), func(Tally) {})
	require.NoError(f.t, err)
	return tally
}

// job is what the fetching worker sees of a job, without what differs by nature.
type job struct {
	State, Kind, Queue    string
	Priority, MaxAttempts int
	Attempt               int
	Args, Metadata        string
	Rest                  string
}

func (f *fixture) jobOf(bundle int64) job {
	f.t.Helper()
	rows, err := f.pool.Query(f.t.Context(), `
		SELECT j.state::text, j.kind, j.queue, j.priority, j.max_attempts, j.attempt,
			replace(j.args::text, b.id::text, 'ID'), j.metadata::text,
			concat_ws(' ', j.tags, j.unique_key, j.unique_states, j.attempted_at, j.attempted_by, j.errors, j.finalized_at,
				j.scheduled_at = j.created_at)
		FROM waybill.bundle AS b JOIN waybill.river_job AS j ON j.id = b.job_id WHERE b.id = $1`, bundle)
	require.NoError(f.t, err)
	j, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[job])
	require.NoError(f.t, err)
	return j
}

func TestRetryBringsBundlesBackToTheQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.given("rejected", "invalid event", keys("a", 3)...)
	delivered := f.given("delivered", "", "d:1")
	before := one[time.Time](f, "SELECT at FROM waybill.delivery WHERE bundle_id = $1", ids[0])

	require.Equal(t, Tally{Examined: 3, Matched: 3, Moved: 3}, f.override(f.pool, Retry, Filter{}))

	for _, id := range ids {
		require.Equal(t, "none", f.outcome(id), "a worker will find no outcome")
	}
	require.Equal(t, []string{"rejected invalid event retry"}, all[string](f, `
		SELECT DISTINCT concat_ws(' ', outcome, reason, replaced_how) FROM waybill.delivery_log`))
	require.Equal(t, ids, all[int64](f, "SELECT bundle_id FROM waybill.delivery_log ORDER BY id"))
	require.Equal(t, before, one[time.Time](f, "SELECT at FROM waybill.delivery_log WHERE bundle_id = $1", ids[0]))
	require.Equal(t, one[string](f, "SELECT session_user::text"), one[string](f, "SELECT DISTINCT replaced_by FROM waybill.delivery_log"))
	require.Equal(t, "delivered", f.outcome(delivered[0]))
}

// The jobs of a retry are those of an enqueue, column by column.
func TestRetriedJobsLookLikeEnqueuedOnes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)

	single := f.enqueue("a:1")
	enqueued := f.jobOf(single[0])
	f.settle("rejected", "x", single...)
	f.override(f.pool, Retry, Filter{})
	require.Equal(t, enqueued, f.jobOf(single[0]))

	pack := f.enqueue("b:1", "b:2")
	enqueued = f.jobOf(pack[0])
	f.settle("skipped", "x", pack...)
	f.override(f.pool, Retry, Filter{Outcome: "skipped"})
	require.Equal(t, enqueued, f.jobOf(pack[0]))
}

func TestRetryPacksAHundredBundlesAJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.given("rejected", "x", keys("a", 250)...)

	f.override(f.pool, Retry, Filter{})

	require.Equal(t, []int{100, 100, 50}, all[int](f, `
		SELECT jsonb_array_length(args -> 'bundle_ids') FROM waybill.river_job WHERE state = 'available' ORDER BY id`))
	require.Equal(t, ids, all[int64](f, `
		SELECT e::bigint FROM waybill.river_job AS j, jsonb_array_elements_text(j.args -> 'bundle_ids') WITH ORDINALITY AS x (e, n)
		WHERE j.state = 'available' ORDER BY j.id, n`), "in the order of their ids")
	require.Zero(t, one[int](f, `
		SELECT count(*) FROM waybill.bundle AS b JOIN waybill.river_job AS j ON j.id = b.job_id
		WHERE NOT j.args -> 'bundle_ids' @> to_jsonb(b.id)`), "each bundle names the job that names it")
}

func TestRetryLeavesAloneWhatItCannotSend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gone := f.given("rejected", "x", "a:1")[0]
	f.exec("UPDATE waybill.bundle SET payload = NULL WHERE id = $1", gone)
	cut := f.given("rejected", "x", "a:2")[0]
	f.exec(`UPDATE waybill.bundle SET payload = '{"cut": true, "begins": "{"}' WHERE id = $1`, cut)
	busy := f.enqueue("a:3", "a:4")
	f.settle("rejected", "x", busy[0])
	f.exec("UPDATE waybill.river_job SET state = 'running', finalized_at = NULL WHERE state = 'completed' AND priority = 3")
	before := one[int](f, "SELECT count(*) FROM waybill.river_job")

	require.Equal(t, Tally{Examined: 3, Matched: 3, NoPayload: 2, Waiting: 1}, f.override(f.pool, Retry, Filter{}))

	require.Equal(t, before, one[int](f, "SELECT count(*) FROM waybill.river_job"), "no second job for a bundle that has one")
	for _, id := range []int64{gone, cut, busy[0]} {
		require.Equal(t, "rejected", f.outcome(id))
	}
	require.Zero(t, one[int](f, "SELECT count(*) FROM waybill.delivery_log"))
}

func TestPreviewCountsWhatRunDoesAndChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "x", keys("a", 5)...)
	f.given("skipped", "mode is debug", keys("b", 4)...)
	o, err := NewOverride(t.Context(), f.pool, Retry, Filter{Until: time.Now().Add(time.Hour)})
	require.NoError(t, err)

	preview, err := o.Preview(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, preview.Moved)
	require.Equal(t, 9, one[int](f, "SELECT count(*) FROM waybill.delivery"))

	// A bundle that is refused while the operator thinks is not what was counted.
	late := f.given("rejected", "x", "c:1")[0]
	done, err := o.Run(t.Context(), func(Tally) {})
	require.NoError(t, err)
	require.Equal(t, preview, done)
	require.Equal(t, "rejected", f.outcome(late))
	require.Equal(t, 1, one[int](f, "SELECT count(*) FROM waybill.delivery"))
}

func TestALimitSpansOutcomesAndTakesTheOldestFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	young := f.given("rejected", "x", keys("a", 3)...)
	f.exec("UPDATE waybill.delivery SET at = at + interval '1 microsecond' * bundle_id")
	f.given("skipped", "mode is debug", keys("b", 2)...)

	require.Equal(t, 2, f.override(f.pool, Retry, Filter{Limit: 2}).Moved)
	require.Equal(t, "rejected", f.outcome(young[2]))
	require.Equal(t, 2, f.override(f.pool, Retry, Filter{Limit: 2}).Moved)
	require.Equal(t, []string{"skipped"}, all[string](f, "SELECT outcome FROM waybill.delivery"))
}

func TestFilterMeansWhatItSays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "100% wrong: user_id", "a:1")
	f.given("rejected", "100x wrong: userXid", "a:2")
	f.given("skipped", "mode is debug", "b:1")
	early := f.given("skipped", "mode is debug", "b:2")[0]
	f.exec("UPDATE waybill.delivery SET at = '2026-01-01 12:00Z' WHERE bundle_id = $1", early)
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

	for name, test := range map[string]struct {
		filter Filter
		want   int
	}{
		"everything":          {Filter{}, 4},
		"outcome":             {Filter{Outcome: "skipped"}, 2},
		"event":               {Filter{Event: "Event_a"}, 2},
		"event is no pattern": {Filter{Event: "Event%"}, 0},
		"reason begins":       {Filter{Reason: "mode is"}, 2},
		"underscore is plain": {Filter{Reason: "mode_is"}, 0},
		"reason is a pattern": {Filter{Reason: "%wrong: user_id"}, 2},
		"since includes":      {Filter{Since: noon, Until: noon.Add(time.Second)}, 1},
		"until excludes":      {Filter{Until: noon}, 0},
		"until the future":    {Filter{Until: time.Now().Add(time.Hour)}, 4},
		"key":                 {Filter{Key: "a:2"}, 1},
		"key and outcome":     {Filter{Key: "a:2", Outcome: "skipped"}, 0},
		"key and time":        {Filter{Key: "b:2", Since: noon.Add(time.Second)}, 0},
		"unknown key":         {Filter{Key: "nobody"}, 0},
		"limit":               {Filter{Limit: 3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := NewOverride(t.Context(), f.pool, Retry, test.filter)
			require.NoError(t, err)
			tally, err := o.Preview(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.want, tally.Moved)
		})
	}
}

func TestLongWalkGoesPageByPageAndMeetsEveryBundleOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// Many with one and the same time, as a large request records them.
	f.exec(`
		WITH b AS (
			INSERT INTO waybill.bundle (key_hash, action_key, payload, occurred_at)
			SELECT sha256(convert_to('k' || i, 'UTF8')), 'k' || i, '{}', now() FROM generate_series(1, 12345) AS i
			RETURNING id
		)
		INSERT INTO waybill.delivery (bundle_id, outcome, at)
		SELECT id, 'rejected', '2026-01-01' FROM b`)
	o, err := NewOverride(t.Context(), f.pool, Retry, Filter{Outcome: "rejected"})
	require.NoError(t, err)

	var steps []int
	tally, err := o.Run(t.Context(), func(t Tally) { steps = append(steps, t.Moved) })

	require.NoError(t, err)
	require.Equal(t, []int{10_000, 12_345}, steps)
	require.Equal(t, Tally{Examined: 12_345, Matched: 12_345, Moved: 12_345}, tally)
	require.Equal(t, 12_345, one[int](f, `
		SELECT count(DISTINCT e) FROM waybill.river_job AS j, jsonb_array_elements(j.args -> 'bundle_ids') AS e`))
	require.Equal(t, 12_345, one[int](f, "SELECT count(*) FROM waybill.delivery_log"))
}

func TestTwoOperatorsAtOnceMakeOneJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.given("rejected", "x", keys("a", 200)...)
	first, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = first.Rollback(context.Background()) }()
	_, err = first.Exec(t.Context(), "SELECT waybill.retry('rejected', dry_run => false)")
	require.NoError(t, err)

	type result struct {
		tally Tally
		err   error
	}
	second := make(chan result, 1)
	o, err := NewOverride(t.Context(), f.pool, Retry, Filter{})
	require.NoError(t, err)
	go func() {
		tally, err := o.Run(t.Context(), func(Tally) {})
		second <- result{tally, err}
	}()
	for one[int](f, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0 {
		select {
		case r := <-second:
			t.Fatalf("the second did not wait for the first: %+v", r)
		default:
		}
	}
	require.NoError(t, first.Commit(t.Context()))

	r := <-second
	require.NoError(t, r.err)
	require.Zero(t, r.tally.Moved)
	require.Equal(t, len(ids), one[int](f, `
		SELECT sum(jsonb_array_length(args -> 'bundle_ids')) FROM waybill.river_job WHERE state = 'available'`))
	require.Equal(t, len(ids), one[int](f, "SELECT count(*) FROM waybill.delivery_log"))
}

func TestAStoppedRunSaysWhatItHasDone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "x", "a:1")
	f.given("skipped", "x", "a:2")
	o, err := NewOverride(t.Context(), f.pool, Retry, Filter{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())

	tally, err := o.Run(ctx, func(Tally) { cancel() })

	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, tally.Moved)
	require.Equal(t, 1, one[int](f, "SELECT count(*) FROM waybill.delivery_log"))
}

func TestResolveAssumesDelivery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.given("uncertain", "in doubt for 6 days", "a:1")[0]
	f.exec("UPDATE waybill.delivery SET doubt_since = now() - interval '7 days', request_id = 9")
	f.exec("UPDATE waybill.bundle SET payload = NULL") // not needed for this
	rejected := f.given("rejected", "x", "a:2")[0]

	require.Equal(t, Tally{Examined: 1, Matched: 1, Moved: 1}, f.override(f.as("waybill_operator"), AssumeDelivered, Filter{}))

	require.Equal(t, "delivered assumed delivered by waybill_operator", one[string](f, `
		SELECT concat_ws(' ', outcome, reason, doubt_since) FROM waybill.delivery WHERE bundle_id = $1`, id))
	require.Equal(t, "uncertain in doubt for 6 days 9 t assume_delivered waybill_operator", one[string](f, `
		SELECT concat_ws(' ', outcome, reason, request_id, doubt_since IS NOT NULL, replaced_how, replaced_by)
		FROM waybill.delivery_log`))
	require.Equal(t, "rejected", f.outcome(rejected))
	require.Zero(t, one[int](f, "SELECT count(*) FROM waybill.river_job WHERE state = 'available'"))
}

func TestResolveResends(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.given("uncertain", "x", keys("a", 2)...)
	f.given("skipped", "x", "b:1")

	require.Equal(t, 2, f.override(f.pool, Resend, Filter{}).Moved)

	require.Equal(t, "none", f.outcome(ids[0]))
	require.Equal(t, []string{"resend", "resend"}, all[string](f, "SELECT replaced_how FROM waybill.delivery_log"))
	require.Equal(t, 2, one[int](f, `
		SELECT jsonb_array_length(args -> 'bundle_ids') FROM waybill.river_job WHERE state = 'available'`))
}

func TestTheSQLFunctionsRefuseOtherOutcomes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("delivered", "", "a:1")
	for _, outcome := range []string{"delivered", "uncertain", "in_doubt", "nonsense"} {
		_, err := f.pool.Exec(t.Context(), "SELECT waybill.retry($1, dry_run => false)", outcome)
		require.ErrorContains(t, err, "takes rejected or skipped bundles, not "+outcome)
	}
	for _, how := range []string{"retry2", "delivered"} {
		_, err := f.pool.Exec(t.Context(), "SELECT waybill.resolve($1, dry_run => false)", how)
		require.ErrorContains(t, err, "knows assume_delivered and resend, not "+how)
	}
	// By hand, with no argument more, nothing happens.
	f.given("rejected", "x", "a:2")
	f.exec("SELECT waybill.retry('rejected')")
	require.Zero(t, one[int](f, "SELECT count(*) FROM waybill.delivery_log"))
}

func TestNegativeLimitIsRefused(t *testing.T) {
	t.Parallel()
	_, err := NewOverride(t.Context(), newFixture(t).pool, Retry, Filter{Limit: -1})
	require.ErrorContains(t, err, "limit of -1")
}
