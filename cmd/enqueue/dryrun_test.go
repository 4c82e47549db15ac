package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// dryRun runs the program without a database, at a fixed time.
func dryRun(t *testing.T, env []string, stdin string, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &program{
		stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, env: env,
		now: func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 123e6, time.UTC) },
	}
	code := p.run(t.Context(), append(args, "--dry-run"))
	fits(t, stderr.String())
	return ran{code, stdout.String(), stderr.String()}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestADryRunPrintsAmplitudesRequest(t *testing.T) {
	t.Parallel()
	got := dryRun(t, []string{"AMPLITUDE_REGION=eu", "ANALYTICS_ENV=staging", "AMPLITUDE_SANDBOX_API_KEY=5ecre7"}, "",
		"--key", "order:8412:completed", "--user", "usr_42", "--event", "Order_Completed", "--at", "2026-11-22T10:15:00.123Z",
		"--prop", "total_cents=1299", "--set", "plan=pro", "--set-once", "signup_date=2026-01-01", "--increment", "orders_total=1",
		"--group", "account=acc_1", "--group", "workspace=ws_7", "--revenue", "12.99", "--currency", "EUR")
	require.Equal(t, exitOK, got.code)
	require.Equal(t, "dry run: nothing is sent. POST https://api.eu.amplitude.com/batch\n", got.stderr)
	require.NotContains(t, got.stdout, "5ecre7")
	golden(t, "dryrun.json", got.stdout)
}

// requests decodes what a dry run printed.
func decodeRequests(t *testing.T, stdout string) []map[string]any {
	t.Helper()
	var requests []map[string]any
	for in := json.NewDecoder(strings.NewReader(stdout)); ; {
		var request map[string]any
		err := in.Decode(&request)
		if err == io.EOF {
			return requests
		}
		require.NoError(t, err)
		requests = append(requests, request)
	}
}

func TestADryRunOfAFileChecksEveryLine(t *testing.T) {
	t.Parallel()
	lines := orders(700)
	lines[1], lines[650] = "", "{broken"
	path := file(t, text(lines))

	got := dryRun(t, nil, "", path)
	require.Equal(t, exitFailed, got.code)
	requests := decodeRequests(t, got.stdout)
	require.Len(t, requests, 5)
	for i, line := range []float64{1, 3, 4, 5, 6} {
		event := requests[i]["events"].([]any)[0].(map[string]any)
		require.Equal(t, line, event["event_id"], "the line stands in for the bundle's id")
		require.Equal(t, 1795348800123.0, event["time"], "no occurred_at: the time of the call")
		require.NotContains(t, requests[i], "api_key")
	}
	require.Contains(t, got.stderr, "line 651 refused")
	require.Contains(t, got.stderr, "  valid           698\n  duplicate         0\n  rejected          1\n  blank             1\n")

	require.Len(t, decodeRequests(t, dryRun(t, nil, "", path, "--all").stdout), 698)

	summary := objects(t, dryRun(t, nil, text(lines), "-", "--json").stdout)
	require.Len(t, summary, 1, "with --json standard output is the summary alone")
	require.Equal(t, 698.0, summary[0]["valid"])
	require.Equal(t, true, summary[0]["dry_run"])
}

// A key names one action, and the second line that has it would change nothing.
func TestADryRunFindsKeysThatStandTwiceInAFile(t *testing.T) {
	t.Parallel()
	lines := orders(700) // more than one batch
	lines[1], lines[699] = lines[0], lines[0]

	got := dryRun(t, nil, text(lines), "-", "--all")

	require.Equal(t, exitOK, got.code)
	require.Len(t, decodeRequests(t, got.stdout), 698)
	require.Contains(t, got.stderr, "  valid           698\n  duplicate         2\n")
}

func TestADryRunFollowsTheWorkersSettings(t *testing.T) {
	t.Parallel()
	args := []string{"--key", "k", "--user", "u", "--event", "E", "--group", "account=acc_1"}
	got := dryRun(t, []string{"AMPLITUDE_API=http", "AMPLITUDE_ENDPOINT=http://127.0.0.1:9", "ANALYTICS_INSTANCE_LEVEL=true"}, "", args...)
	require.Equal(t, exitOK, got.code)
	require.Contains(t, got.stderr, "POST http://127.0.0.1:9/2/httpapi\n")
	for _, event := range decodeRequests(t, got.stdout)[0]["events"].([]any) {
		require.Equal(t, "acc_1", event.(map[string]any)["user_id"])
	}
}
