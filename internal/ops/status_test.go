package ops

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

func TestStatusOfAnEmptyQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, err := ReadStatus(t.Context(), f.pool, Most)
	require.NoError(t, err)
	require.WithinDuration(t, one[time.Time](f, "SELECT clock_timestamp()"), s.At, time.Minute)
	require.Zero(t, s.Queue.Jobs)
	require.Nil(t, s.Queue.Oldest)
	require.Nil(t, s.Queue.PausedAt)
	require.Zero(t, s.LastMinute.PerSecond(s.At))
	require.Zero(t, s.AliveWorkers())
	require.Equal(t, []string{"available", "cancelled", "discarded", "pending", "retryable", "running", "scheduled"}, states(s))

	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(text), `"bundles":0`)
}

func states(s Status) []string {
	var names []string
	for _, d := range s.Queue.States {
		names = append(names, d.State)
	}
	return names
}

func TestStatusCountsBundlesNotJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.enqueue("a:1")
	f.enqueue(keys("b", 150)...) // two jobs
	f.exec("UPDATE waybill.river_job SET state = 'retryable', created_at = now() - interval '2 hours' WHERE priority = 1")
	cancelled := f.enqueue("c:1")
	f.exec(`UPDATE waybill.river_job SET state = 'cancelled', finalized_at = now(), created_at = now() - interval '9 hours'
		WHERE id = (SELECT job_id FROM waybill.bundle WHERE id = $1)`, cancelled[0])
	f.exec("INSERT INTO waybill.river_job (kind, queue, args, max_attempts) VALUES ('other', 'elsewhere', '{}', 3)")

	s, err := ReadStatus(t.Context(), f.pool, Most)

	require.NoError(t, err)
	require.EqualValues(t, 3, s.Queue.Jobs, "a cancelled job does not wait, another queue's is not ours")
	require.EqualValues(t, 151, s.Queue.Bundles)
	require.False(t, s.Queue.Capped)
	require.InDelta(t, (2 * time.Hour).Seconds(), s.At.Sub(*s.Queue.Oldest).Seconds(), 60)
	for _, d := range s.Queue.States {
		switch d.State {
		case "available":
			require.EqualValues(t, 150, d.Bundles)
			require.EqualValues(t, 2, d.Jobs)
		case "retryable", "cancelled":
			require.EqualValues(t, 1, d.Jobs)
		default:
			require.Zero(t, d.Jobs, d.State)
		}
	}
}

func TestStatusStopsCounting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, key := range keys("a", 4) {
		f.enqueue(key)
	}
	f.given("rejected", "x", keys("r", 4)...)
	f.given("delivered", "", keys("d", 4)...)
	f.settle("in_doubt", "", f.enqueue(keys("i", 4)...)...)
	f.exec("INSERT INTO waybill.profile (dest, kind, id, parked_until) SELECT 'd', 'user', i::text, now() + interval '1 hour' FROM generate_series(1, 4) AS i")

	s, err := ReadStatus(t.Context(), f.pool, 3)

	require.NoError(t, err)
	require.True(t, s.Queue.Capped)
	require.EqualValues(t, 4, s.Queue.Jobs)
	bundles, _, capped := s.DeadLetterCount("rejected")
	require.EqualValues(t, 4, bundles)
	require.True(t, capped)
	require.True(t, s.LastHour.Capped)
	require.EqualValues(t, 3, s.LastHour.Settled)
	require.True(t, s.InDoubt.Capped)
	require.True(t, s.Parked.Capped)

	s, err = ReadStatus(t.Context(), f.pool, 4)
	require.NoError(t, err)
	_, _, capped = s.DeadLetterCount("rejected")
	require.False(t, capped || s.Queue.Capped || s.InDoubt.Capped || s.Parked.Capped, "exactly as many as allowed")
}

