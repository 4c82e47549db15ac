package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/devpg/pgtest"
	"waybill/internal/plan/compiled"
)

// planFile is the reference plan as a worker is given it, with search_performed at a
// version.
func planFile(t *testing.T, version string) string {
	t.Helper()
	text, err := os.ReadFile(referencePlan)
	require.NoError(t, err)
	p, err := compiled.Read(text)
	require.NoError(t, err)
	for i := range p.Events {
		if p.Events[i].Name == "search_performed" {
			p.Events[i].Version = version
		}
	}
	text, err = json.Marshal(p)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "plan.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

func searched(t *testing.T, db *pgtest.DB, key, version, property string) {
	t.Helper()
	exec1(t, db, `SELECT waybill.enqueue(jsonb_build_object('key', 'search_performed:' || $1::text, 'user_id', 'u-1', 'track',
		jsonb_build_object('event', 'search_performed', 'version', $2::text, 'properties', jsonb_build_object('search_id', $1::text, $3::text, 7))))`, key, version, property)
}

// TestAPlanFromStartToRetry is an operator's day with a plan that is too old and a sender
// that is wrong: what is good goes out, what is not is named with its place and its fix.
func TestAPlanFromStartToRetry(t *testing.T) {
	t.Parallel()
	db, fake := pgtest.New(t), amplitudetest.Start(t, amplitudetest.Config{})
	searched(t, db, "good", "1.0", "results")
	searched(t, db, "typo", "1.0", "resultz")
	searched(t, db, "newer", "1.7", "results")
	old := planFile(t, "1.0")
	environ := live(db.URL, fake.URL, "ANALYTICS_PLAN="+old)

	got := invoke(t, environ, "run", "--once")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stderr, `"plan":"reference 1.0"`)
	require.Equal(t, 1, strings.Count(got.stderr, "1.7 is newer than the plan file "+old+" (reference 1.0), which knows 1.0; give the worker the file of the sender's release"))
	require.Equal(t, 1, fake.Total())

	status := invoke(t, environ, "status")
	require.Contains(t, status.stdout, "Off plan            1  held  search_performed 1.7 version: 1.7 is newer than")
	require.Contains(t, status.stdout, "search_performed 1.0 resultz: is not in the plan\n")
	doctor := strings.Join(strings.Fields(invoke(t, environ, "doctor").stdout), " ")
	require.Contains(t, doctor, "in quarantine: search_performed 1.7 version: 1.7 is newer than the plan file")
	require.Contains(t, doctor, "rejected by the plan: search_performed 1.0 resultz: is not in the plan")

	mended := live(db.URL, fake.URL, "ANALYTICS_PLAN="+planFile(t, "1.7"))
	retried := invoke(t, mended, "retry", "--outcome", "rejected", "--reason", "plan quarantine%", "--yes")
	require.Equal(t, exitOK, retried.code, retried.stderr)
	require.Equal(t, exitOK, invoke(t, mended, "run", "--once").code)
	require.Equal(t, 2, fake.Total())
	require.Equal(t, "rejected", ask[string](t, db, "SELECT outcome FROM waybill.job WHERE action_key = 'search_performed:typo'"), "the sender's fault stays")
	require.Equal(t, "search_performed|3|2|1|2", ask[string](t, db,
		"SELECT concat_ws('|', event, bundles, delivered, rejected, breaking_plan) FROM waybill.event_quality"))
}
