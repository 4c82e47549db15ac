package ops

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLookupAnswersDidThisGoOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.enqueue("a:1")
	f.given("delivered", "", "a:2")
	f.given("rejected", "bad", "a:3")
	refused := one[int64](f, `SELECT bundle_id FROM waybill.enqueue('{"key": "a:4", "track": {"event": "e"}}')`)
	swept := f.given("delivered", "", "a:5")[0]
	f.exec("DELETE FROM waybill.river_job WHERE id = (SELECT job_id FROM waybill.bundle WHERE id = $1)", swept)

	look := func(key string) Bundle {
		b, err := Lookup(t.Context(), f.pool, key)
		require.NoError(t, err)
		return b
	}

	waiting := look("a:1")
	require.Equal(t, OutcomeQueued, waiting.Outcome)
	require.Equal(t, "available", *waiting.JobState)
	require.Equal(t, "Event_a", *waiting.Event)
	require.Equal(t, "u-a:1", *waiting.UserID)
	require.Nil(t, waiting.SettledAt)
	require.Zero(t, waiting.Attempts)

	delivered := look("a:2")
	require.Equal(t, "delivered", delivered.Outcome)
	require.Equal(t, "completed", *delivered.JobState)
	require.Equal(t, 1, delivered.Attempts)
	require.True(t, delivered.HasPayload)

	require.Equal(t, "bad", *look("a:3").Reason)

	door := look("a:4")
	require.Equal(t, refused, door.ID)
	require.Equal(t, "rejected", door.Outcome)
	require.Nil(t, door.JobID)

	require.Nil(t, look("a:5").JobState, "River has removed the job, the answer stays")

	_, err := Lookup(t.Context(), f.pool, "never")
	require.ErrorIs(t, err, ErrUnknown)
	require.ErrorContains(t, err, `"never"`)
}

func TestLookupTellsWhatWasReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "first", "a:1")
	f.override(f.as("waybill_operator"), Retry, Filter{})
	f.exec("INSERT INTO waybill.delivery (bundle_id, outcome) SELECT id, 'delivered' FROM waybill.bundle")

	b, err := Lookup(t.Context(), f.as("waybill_operator"), "a:1")
	require.NoError(t, err)
	require.Equal(t, "delivered", b.Outcome)
	require.Len(t, b.Replaced, 1)
	require.Equal(t, "rejected first waybill_operator retry", strings.Join([]string{
		b.Replaced[0].Outcome, b.Replaced[0].Reason, b.Replaced[0].By, b.Replaced[0].How,
	}, " "))
}

func TestLookupJSONAlwaysHasTheAgreedFields(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.enqueue("a:1")
	b, err := Lookup(t.Context(), f.pool, "a:1")
	require.NoError(t, err)
	text, err := json.Marshal(b)
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	require.Equal(t, "a:1", object["action_key"])
	require.Equal(t, "queued", object["outcome"])
	require.Equal(t, "available", object["job_state"])
	require.EqualValues(t, 0, object["attempts"])
	require.Contains(t, object, "reason")
	require.NotContains(t, string(text), payloadCanary)
}

// The view alone would read the whole ledger.
func TestLookupGoesByTheHash(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`INSERT INTO waybill.bundle (key_hash, action_key, occurred_at)
		SELECT sha256(convert_to('k' || i, 'UTF8')), 'k' || i, now() FROM generate_series(1, 20000) AS i`)
	f.exec("ANALYZE waybill.bundle")
	_, err := Lookup(t.Context(), f.pool, "k77")
	require.NoError(t, err)
	f.exec("SELECT pg_stat_force_next_flush()")
	require.Zero(t, one[int](f, "SELECT coalesce(seq_tup_read, 0) FROM pg_stat_user_tables WHERE relid = 'waybill.bundle'::regclass"))
}

func TestBundleText(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	text := func(s string) *string { return &s }
	job := int64(77)

	for name, b := range map[string]Bundle{
		"queued": {
			ID: 7, ActionKey: "order:8412:completed", Event: text("Order_Completed"), UserID: text("usr_42"),
			OccurredAt: *ago(5 * time.Minute), EnqueuedAt: *ago(4 * time.Minute), Outcome: OutcomeQueued,
			JobID: &job, JobState: text("retryable"), Attempts: 2, NextAt: ago(-30 * time.Second), HasPayload: true, At: now,
			LastError: text("prepare the flight: the database said something long that does not fit on one line of a terminal"),
		},
		"delivered": {
			ID: 8, ActionKey: "order:1", OccurredAt: *ago(time.Hour), EnqueuedAt: *ago(time.Hour), Outcome: "delivered",
			SettledAt: ago(59 * time.Minute), JobID: &job, Attempts: 1, At: now,
			Replaced: []Replaced{{"rejected", "invalid event", *ago(70 * time.Minute), *ago(61 * time.Minute), "alice", "retry"}},
		},
		"doubt": {
			ID: 9, ActionKey: strings.Repeat("long", 40), OccurredAt: *ago(time.Hour), EnqueuedAt: *ago(time.Hour), Outcome: "in_doubt",
			Reason: text("no answer"), SettledAt: ago(time.Minute), DoubtSince: ago(2 * time.Minute), JobID: &job, JobState: text("running"), HasPayload: true, At: now,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			require.NoError(t, b.Text(&out))
			requireGolden(t, "bundle_"+name+".golden", out.String())
		})
	}
}