func TestStatusTellsWhatWasSettledLately(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("delivered", "", keys("a", 30)...)
	f.given("rejected", "x", "b:1")
	old := f.given("delivered", "", "c:1")
	f.exec(`UPDATE waybill.river_job SET finalized_at = now() - interval '30 minutes'
		WHERE id = (SELECT job_id FROM waybill.bundle WHERE id = $1)`, old[0])

	s, err := ReadStatus(t.Context(), f.pool, Most)

	require.NoError(t, err)
	require.EqualValues(t, 31, s.LastMinute.Settled)
	require.EqualValues(t, 30, s.LastMinute.Delivered)
	require.EqualValues(t, 32, s.LastHour.Settled)
	require.EqualValues(t, 31, s.LastHour.Delivered)
	require.InDelta(t, 31.0/60, s.LastMinute.PerSecond(s.At), 0.1)

	// When there were too many to count, the rate is that of the part that was counted.
	f.exec("UPDATE waybill.river_job SET finalized_at = now() - interval '2 seconds' WHERE state = 'completed' AND finalized_at > now() - interval '1 minute'")
	s, err = ReadStatus(t.Context(), f.pool, 20)
	require.NoError(t, err)
	require.True(t, s.LastMinute.Capped)
	require.Greater(t, s.LastMinute.PerSecond(s.At), 1.0)
}

func TestStatusGroupsDeadLettersByReason(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "often", keys("a", 3)...)
	f.given("rejected", "once", "b:1")
	f.exec("UPDATE waybill.delivery SET at = now() - interval '3 days' WHERE reason = 'once'")
	f.given("uncertain", "", "c:1")
	f.given("delivered", "", "d:1")
	f.exec(`INSERT INTO waybill.delivery (bundle_id, outcome, reason) SELECT -i, 'skipped', 'reason ' || i FROM generate_series(1, 25) AS i`)

	s, err := ReadStatus(t.Context(), f.pool, Most)

	require.NoError(t, err)
	require.Len(t, s.DeadLetters, 2+21+1)
	require.Equal(t, "often", s.DeadLetters[0].Reason)
	require.EqualValues(t, 3, s.DeadLetters[0].Bundles)
	require.Equal(t, "once", s.DeadLetters[1].Reason)
	require.Zero(t, s.DeadLetters[1].LastHour)
	require.InDelta(t, (72 * time.Hour).Seconds(), s.At.Sub(s.DeadLetters[1].Oldest).Seconds(), 60)
	require.Equal(t, "(other reasons)", s.DeadLetters[2].Reason)
	require.EqualValues(t, 5, s.DeadLetters[2].Bundles)
	skipped, _, _ := s.DeadLetterCount("skipped")
	require.EqualValues(t, 25, skipped)
}

func TestStatusShowsDoubtParkingPauseAndWorkers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.enqueue("a:1", "a:2")
	f.settle("in_doubt", "no answer", ids...)
	f.exec("UPDATE waybill.delivery SET doubt_since = now() - bundle_id * interval '1 hour'")
	f.exec(`INSERT INTO waybill.profile (dest, kind, id, parked_until) VALUES
		('one', 'user', 'u1', now() + interval '10 minutes'), ('two', 'user', 'u1', now() + interval '20 minutes'),
		('two', 'user', 'u2', now() - interval '1 second'), ('two', 'user', 'u3', NULL)`)
	f.exec("INSERT INTO waybill.river_queue (name, paused_at) VALUES ('analytics', now() - interval '5 minutes'), ('other', now() - interval '1 day')")
	f.beat("w-live", time.Second, `{"mode": "deliver", "lane": "open"}`)
	f.beat("w-dead", time.Minute, `{}`)
	f.beat("w-long-gone", 2*time.Hour, `{}`)

	s, err := ReadStatus(t.Context(), f.as("waybill_operator"), Most)

	require.NoError(t, err)
	require.EqualValues(t, 2, s.InDoubt.Bundles)
	require.InDelta(t, float64(ids[1])*3600, s.At.Sub(*s.InDoubt.Oldest).Seconds(), 60)
	require.EqualValues(t, 2, s.Parked.Identities)
	require.InDelta(t, 1200, s.Parked.Until.Sub(s.At).Seconds(), 60)
	require.InDelta(t, 300, s.At.Sub(*s.Queue.PausedAt).Seconds(), 60)
	require.Len(t, s.Workers, 2)
	require.Equal(t, "w-live", s.Workers[0].ID)
	require.Equal(t, 1, s.AliveWorkers())

	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.NotContains(t, string(text), "u1", "who is parked is nobody's business here")
}

