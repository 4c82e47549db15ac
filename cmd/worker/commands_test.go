package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/ops"
	"waybill/migrations"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	db := pgtest.Blank(t)
	for range 2 { // it may run again
		got := invoke(t, on(db.URL), "migrate")
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Equal(t, fmt.Sprintf("schema waybill is at step %d\n", migrations.Version()), got.stdout)
		require.Empty(t, got.stderr, "the server's remarks about what exists are for nobody")
	}
}

func TestMigratePrintsWithoutADatabase(t *testing.T) {
	t.Parallel()
	script := invoke(t, nil, "migrate", "--print")
	require.Equal(t, exitOK, script.code)
	require.Contains(t, script.stdout, "CREATE OR REPLACE FUNCTION waybill.enqueue(")
	grants := invoke(t, nil, "migrate", "--print-grants")
	require.Equal(t, exitOK, grants.code)
	require.Contains(t, grants.stdout, "waybill_operator")
}

func TestMigrateDownSaysWhatIsLostBeforeItDoesIt(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	enqueue(t, db, "order:1")

	got := invoke(t, on(db.URL), "migrate", "--down", "99")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "EVERY BUNDLE")
	require.Contains(t, got.stderr, "add --yes")
	require.Equal(t, 1, ask[int](t, db, "SELECT count(*) FROM waybill.bundle"))
	requireNarrow(t, got.stderr)
	for _, step := range migrations.Steps() {
		require.Contains(t, losses, step.Name, "each step says what goes with it")
		require.Contains(t, got.stderr, losses[step.Name])
	}

	got = invoke(t, on(db.URL), "migrate", "--down", "2", "--yes")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.NotContains(t, got.stderr, "EVERY BUNDLE")
	require.Equal(t, migrations.Version()-2, ask[int](t, db, "SELECT max(version) FROM waybill.migration"))
	require.Equal(t, exitOK, invoke(t, on(db.URL), "migrate").code)
	require.Equal(t, exitOK, invoke(t, on(db.URL), "status").code)
}

func TestMigrateRefusesWhatDoesNotGoTogether(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--print --print-grants", "--down 1 --print", "--down 0", "--down -3", "--yes", "--down"} {
		require.Equal(t, exitUsage, invoke(t, on(unreachable), append([]string{"migrate"}, strings.Fields(args)...)...).code, args)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	enqueue(t, db, "order:1")
	settled(t, db, "order:2", "rejected", "unknown event")

	text := invoke(t, on(db.URL), "status")
	require.Equal(t, exitOK, text.code, text.stderr)
	require.Contains(t, text.stdout, "1 bundle in 1 job")
	require.Contains(t, text.stdout, "debug to none")
	requireNarrow(t, text.stdout)

	report := decode[map[string]any](t, invoke(t, on(db.URL), "status", "--json").stdout)
	require.EqualValues(t, 1, report["queue"].(map[string]any)["bundles"])
	require.Equal(t, "debug", report["environment"].(map[string]any)["mode"])
	require.NotContains(t, report["database"], "password")

	// Who asks need not be able to deliver.
	undecided := invoke(t, on(db.URL, "ANALYTICS_MODE=deliver"), "status")
	require.Equal(t, exitOK, undecided.code)
	require.Contains(t, undecided.stdout, "AMPLITUDE_SANDBOX_API_KEY is not set")
}

func TestStatusOfOneAction(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	enqueue(t, db, "order:1")

	var fate struct {
		ActionKey string  `json:"action_key"`
		Outcome   string  `json:"outcome"`
		Reason    *string `json:"reason"`
		JobState  string  `json:"job_state"`
		Attempts  int     `json:"attempts"`
	}
	got := invoke(t, on(db.URL), "status", "--key", "order:1", "--json")
	require.Equal(t, exitOK, got.code)
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &fate))
	require.Equal(t, "order:1", fate.ActionKey)
	require.Equal(t, "queued", fate.Outcome)
	require.Equal(t, "available", fate.JobState)

	require.Contains(t, invoke(t, on(db.URL), "status", "--key", "order:1").stdout, "queued, not sent yet")
	require.Equal(t, exitRuntime, invoke(t, on(db.URL), "status", "--key", "order:2", "--json").code)
	require.Equal(t, exitUsage, invoke(t, on(db.URL), "status", "--key", "a", "--watch").code)
}

