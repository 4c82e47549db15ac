package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/devpg/pgtest"
)

// secrets is an environment in which everything secret can be recognised.
func secrets(url, endpoint string) []string {
	return on(url,
		"ANALYTICS_ENV=production", "AMPLITUDE_ENDPOINT="+endpoint,
		"AMPLITUDE_API_KEY=live-"+canary, "AMPLITUDE_SANDBOX_API_KEY=sandbox-"+canary, "AMPLITUDE_SECRET_KEY=secret-"+canary,
		"ANALYTICS_HASH_KEY=hash-"+canary, "ANALYTICS_UI_TOKEN=token-"+canary)
}

func TestNoCommandPrintsASecret(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	settled(t, db, "order:1", "rejected", "unknown event")
	fake := amplitudetest.Start(t, amplitudetest.Config{})
	commands := []string{
		"-h", "run -h", "version", "run --once", "status", "status --json", "status --key order:1", "status --key order:2",
		"doctor", "doctor --json", "retry --dry-run", "retry --yes --json", "resolve --resend --dry-run",
		"migrate --print", "migrate --print-grants", "migrate", "migrate --down 1", "frobnicate",
	}
	for name, environ := range map[string][]string{
		"all is well":    secrets(db.URL, fake.URL),
		"wrong setting":  append(secrets(db.URL, fake.URL), "ANALYTICS_MOOD="+canary),
		"wrong endpoint": secrets(db.URL, "https://user:"+canary+"@amplitude.example"),
		"secrets mixed up": on(db.URL, "ANALYTICS_ENV="+canary, "ANALYTICS_MODE="+canary, "AMPLITUDE_REGION="+canary,
			"ANALYTICS_HTTP_ADDR="+canary, "ANALYTICS_CONCURRENCY="+canary, "ANALYTICS_LOG_FORMAT="+canary),
	} {
		for _, command := range commands {
			got := invoke(t, environ, strings.Fields(command)...)
			require.NotContains(t, got.stdout+got.stderr, canary, "%s: worker %s", name, command)
		}
	}
	// Commands that connect to a database whose URL holds the password.
	for _, command := range []string{"status", "doctor", "doctor --json", "retry", "resolve --resend", "migrate"} {
		got := invoke(t, secrets(unreachable, fake.URL), strings.Fields(command)...)
		require.NotContains(t, got.stdout+got.stderr, canary, "worker %s", command)
	}
}

func TestARefusedKeyIsNamedAndNotShown(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	fake := amplitudetest.Start(t, amplitudetest.Config{APIKeys: []string{"another"}})
	b := start(t, secrets(db.URL, fake.URL))
	base := b.base(t)
	enqueue(t, db, "order:1")

	var body string
	eventually(t, func() bool {
		var status int
		status, body = fetch(t, base+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "key_refused")
	})
	_, metrics := fetch(t, base+"/metrics")
	require.Contains(t, metrics, `waybill_lane_closed{reason="key_refused"} 1`)
	var doctor outcome
	eventually(t, func() bool { // the worker tells of its lane with its next heartbeat
		doctor = invoke(t, on(db.URL), "doctor")
		return strings.Contains(doctor.stdout, "key_refused")
	})
	require.Equal(t, exitUnhealthy, doctor.code)
	require.Contains(t, doctor.stdout, "check AMPLITUDE_API_KEY and AMPLITUDE_REGION")
	status := invoke(t, on(db.URL), "status")

	b.stop()
	require.Equal(t, exitOK, <-b.code)
	for _, text := range []string{body, metrics, doctor.stdout, status.stdout, b.stdout.String(), b.stderr.String()} {
		require.NotContains(t, text, canary)
	}
	require.Zero(t, ask[int](t, db, "SELECT count(*) FROM waybill.worker WHERE about::text LIKE '%' || $1 || '%'", canary))
	require.Zero(t, ask[int](t, db, "SELECT count(*) FROM waybill.river_job WHERE river_job::text LIKE '%' || $1 || '%'", canary))
}
