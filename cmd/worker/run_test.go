package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/devpg/pgtest"
	"waybill/internal/ops"
	"waybill/migrations"
)

// live is the environment of a production worker that sends to a fake.
func live(url, endpoint string, more ...string) []string {
	return on(url, append([]string{"ANALYTICS_ENV=production", "AMPLITUDE_API_KEY=" + canary, "AMPLITUDE_ENDPOINT=" + endpoint}, more...)...)
}

var web = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := web.Get(url)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// eventually asks again until the answer is right.
func eventually(t *testing.T, right func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	enough := time.After(patience)
	for !right() {
		select {
		case <-tick.C:
		case <-enough:
			t.Fatal("it did not happen")
		}
	}
}

func TestRunDeliversUntilItIsTold(t *testing.T) {
	t.Parallel()
	db, fake := pgtest.New(t), amplitudetest.Start(t, amplitudetest.Config{})
	b := start(t, live(db.URL, fake.URL))
	base := b.base(t)
	enqueue(t, db, "order:1")

	eventually(t, func() bool { return fake.Total() == 1 })
	eventually(t, func() bool {
		return ask[int](t, db, "SELECT count(*) FROM waybill.delivery WHERE outcome = 'delivered'") == 1
	})
	status, body := fetch(t, base+"/readyz")
	require.Equal(t, http.StatusOK, status, body)
	_, metrics := fetch(t, base+"/metrics")
	require.Contains(t, metrics, `waybill_requests_total{verdict="delivered"} 1`)
	require.Contains(t, metrics, `waybill_build_info{`)
	require.Contains(t, metrics, "waybill_workers 1")

	b.stop()
	require.Equal(t, exitOK, <-b.code)
	require.NotContains(t, b.stderr.String()+b.stdout.String()+metrics+body, canary)
	require.Contains(t, b.stderr.String(), `"msg":"stopped"`)
}

func TestRunOnceInDebugPrintsEventsAndEnds(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	enqueue(t, db, "order:1")

	got := invoke(t, on(db.URL), "run", "--once")

	require.Equal(t, exitOK, got.code, got.stderr)
	event := decode[map[string]any](t, strings.TrimSpace(got.stdout))
	require.Equal(t, "Order_Completed", event["event_type"])
	require.NotContains(t, got.stderr, "listening for operators", "a cron job takes no port")
	fate := decode[ops.Bundle](t, invoke(t, on(db.URL), "status", "--key", "order:1", "--json").stdout)
	require.Equal(t, "skipped", fate.Outcome)
	require.Contains(t, *fate.Reason, "AMPLITUDE_SANDBOX_API_KEY is not set")
}

func TestRunOnHoldFetchesNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	enqueue(t, db, "order:1")
	environ := on(db.URL, "ANALYTICS_ENV=production")
	b := start(t, environ)
	base := b.base(t)

	b.stderr.until(t, "on hold; nothing is fetched")
	require.Contains(t, b.stderr.String(), `"waiting":1`)
	status, body := fetch(t, base+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "AMPLITUDE_API_KEY is not set; 1 bundle waiting")
	alive, _ := fetch(t, base+"/healthz")
	require.Equal(t, http.StatusOK, alive)
	require.Equal(t, 1, ask[int](t, db, "SELECT count(*) FROM waybill.river_job WHERE state = 'available' AND attempt = 0"))
	require.Zero(t, ask[int](t, db, "SELECT count(*) FROM waybill.worker"))

	b.stop()
	require.Equal(t, exitOK, <-b.code)
	require.Equal(t, exitUnhealthy, invoke(t, environ, "run", "--once").code, "a cron job on hold is worth a mail")
}

// A pod starts before its database and before the pod that migrates it.
func TestRunAnswersBeforeTheDatabaseIsReady(t *testing.T) {
	t.Parallel()
	db, fake := pgtest.Blank(t), amplitudetest.Start(t, amplitudetest.Config{})
	began := time.Now()
	b := start(t, live(db.URL, fake.URL))
	base := b.base(t)
	status, body := fetch(t, base+"/readyz")
	require.Less(t, time.Since(began), 4*time.Second)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "run: worker migrate")
	b.stderr.until(t, "waiting up to a minute for worker migrate")

	require.Equal(t, exitOK, invoke(t, on(db.URL), "migrate").code)
	eventually(t, func() bool {
		status, _ := fetch(t, base+"/readyz")
		return status == http.StatusOK
	})
	enqueue(t, db, "order:1")
	eventually(t, func() bool { return fake.Total() == 1 })
}

func TestRunWaitsForADatabaseThatIsAwayAndLeavesWhenTold(t *testing.T) {
	t.Parallel()
	b := start(t, on(unreachable))
	base := b.base(t)
	b.stderr.until(t, "waiting for the database")
	status, _ := fetch(t, base+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	b.stop()
	require.Equal(t, exitOK, <-b.code)
	require.NotContains(t, b.stderr.String(), canary)
}

func TestRunRefusesADatabaseOfANewerWorker(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	exec1(t, db, "INSERT INTO waybill.migration (version, name, readable_by) VALUES (99, 'future', 99)")
	got := invoke(t, on(db.URL), "run")
	require.Equal(t, exitDatabase, got.code)
	require.Contains(t, got.stderr, migrations.ErrNewer.Error())
}

func TestRunEndsWhenItsServerCannotListen(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	got := invoke(t, []string{"DATABASE_URL=" + unreachable, "ANALYTICS_HTTP_ADDR=" + taken.Addr().String()})
	require.Equal(t, exitRuntime, got.code)
	require.Contains(t, got.stderr, "set ANALYTICS_HTTP_ADDR to a free host:port")
}

func TestTheDecisionIsLoggedOnceWithoutTheKey(t *testing.T) {
	t.Parallel()
	b := start(t, live(unreachable, "http://127.0.0.1:1"))
	b.base(t)
	first, _, _ := strings.Cut(b.stderr.String(), "\n")
	entry := decode[map[string]any](t, first)
	require.Equal(t, "starting", entry["msg"])
	decision := entry["decision"].(map[string]any)
	require.Equal(t, "deliver", decision["mode"])
	require.Equal(t, "live", decision["destination"])
	require.Equal(t, "postgres://u@127.0.0.1:1/d", entry["database"])
	require.NotContains(t, b.stderr.String(), canary)
}

func TestLogFormat(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format   string
		terminal bool
		want     string
	}{
		{"json", true, `"msg":"hello"`}, {"text", false, "msg=hello"}, {"auto", true, "msg=hello"}, {"auto", false, `"msg":"hello"`},
	} {
		var out strings.Builder
		newLogger(test.format, &out, test.terminal).Info("hello")
		require.Contains(t, out.String(), test.want)
	}
}