func TestStatusWatchGoesOnUntilInterrupted(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	b := start(t, on(db.URL), "status", "--watch", "--json")
	eventually(t, func() bool { return strings.Count(b.stdout.String(), "\n") == 2 })
	b.stop()
	require.Equal(t, exitOK, <-b.code)
	for line := range strings.Lines(b.stdout.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

func TestDoctorCommand(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	clean := invoke(t, on(db.URL), "doctor")
	require.Equal(t, exitOK, clean.code, clean.stdout)
	requireNarrow(t, clean.stdout)
	require.Contains(t, clean.stdout, "0 to look at, 0 failed")

	settled(t, db, "order:1", "rejected", "unknown event")
	require.Equal(t, exitOK, invoke(t, on(db.URL), "doctor").code, "a warning is no failure")

	exec1(t, db, "DROP INDEX waybill.delivery_attention")
	sick := invoke(t, on(db.URL), "doctor", "--json")
	require.Equal(t, exitUnhealthy, sick.code)
	report := decode[struct {
		Worst    ops.Level
		Findings []ops.Finding
	}](t, sick.stdout)
	require.Equal(t, ops.Fail, report.Worst)
	require.NotEmpty(t, report.Findings)

	wrong := invoke(t, on(db.URL, "ANALYTICS_MOOD=good"), "doctor")
	require.Equal(t, exitConfiguration, wrong.code)
	require.Contains(t, wrong.stdout, "fail  configuration")
	require.Contains(t, wrong.stdout, "ANALYTICS_MOOD")
	require.NotContains(t, wrong.stdout, "database", "nothing was connected to")
}

func TestRetryShowsTheCountAndWantsAYes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	settled(t, db, "order:1", "rejected", "unknown event")
	settled(t, db, "order:2", "skipped", "mode is debug")
	waiting := func() int { return ask[int](t, db, "SELECT count(*) FROM waybill.river_job WHERE state = 'available'") }

	dry := invoke(t, on(db.URL), "retry", "--dry-run")
	require.Equal(t, exitOK, dry.code)
	require.Equal(t, "2 matched; 2 would go back to the queue\n", dry.stdout)

	refused := invoke(t, on(db.URL), "retry", "--json")
	require.Equal(t, exitUsage, refused.code)
	require.Contains(t, refused.stderr, "add --yes")
	require.JSONEq(t, `{"action": "retry", "dry_run": true, "examined": 2, "matched": 2, "moved": 2, "no_payload": 0, "waiting": 0}`, refused.stdout)
	require.Zero(t, waiting())

	done := invoke(t, on(db.URL), "retry", "--outcome", "rejected", "--reason", "unknown", "--yes")
	require.Equal(t, exitOK, done.code, done.stderr)
	require.Contains(t, done.stdout, "done: 1 go back to the queue")
	require.Equal(t, 1, waiting())

	again := invoke(t, on(db.URL), "retry", "--since", "1h", "--until", time.Now().Add(time.Hour).Format(time.RFC3339), "--yes", "--json")
	require.JSONEq(t, `{"action": "retry", "dry_run": false, "examined": 1, "matched": 1, "moved": 1, "no_payload": 0, "waiting": 0}`, again.stdout)
	require.Equal(t, "0 matched; 0 would go back to the queue\n", invoke(t, on(db.URL), "retry").stdout, "nothing to ask about")
}

func TestAPersonIsAsked(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int{"y\n": 1, "YES\n": 1, "\n": 0, "n\n": 0, "": 0, "yellow\n": 0} {
		db := pgtest.New(t)
		settled(t, db, "order:1", "uncertain", "")
		var stdout, stderr bytes.Buffer
		p := &program{environ: on(db.URL), stdin: strings.NewReader(answer), stdout: &stdout, stderr: &stderr, interactive: true, terminal: true}

		code := p.execute(t.Context(), []string{"resolve", "--assume-delivered"})

		require.Contains(t, stderr.String(), "Do that to 1? [y/N]")
		require.Equal(t, want, ask[int](t, db, "SELECT count(*) FROM waybill.delivery WHERE outcome = 'delivered'"), answer)
		require.Equal(t, want == 1, code == exitOK)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	settled(t, db, "order:1", "uncertain", "")
	settled(t, db, "order:2", "uncertain", "")

	require.Equal(t, exitUsage, invoke(t, on(db.URL), "resolve").code)
	require.Equal(t, exitUsage, invoke(t, on(db.URL), "resolve", "--resend", "--assume-delivered").code)
	require.Equal(t, exitUsage, invoke(t, on(db.URL), "resolve", "--resend", "--outcome", "rejected").code)
	require.Contains(t, invoke(t, on(db.URL), "resolve", "--resend", "--key", "order:1", "--yes").stdout, "may be counted twice")
	require.Contains(t, invoke(t, on(db.URL), "resolve", "--assume-delivered", "--yes").stdout, "done: 1 count as delivered")
	fate := decode[ops.Bundle](t, invoke(t, on(db.URL), "status", "--key", "order:2", "--json").stdout)
	require.Equal(t, "delivered", fate.Outcome)
	require.Contains(t, *fate.Reason, "assumed delivered by ")
}

func TestRetrySaysWhatStaysBehind(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	settled(t, db, "order:1", "rejected", "x")
	settled(t, db, "order:2", "rejected", "x")
	exec1(t, db, "UPDATE waybill.bundle SET payload = NULL WHERE action_key = 'order:1'")
	exec1(t, db, "UPDATE waybill.river_job SET state = 'retryable', finalized_at = NULL WHERE id = (SELECT job_id FROM waybill.bundle WHERE action_key = 'order:2')")
	got := invoke(t, on(db.URL), "retry", "--yes")
	require.Contains(t, got.stdout, "1 cannot be sent again")
	require.Contains(t, got.stdout, "1 stand in a job that has not ended")
	requireNarrow(t, got.stdout)
}

func TestFlagsOfRetryAreChecked(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"--outcome delivered", "--outcome uncertain", "--limit -1", "--since yesterday", "--until -3h", "--yes --dry-run",
	} {
		got := invoke(t, on(unreachable), append([]string{"retry"}, strings.Fields(args)...)...)
		require.Equal(t, exitUsage, got.code, args)
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	ago, err := moment("--since", "36h", now)
	require.NoError(t, err)
	require.Equal(t, now.Add(-36*time.Hour), ago)
	at, err := moment("--since", "2026-11-22T11:00:00+01:00", now)
	require.NoError(t, err)
	require.True(t, now.Equal(at))
}
