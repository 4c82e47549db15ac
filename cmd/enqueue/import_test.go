package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/importer"
)

func TestALargeFileWithBadLinesInBetween(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t)
	lines := orders(2500)
	lines[16] = `{"key":"order:17","user_id":"usr_1","trak":{}}`
	lines[499] = "{broken"
	lines[500] = ""
	lines[1233] = lines[0]
	lines[2498] = "{\"key\":\"order:2499\",\"user_id\":\"usr_\x00\"}"
	path, report := file(t, text(lines)), filepath.Join(t.TempDir(), "report.ndjson")

	got := enqueue(t, db.URL, path, "--report", report)
	require.Equal(t, exitFailed, got.code)
	require.Empty(t, got.stderr)
	require.Regexp(t, `^orders\.ndjson: 2500 lines in \S+
  queued         2495
  duplicate         1
  rejected          3
  skipped           0
  blank             1
$`, got.stdout)
	require.Equal(t, 2495, query[int](t, pool, "SELECT count(DISTINCT action_key) FROM waybill.bundle WHERE job_id IS NOT NULL"))
	require.Equal(t, 2495, query[int](t, pool, "SELECT count(*) FROM waybill.bundle"))
	require.Equal(t, 2495, query[int](t, pool, "SELECT sum(jsonb_array_length(args -> 'bundle_ids')) FROM waybill.river_job"))

	reported, err := os.ReadFile(report)
	require.NoError(t, err)
	first := query[float64](t, pool, "SELECT id FROM waybill.bundle WHERE action_key = 'order:1'")
	const broken = "is not valid JSON; write it with a JSON encoder"
	require.Equal(t, []map[string]any{
		{"line": 17.0, "key": "order:17", "outcome": "rejected", "bundle_id": nil, "reason": "trak: is not a field of a bundle; check its spelling"},
		{"line": 500.0, "key": nil, "outcome": "rejected", "bundle_id": nil, "reason": "bundle: " + broken},
		{"line": 1234.0, "key": "order:1", "outcome": "duplicate", "bundle_id": first, "reason": nil},
		{"line": 2499.0, "key": nil, "outcome": "rejected", "bundle_id": nil, "reason": "user_id: " + broken},
	}, objects(t, string(reported)))
}

func TestRunningAFileAgainChangesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	path := file(t, text(orders(700)))
	require.Equal(t, exitOK, enqueue(t, db.URL, path).code)

	got := enqueue(t, db.URL, path, "--json")
	require.Equal(t, exitOK, got.code, "duplicates are fine")
	summary := objects(t, got.stdout)[0]
	require.GreaterOrEqual(t, summary["seconds"], 0.0)
	delete(summary, "seconds")
	require.Equal(t, map[string]any{
		"input": "orders.ndjson", "lines": 700.0, "queued": 0.0, "duplicate": 700.0, "rejected": 0.0,
		"skipped": 0.0, "blank": 0.0, "complete": true, "resent": false, "dry_run": false,
	}, summary)
	require.Equal(t, 700, query[int](t, db.Pool(t), "SELECT count(*) FROM waybill.bundle"))
}

// hook calls a function when the reader comes to it, and gives nothing.
type hook func()

func (h hook) Read([]byte) (int, error) {
	h()
	return 0, io.EOF
}

func TestAnInterruptedImportIsSimplyRunAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t)
	lines := orders(2500)

	ctx, interrupt := context.WithCancel(t.Context())
	open, stop := io.Pipe() // so that only the interruption can end the import
	stdin := io.MultiReader(strings.NewReader(text(lines[:1200])), hook(interrupt), open)
	got := enqueueIn(ctx, t, []string{"DATABASE_URL=" + db.URL}, stdin, "-", "--json")
	require.NoError(t, stop.Close())

	require.Equal(t, exitFailed, got.code)
	summary := objects(t, got.stdout)[0]
	require.Equal(t, false, summary["complete"])
	require.LessOrEqual(t, summary["lines"], 1200.0)
	require.Equal(t, summary["lines"], summary["queued"])
	require.Equal(t, summary["queued"], query[float64](t, pool, "SELECT count(*) FROM waybill.bundle"))
	require.Contains(t, got.stderr, "enqueue: interrupted\n")
	if summary["lines"] != 0.0 {
		require.Contains(t, got.stderr, "Running it again is safe")
	}

	again := enqueueIn(t.Context(), t, []string{"DATABASE_URL=" + db.URL}, strings.NewReader(text(lines)), "-", "--json")
	require.Equal(t, exitOK, again.code)
	resumed := objects(t, again.stdout)[0]
	require.Equal(t, summary["queued"], resumed["duplicate"])
	require.Equal(t, 2500-summary["queued"].(float64), resumed["queued"])
	require.Equal(t, 2500, query[int](t, pool, "SELECT count(DISTINCT action_key) FROM waybill.bundle"))
	require.Equal(t, 2500, query[int](t, pool, "SELECT count(*) FROM waybill.bundle"))
}

