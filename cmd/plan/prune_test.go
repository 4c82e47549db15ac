package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

// prune runs plan prune against a database.
func prune(t *testing.T, root, url string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	var environ []string
	if url != "" {
		environ = []string{"DATABASE_URL=" + url}
	}
	code := run(t.Context(), append([]string{"prune"}, args...), root, environ, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// removing is an application whose plan lets report_created 1.0 go.
func removing(t *testing.T) string {
	t.Helper()
	root := app(t)
	edit(t, root, "plan/events/reports.yaml", "status: deprecated", "status: removed")
	return root
}

func enqueue(t *testing.T, pool *pgxpool.Pool, key, event, version string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `SELECT waybill.enqueue(jsonb_build_object('key', $1::text, 'user_id', 'u',
		'track', jsonb_strip_nulls(jsonb_build_object('event', $2::text, 'version', nullif($3::text, '')))))`, key, event, version)
	require.NoError(t, err)
}

// settle gives all bundles an outcome, as a worker does.
func settle(t *testing.T, pool *pgxpool.Pool, outcome string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `INSERT INTO waybill.delivery (bundle_id, outcome) SELECT id, $1 FROM waybill.bundle
		ON CONFLICT (bundle_id) DO UPDATE SET outcome = EXCLUDED.outcome`, outcome)
	require.NoError(t, err)
}

// TestAVersionWithUnsentBundlesCannotBeRemoved is the whole way: lint and gen refuse, prune
// counts what waits, and once nothing does the lock lets the version go.
func TestAVersionWithUnsentBundlesCannotBeRemoved(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t)
	root := removing(t)
	for _, command := range []string{"lint", "gen"} {
		r := runPlan(t, root, command)
		require.Equal(t, result{1, "", "plan/events/reports.yaml:27: report_created 1.0 was published, and bundles may still wait with it; run plan prune report_created 1.0, which asks the database, or leave it deprecated [unsent]\n"}, r)
	}
	enqueue(t, pool, "a", "report_created", "1.0")
	enqueue(t, pool, "b", "Report_Created", "1.0") // an alias
	enqueue(t, pool, "c", "report_created", "2.1")
	enqueue(t, pool, "d", "report_created", "")
	enqueue(t, pool, "e", "search_performed", "1.0")

	r := prune(t, root, db.URL, "report_created", "1.0")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "2 bundles of report_created 1.x wait, the oldest since 20")
	require.Equal(t, 1, runPlan(t, root, "lint").code, "and the lock has not changed")

	settle(t, pool, "in_doubt")
	require.Equal(t, 1, prune(t, root, db.URL, "report_created", "1.0").code, "in doubt is due")
	_, err := pool.Exec(t.Context(), "DELETE FROM waybill.river_job")
	require.NoError(t, err)
	require.Equal(t, 1, prune(t, root, db.URL, "report_created", "1.0").code, "the sweep will give it a job again")

	settle(t, pool, "delivered")
	r = prune(t, root, db.URL, "report_created", "1.0")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, "no bundle of report_created 1.x waits in postgres://")
	require.Contains(t, r.stdout, "noted in plan/plan.lock, now run plan gen")
	lock, err := os.ReadFile(filepath.Join(root, "plan/plan.lock"))
	require.NoError(t, err)
	require.Contains(t, string(lock), "report_created 1.0 {", "its contract stays")
	require.True(t, strings.HasSuffix(string(lock), "\nreport_created 1.0 pruned\n"))
	require.Equal(t, 0, runPlan(t, root, "gen").code)
	require.Equal(t, 0, runPlan(t, root, "gen", "--check").code)
	require.FileExists(t, filepath.Join(root, "plan/generated/schemas/report_created/1.0.json"), "somebody may still read such events")
}

// TestUnversionedBundlesAreOfTheLastVersion: once none is left, they wait too.
func TestUnversionedBundlesAreOfTheLastVersion(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	enqueue(t, db.Pool(t), "a", "Page Viewed", "")
	root := app(t)
	edit(t, root, "plan/events/web.yaml", "status: live", "status: removed")
	require.Equal(t, 1, prune(t, root, db.URL, "page_viewed", "1.0").code)
}

func TestPruneAsAnOperator(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for role, code := range map[string]int{"waybill_operator": 0, "waybill_producer": exitDatabase} {
		r := prune(t, removing(t), db.URL+"&options=-c%20role%3D"+role, "report_created", "1.0")
		require.Equal(t, code, r.code, r.stderr)
		if code != 0 {
			require.Contains(t, r.stderr, "GRANT waybill_operator TO your login")
		}
	}
	conn, err := pgx.Connect(t.Context(), db.URL)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "DROP SCHEMA waybill CASCADE")
	require.NoError(t, err)
	require.NoError(t, conn.Close(context.WithoutCancel(t.Context())))
	r := prune(t, removing(t), db.URL, "report_created", "1.0")
	require.Equal(t, exitDatabase, r.code)
	require.Contains(t, r.stderr, "run: worker migrate")
}

func TestPruneRefuses(t *testing.T) {
	t.Parallel()
	root := removing(t)
	for want, c := range map[string]struct {
		args []string
		code int
	}{
		"prune takes a name and a version":                      {[]string{"report_created"}, exitUsage},
		`version "one" is not MAJOR.MINOR; write it like 1.0`:   {[]string{"report_created", "one"}, exitUsage},
		"report_created 7.0 is not in the plan":                 {[]string{"report_created", "7.0"}, exitUsage},
		"report_created 2.1 is live; set status: removed first": {[]string{"report_created", "2.1"}, exitUsage},
		"report_printed 1.0 was never published":                {[]string{"report_printed", "1.0"}, exitUsage},
		"DATABASE_URL: is not set":                              {[]string{"report_created", "1.0"}, exitConfiguration},
	} {
		r := prune(t, root, "", c.args...)
		require.Equal(t, c.code, r.code, want)
		require.Contains(t, r.stderr, want)
	}
	r := prune(t, root, "postgres://nobody:hunter2@127.0.0.1:1/none", "report_created", "1.0")
	require.Equal(t, exitDatabase, r.code)
	require.Contains(t, r.stderr, "check DATABASE_URL")
	require.NotContains(t, r.stderr, "hunter2")
}
