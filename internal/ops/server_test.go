package ops

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/settings"
)

const token = "token-canary-77aa"

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	local := func(*ServerConfig) {}
	localToken := func(c *ServerConfig) { c.Token = settings.NewSecret(token) }
	public := func(c *ServerConfig) { c.Addr = "0.0.0.0:0" }
	publicToken := func(c *ServerConfig) { c.Addr, c.Token = "0.0.0.0:0", settings.NewSecret(token) }
	bearer := []string{"Authorization", "Bearer " + token}

	for name, test := range map[string]struct {
		change func(*ServerConfig)
		path   string
		header []string
		want   int
	}{
		"local page":                   {local, "/", nil, 200},
		"local page with token":        {localToken, "/", nil, 401},
		"local page with wrong token":  {localToken, "/", []string{"Authorization", "Bearer x"}, 401},
		"local page with right token":  {localToken, "/", bearer, 200},
		"local unknown page":           {local, "/nothing", nil, 404},
		"public page":                  {public, "/", nil, 403},
		"public unknown page":          {public, "/nothing", nil, 403},
		"public health":                {public, "/healthz", nil, 200},
		"public readiness":             {public, "/readyz", nil, 200},
		"public metrics":               {public, "/metrics", nil, 200},
		"public page, token not sent":  {publicToken, "/", nil, 401},
		"public page, token sent":      {publicToken, "/", bearer, 200},
		"public page, token as basic":  {publicToken, "/", []string{"Authorization", "Basic " + token}, 401},
		"public page, token alone":     {publicToken, "/", []string{"Authorization", token}, 401},
		"public health needs no token": {publicToken, "/healthz", nil, 200},
		"a path that only looks open":  {publicToken, "/healthz/..%2f", nil, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body := get(t, serve(t, test.change)+test.path, test.header...)
			require.Equal(t, test.want, status, body)
			require.NotContains(t, body, token)
			if status == http.StatusForbidden {
				require.Contains(t, body, "Set ANALYTICS_UI_TOKEN")
			}
		})
	}
}

func TestPagesCannotBeFramedOrSniffed(t *testing.T) {
	t.Parallel()
	resp, err := client.Get(serve(t, func(*ServerConfig) {}) + "/")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	require.Contains(t, resp.Header.Get("Content-Type"), "text/html")
}

func TestOnlyReadingIsOffered(t *testing.T) {
	t.Parallel()
	base := serve(t, func(*ServerConfig) {})
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/nothing"} {
		resp, err := client.Post(base+path, "text/plain", nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode, path)
	}
}

func TestATakenAddressIsSaidWithTheFix(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	s := NewServer(ServerConfig{
		Addr: taken.Addr().String(), Decision: delivering, State: working, Pool: pgtest.New(t).Pool(t),
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	require.ErrorContains(t, s.Listen(t.Context()), "set ANALYTICS_HTTP_ADDR to a free host:port")
}

// TestATakenDefaultIsNoReasonNotToDrain is for the second worker on a machine whose
// address nobody chose.
func TestATakenDefaultIsNoReasonNotToDrain(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	server := NewServer(ServerConfig{
		AnyPort: true, Addr: taken.Addr().String(), Decision: delivering, State: working, Pool: pgtest.New(t).Pool(t),
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, server.Listen(t.Context()))
	require.NotEqual(t, taken.Addr().String(), server.Addr().String())

	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, server.Run(ctx))
}

func TestASecondWorkerTakesAnotherPortWhereNobodyChoseOne(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	base := serve(t, func(c *ServerConfig) { c.Addr, c.AnyPort = taken.Addr().String(), true })
	require.NotContains(t, base, taken.Addr().String())
	status, _ := get(t, base+"/healthz")
	require.Equal(t, http.StatusOK, status)
}

func TestServerHasEveryTimeout(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerConfig{
		Pool: pgtest.New(t).Pool(t), State: working, Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NotZero(t, s.http.ReadHeaderTimeout)
	require.NotZero(t, s.http.ReadTimeout)
	require.NotZero(t, s.http.WriteTimeout)
	require.NotZero(t, s.http.IdleTimeout)
	require.NotZero(t, s.http.MaxHeaderBytes)
}

func TestServerReportsThatItEndedByItself(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerConfig{
		Addr: "127.0.0.1:0", Pool: pgtest.New(t).Pool(t), State: working,
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, s.Listen(t.Context()))
	require.NoError(t, s.listener.Close())
	require.ErrorContains(t, s.Run(context.Background()), "serve operators")
}
