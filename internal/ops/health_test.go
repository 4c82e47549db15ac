package ops

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/jobs"
	"waybill/internal/settings"
)

var (
	delivering = settings.Decision{Mode: settings.ModeDeliver, Destination: settings.DestinationLive, Reason: "ANALYTICS_ENV is production"}
	holding    = settings.Decision{Mode: settings.ModeHold, Destination: settings.DestinationNone, Reason: "ANALYTICS_ENV is production, but AMPLITUDE_API_KEY is not set"}
)

// working is a loop in good order.
func working() jobs.State {
	return jobs.State{WorkerID: "w-1", LastBeat: time.Now(), Lane: jobs.LaneState{Open: true}}
}

// serve runs a server on a free port of the loopback and returns its base URL.
func serve(t *testing.T, change func(*ServerConfig)) string {
	t.Helper()
	cfg := ServerConfig{
		Addr: "127.0.0.1:0", Decision: delivering, State: working,
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	}
	change(&cfg)
	if cfg.Pool == nil {
		cfg.Pool = pgtest.New(t).Pool(t)
	}
	s := NewServer(cfg)
	require.NoError(t, s.Listen(t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(s.Addr().String())
	require.NoError(t, err)
	return "http://127.0.0.1:" + port
}

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func readyz(t *testing.T, base string) (int, Readiness, map[string]ReadinessCheck) {
	t.Helper()
	status, body := get(t, base+"/readyz")
	var r Readiness
	require.NoError(t, json.Unmarshal([]byte(body), &r), body)
	byName := map[string]ReadinessCheck{}
	for _, c := range r.Checks {
		byName[c.Name] = c
	}
	return status, r, byName
}

func TestReadyWhenAllIsWell(t *testing.T) {
	t.Parallel()
	status, r, checks := readyz(t, serve(t, func(*ServerConfig) {}))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ready", r.Status)
	require.Len(t, checks, 5)
	for _, c := range checks {
		require.Equal(t, "ok", c.Status, c.Name)
	}
}

func TestReadinessNamesTheFailingCheck(t *testing.T) {
	t.Parallel()
	with := func(change func(*jobs.State)) func(*ServerConfig) {
		return func(c *ServerConfig) {
			c.State = func() jobs.State {
				s := working()
				change(&s)
				return s
			}
		}
	}
	for name, test := range map[string]struct {
		change        func(*ServerConfig)
		check, detail string
	}{
		"key refused": {with(func(s *jobs.State) {
			s.Lane = jobs.LaneState{Reason: "key_refused", Detail: "Invalid API key"}
		}), "lane", "closed: key_refused: Invalid API key"},
		"wrong endpoint": {with(func(s *jobs.State) { s.Lane = jobs.LaneState{Reason: "wrong_endpoint"} }), "lane", "wrong_endpoint"},
		"draining":       {with(func(s *jobs.State) { s.Draining = true }), "draining", "stopping"},
		"not started":    {with(func(s *jobs.State) { s.LastBeat = time.Time{} }), "heartbeat", "not started"},
		"no heartbeat":   {with(func(s *jobs.State) { s.LastBeat = time.Now().Add(-11 * time.Second) }), "heartbeat", "11 s ago"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, test.change)
			status, r, checks := readyz(t, base)
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Equal(t, "unready", r.Status)
			for _, c := range checks {
				require.Equal(t, c.Name == test.check, c.Status == "fail", "%s: %s", c.Name, c.Detail)
			}
			require.Contains(t, checks[test.check].Detail, test.detail)
			alive, _ := get(t, base+"/healthz")
			require.Equal(t, http.StatusOK, alive, "an unready worker still lives")
		})
	}
}

