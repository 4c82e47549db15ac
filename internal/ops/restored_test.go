package ops

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

const marked = "restored from a backup; it may have been delivered since"

// unknown is a database as a backup leaves it: what had an outcome, what had none, and
// what was in doubt already.
func unknown(t *testing.T) (f *fixture, open, doubted, certain int64) {
	t.Helper()
	f = newFixture(t)
	open = f.enqueue("a:1")[0]
	doubted = f.enqueue("a:2")[0]
	f.exec("INSERT INTO waybill.delivery (bundle_id, outcome, reason, doubt_since) VALUES ($1, 'in_doubt', 'a crash', now() - interval '7 days')", doubted)
	certain = f.given("delivered", "", "a:3")[0]
	f.given("rejected", "bad", "a:4")
	f.exec(`SELECT waybill.enqueue('{"key": "a:5", "user_id": 7}')`) // refused on the spot, without a job
	f.exec("INSERT INTO waybill.profile (dest, kind, id, sent_at) VALUES ('d', 'user', 'lately', now() - interval '1 hour'), ('d', 'user', 'long ago', now() - interval '2 days'), ('d', 'user', 'never', NULL)")
	return f, open, doubted, certain
}

// state is every bundle's outcome, its reason and how many days it has been in doubt.
func (f *fixture) state() string {
	f.t.Helper()
	return strings.Join(all[string](f, `
		SELECT concat_ws(' ', b.action_key, coalesce(d.outcome, 'none'), round(extract(epoch FROM now() - d.doubt_since) / 86400))
		FROM waybill.bundle AS b LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id WHERE b.action_key IN ('a:1', 'a:2', 'a:3', 'a:4') ORDER BY b.id`), ", ")
}

func TestAfterARestoreWhatAmplitudeKnowsIsSentAgain(t *testing.T) {
	t.Parallel()
	f, open, _, _ := unknown(t)
	at := time.Now().Add(-3 * 24 * time.Hour)

	before := f.state()
	preview, err := ReadRestored(t.Context(), f.pool, at)
	require.NoError(t, err)
	require.Equal(t, before, f.state(), "to ask changes nothing")
	require.Equal(t, [3]any{int64(1), int64(1), false}, [3]any{preview.Bundles, preview.Profiles, preview.Forgotten})
	require.Equal(t, one[time.Time](f, "SELECT enqueued_at FROM waybill.bundle WHERE id = $1", open).Unix(), preview.Oldest.Unix())

	done, err := MarkRestored(t.Context(), f.as("waybill_worker"), at)
	require.NoError(t, err)
	require.Equal(t, [3]any{int64(1), int64(1), true}, [3]any{done.Bundles, done.Profiles, done.Done})
	require.Equal(t, "a:1 in_doubt 3, a:2 in_doubt 7, a:3 delivered, a:4 rejected", f.state())
	require.Equal(t, []string{marked}, all[string](f, "SELECT reason FROM waybill.delivery WHERE bundle_id = $1", open))
	require.Equal(t, 1, one[int](f, "SELECT count(*) FROM waybill.delivery WHERE reason = $1", marked), "nobody else is marked")
	require.Equal(t, []string{"lately", "long ago"}, all[string](f, "SELECT id FROM waybill.profile WHERE sent_at <= now() - interval '1 day' ORDER BY id"))

	again, err := MarkRestored(t.Context(), f.pool, at)
	require.NoError(t, err)
	require.Zero(t, again.Bundles, "it may be said again")
	require.Zero(t, again.Profiles)
}

// An earlier moment corrects one that was too late; what the backup itself knows to be in
// doubt for longer stays so.
func TestAnEarlierRestoreMomentCorrectsALaterOne(t *testing.T) {
	t.Parallel()
	f, _, _, _ := unknown(t)
	for _, step := range []struct {
		days int
		want string
	}{
		{1, "a:1 in_doubt 1, a:2 in_doubt 7, a:3 delivered, a:4 rejected"},
		{5, "a:1 in_doubt 5, a:2 in_doubt 7, a:3 delivered, a:4 rejected"},
		{2, "a:1 in_doubt 5, a:2 in_doubt 7, a:3 delivered, a:4 rejected"},
		{8, "a:1 uncertain 8, a:2 uncertain 8, a:3 delivered, a:4 rejected"},
		{9, "a:1 uncertain 8, a:2 uncertain 8, a:3 delivered, a:4 rejected"},
	} {
		_, err := MarkRestored(t.Context(), f.pool, time.Now().Add(-time.Duration(step.days)*24*time.Hour))
		require.NoError(t, err)
		require.Equal(t, step.want, f.state(), "%d days", step.days)
	}
}

// Six days of doubt are the limit, as they are for a worker.
func TestWhatAmplitudeHasForgottenBecomesUncertain(t *testing.T) {
	t.Parallel()
	for ago, forgotten := range map[time.Duration]bool{6*24*time.Hour - time.Minute: false, 6 * 24 * time.Hour: true} {
		f, open, _, _ := unknown(t)
		done, err := MarkRestored(t.Context(), f.pool, time.Now().Add(-ago))
		require.NoError(t, err)
		require.Equal(t, forgotten, done.Forgotten, ago)
		require.Equal(t, forgotten, f.outcome(open) == "uncertain", ago)
	}
}

func TestNothingIsMarkedWhileAWorkerRuns(t *testing.T) {
	t.Parallel()
	f, open, _, _ := unknown(t)
	f.beat("restored with the backup", time.Minute, "{}")
	f.beat("started too early", 2*time.Second, "{}")
	_, err := MarkRestored(t.Context(), f.pool, time.Now())
	require.ErrorIs(t, err, ErrWorkersRun)
	require.Equal(t, "none", f.outcome(open))

	f.exec("DELETE FROM waybill.worker WHERE id = 'started too early'")
	_, err = MarkRestored(t.Context(), f.pool, time.Now())
	require.NoError(t, err)
	require.Equal(t, "in_doubt", f.outcome(open))
}

func TestRestoredFitsATerminalAndIsJSON(t *testing.T) {
	t.Parallel()
	oldest := time.Date(2026, 11, 14, 2, 59, 0, 0, time.UTC)
	r := Restored{At: oldest.Add(time.Minute), Bundles: 1234567890, Oldest: &oldest, Profiles: 1234567890, workers: 1}
	for _, forgotten := range []bool{false, true} {
		r.Forgotten = forgotten
		var text bytes.Buffer
		require.NoError(t, r.Text(&text))
		for line := range strings.Lines(text.String()) {
			require.LessOrEqual(t, utf8.RuneCountInString(line), 81, line)
		}
		require.Contains(t, text.String(), "2026-11-14T03:00:00Z")
		require.Contains(t, text.String(), "stop all workers first")
		require.Equal(t, forgotten, strings.Contains(text.String(), "would be uncertain"))
		require.Equal(t, !forgotten, strings.Contains(text.String(), "would be sent again"))
	}
	written, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, `{"at": "2026-11-14T03:00:00Z", "bundles": 1234567890, "oldest": "2026-11-14T02:59:00Z", "forgotten": true, "profiles": 1234567890, "done": false}`, string(written))
}