func TestRefusedLinesAreShownUpToTwenty(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	lines := orders(60)
	for i := range 31 {
		lines[i] = `{"key":"bad\tkey","user_id":"usr_1","trak":{}}`
	}
	got := enqueue(t, db.URL, file(t, text(lines)))
	require.Equal(t, exitFailed, got.code)
	require.Equal(t, 20, strings.Count(got.stderr, "trak: is not a field"))
	require.Contains(t, got.stderr, `line 1 refused "bad\tkey"`+"\n    trak: is not a field of a bundle; check its spelling\n")
	require.Contains(t, got.stderr, "line 20 refused")
	require.NotContains(t, got.stderr, "line 21 refused")
	require.Contains(t, got.stderr, "… and 11 more refused; --report FILE lists them all")
}

func TestWhatTheDatabaseItselfRefusesIsReportedWithItsBundle(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	lines := orders(2)
	inTwoDays := time.Now().Add(48 * time.Hour)
	lines[0] = `{"key":"order:1","user_id":"usr_1","occurred_at":"` + inTwoDays.Format(time.RFC3339) + `","track":{"event":"E"}}`
	report := filepath.Join(t.TempDir(), "report.ndjson")
	var stdout, stderr bytes.Buffer
	p := &program{ // whose clock is wrong, so that only the database sees it
		stdout: &stdout, stderr: &stderr, env: []string{"DATABASE_URL=" + db.URL}, now: func() time.Time { return inTwoDays },
	}
	require.Equal(t, exitFailed, p.run(t.Context(), []string{file(t, text(lines)), "--report", report}))

	reported, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Equal(t, []map[string]any{{
		"line": 1.0, "key": "order:1", "outcome": "rejected", "reason": "occurred_at: is more than a day ahead of the database clock",
		"bundle_id": query[float64](t, db.Pool(t), "SELECT id FROM waybill.bundle WHERE action_key = 'order:1'"),
	}}, objects(t, string(reported)))
}

func TestAReportThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	path := file(t, text(orders(3)))
	got := enqueue(t, db.URL, path, "--report", filepath.Join(path, "below"))
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "--report: not a directory")
	require.Equal(t, 0, query[int](t, db.Pool(t), "SELECT count(*) FROM waybill.bundle"))
}

func TestAReportThatCouldNotBeCompletedSaysSo(t *testing.T) {
	t.Parallel()
	p := &program{reportPath: filepath.Join(t.TempDir(), "report.ndjson")}
	r, err := openReport(p, input{}, nil)
	require.NoError(t, err)
	require.NoError(t, r.file.Close()) // as good as a full disk
	r.settled(importer.Result{Line: 1, Outcome: importer.Rejected})
	r.flush()
	require.ErrorContains(t, r.close(), "--report is not complete: file already closed")
}

func TestAReportThatWouldEmptyTheInputIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	path := file(t, text(orders(3)))
	got := enqueue(t, db.URL, path, "--report", filepath.Join(filepath.Dir(path), ".", "orders.ndjson"))
	require.Equal(t, exitUsage, got.code)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, text(orders(3)), string(kept))
}

func TestWhileAnalyticsAreOffEverythingIsSkipped(t *testing.T) {
	t.Parallel()
	env := []string{"ANALYTICS_ENABLED=false"} // and no database
	lines := append(orders(3), "", "{broken")
	report := filepath.Join(t.TempDir(), "report.ndjson")
	got := enqueueIn(t.Context(), t, env, strings.NewReader(text(lines)), "-", "--json", "--report", report)
	require.Equal(t, exitOK, got.code)
	require.Contains(t, got.stderr, "ANALYTICS_ENABLED is false")
	summary := objects(t, got.stdout)[0]
	require.Equal(t, 3.0, summary["skipped"])
	require.Equal(t, 0.0, summary["queued"])
	reported, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Equal(t, "ANALYTICS_ENABLED is false", objects(t, string(reported))[0]["reason"])

	one := enqueueIn(t.Context(), t, env, nil, "--key", "k", "--user", "u", "--event", "E")
	require.Equal(t, exitOK, one.code)
	require.Equal(t, "skipped k\n", one.stdout)
}