// Restarting a worker does not mend Amplitude.
func TestReadyWhileAmplitudeIsDown(t *testing.T) {
	t.Parallel()
	status, _, checks := readyz(t, serve(t, func(c *ServerConfig) {
		c.State = func() jobs.State {
			s := working()
			s.Lane = jobs.LaneState{Reason: "unavailable", Detail: "503"}
			s.LastBeat = time.Now().Add(-9 * time.Second)
			return s
		}
	}))
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, checks["lane"].Detail, "closed: unavailable")
}

func TestUnreadyOnHoldSaysWhyAndHowManyWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.enqueue(keys("a", 12)...)
	status, _, checks := readyz(t, serve(t, func(c *ServerConfig) {
		c.Decision, c.Pool = holding, f.pool
		c.State = func() jobs.State { return jobs.State{} } // there is no loop
	}))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "hold: ANALYTICS_ENV is production, but AMPLITUDE_API_KEY is not set; 12 bundles waiting", checks["mode"].Detail)
	require.Equal(t, "ok", checks["database"].Status)
	require.Len(t, checks, 2)
}

func TestUnreadyWithoutAUsableDatabase(t *testing.T) {
	t.Parallel()
	unreachable := func(t *testing.T) *pgxpool.Pool {
		t.Helper()
		config, err := pgxpool.ParseConfig("postgres://secret-user:secret-password@127.0.0.1:1/secret_db")
		require.NoError(t, err)
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	readOnly := func(t *testing.T) *pgxpool.Pool {
		t.Helper()
		return pgtest.New(t).Pool(t, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on" })
	}
	newer := func(t *testing.T) *pgxpool.Pool {
		t.Helper()
		f := newFixture(t)
		f.exec("INSERT INTO waybill.migration (version, name, readable_by) VALUES (99, 'future', 99)")
		return f.pool
	}
	forbidden := func(t *testing.T) *pgxpool.Pool {
		t.Helper()
		return newFixture(t).as("waybill_producer")
	}
	blank := func(t *testing.T) *pgxpool.Pool {
		t.Helper()
		return pgtest.Blank(t).Pool(t)
	}

	for name, test := range map[string]struct {
		pool   func(*testing.T) *pgxpool.Pool
		detail string
	}{
		"away":       {unreachable, "cannot be reached"},
		"unmigrated": {blank, "worker migrate"},
		"newer":      {newer, "upgrade this binary"},
		"read-only":  {readOnly, "read-only"},
		"no rights":  {forbidden, "SQLSTATE 42501"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			status, _, checks := readyz(t, serve(t, func(c *ServerConfig) { c.Pool = test.pool(t) }))
			require.Less(t, time.Since(began), 4*time.Second)
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Equal(t, "fail", checks["database"].Status)
			require.Contains(t, checks["database"].Detail, test.detail)
			require.NotContains(t, checks["database"].Detail, "secret", "anybody may read this")
		})
	}
}

// A database that accepts connections and never answers must not hold a probe up.
func TestReadinessAnswersWhileTheDatabaseIsSilent(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, silent.Close()) })
	config, err := pgxpool.ParseConfig("postgres://u@" + silent.Addr().String() + "/d?sslmode=disable")
	require.NoError(t, err)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	base := serve(t, func(c *ServerConfig) { c.Pool, c.Decision = pool, holding })

	began := time.Now()
	status, _, checks := readyz(t, base)
	require.Less(t, time.Since(began), 2500*time.Millisecond)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, checks["database"].Detail, "did not answer in time")
	require.Contains(t, checks["mode"].Detail, "how many bundles wait is not known")

	began = time.Now()
	status, body := get(t, base+"/metrics")
	require.Less(t, time.Since(began), time.Second, "a scrape waits a moment only")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "waybill_queue_readable 0")
	require.NotContains(t, body, "waybill_queue_jobs", "no number is better than a wrong one")
}

func TestProbeKnowsAReadOnlyServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.NoError(t, Probe(t.Context(), f.pool))
	readOnly := f.db.Pool(t, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on" })
	require.ErrorIs(t, Probe(t.Context(), readOnly), ErrReadOnly)
}