// A transaction pooler cannot keep prepared statements; these modes do without.
func TestEveryQuestionWorksWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, mode := range map[string]pgx.QueryExecMode{
		"exec": pgx.QueryExecModeExec, "simple_protocol": pgx.QueryExecModeSimpleProtocol,
		"cache_describe": pgx.QueryExecModeCacheDescribe,
	} {
		f.given("rejected", "x", "r:"+name)
		pool := f.db.Pool(t, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode })
		s, err := ReadStatus(t.Context(), pool, Most)
		require.NoError(t, err, name)
		require.Len(t, s.DeadLetters, 1, name)
		_, err = Lookup(t.Context(), pool, "r:"+name)
		require.NoError(t, err, name)
		require.Equal(t, 1, f.override(pool, Retry, Filter{Since: time.Now().Add(-time.Hour), Reason: "x", Limit: 5}).Moved, name)
		require.Zero(t, f.override(pool, Resend, Filter{}).Moved, name)
		require.NoError(t, Probe(t.Context(), pool), name)
	}
}

func TestStatusGivesUpInTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	err := inTime(t.Context(), f.pool, 50*time.Millisecond, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT pg_sleep(60)")
		return err
	})
	require.ErrorContains(t, err, "statement timeout")
	require.Equal(t, "0", one[string](f, "SHOW statement_timeout"), "the session's own setting is as it was")
}

func TestStatusText(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }

	for name, s := range map[string]Status{
		"empty": {At: now, LastMinute: Throughput{Since: *ago(time.Minute)}},
		"busy": {
			At: now,
			Queue: Queue{
				Bundles: 123456, Jobs: 100345, Capped: true, Oldest: ago(252 * time.Second),
				States: []Depth{
					{State: "available", Jobs: 100001, Capped: true}, {State: "cancelled"},
					{State: "running", Jobs: 340}, {State: "scheduled", Jobs: 4},
				},
			},
			LastMinute: Throughput{Settled: 100000, Since: *ago(8 * time.Second), Capped: true},
			LastHour:   Throughput{Settled: 100000, Delivered: 99990, Since: *ago(9 * time.Second), Capped: true},
			DeadLetters: []DeadLetter{
				{Outcome: "rejected", Reason: "Amplitude: invalid event: event_type is missing, which happens when the name is blank", Bundles: 1200, LastHour: 7, Newest: *ago(time.Minute)},
				{Outcome: "rejected", Reason: "\x1b[31mred\nline", Bundles: 2, Newest: *ago(49 * time.Hour)},
				{Outcome: "skipped", Bundles: 1, Newest: *ago(time.Hour)},
			},
			InDoubt: InDoubt{Bundles: 2, Oldest: ago(3 * time.Hour)},
			Parked:  Parked{Identities: 1, Until: ago(-90 * time.Second)},
			Workers: []Worker{
				{ID: "w-ABCDEFGHIJKLMNOP", BeatAt: *ago(time.Second), StartedAt: *ago(26 * time.Hour), About: json.RawMessage(`{"version": "v1.2.3", "mode": "deliver", "lane": "open", "held_jobs": 3}`)},
				{ID: "w-QRSTUVWXYZABCDEF", BeatAt: *ago(time.Minute), StartedAt: *ago(time.Hour), About: json.RawMessage(`{"mode": "deliver", "lane": "key_refused"}`)},
				{ID: "w-OTHER", BeatAt: *ago(time.Second), StartedAt: *ago(time.Hour), About: json.RawMessage(`[]`)},
			},
		},
		"paused": {At: now, Queue: Queue{Bundles: 1, Jobs: 1, Oldest: ago(time.Hour), PausedAt: ago(2 * time.Hour)}, LastMinute: Throughput{Since: *ago(time.Minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			r := Report{
				Database: "postgres://app@db.example:5432/shop", Status: s,
				Environment: Environment{Mode: "hold", Destination: "none", Reason: "ANALYTICS_ENV is production, but AMPLITUDE_API_KEY is not set"},
			}
			require.NoError(t, r.Text(&text))
			requireGolden(t, "status_"+name+".golden", text.String())
		})
	}
}
