package ops

import (
	"context"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"waybill/internal/jobs"
	"waybill/internal/settings"
)

// ServerConfig is what a worker's HTTP needs. All fields but AnyPort and Token are required.
type ServerConfig struct {
	Addr string // host:port
	// AnyPort lets Listen take another port when Addr's is taken: for an address that
	// nobody chose, so that a second worker on a machine still drains.
	AnyPort bool
	// Token opens everything but health and metrics. Unset, that is open on the loopback
	// and closed on other addresses.
	Token settings.Secret
	// Decision is what readiness reports about.
	Decision settings.Decision
	Pool     *pgxpool.Pool
	// State is the worker's loop. It is asked from any goroutine, before the loop runs too.
	State    func() jobs.State
	Registry *prometheus.Registry // the collector of queue, worker and pool is added to it
	Logger   *slog.Logger
}

// Server is the HTTP of a worker: /healthz, /readyz, /metrics and a page that points at
// them. It needs no database to answer.
type Server struct {
	cfg      ServerConfig
	health   *health
	queue    *memo[Status]
	database *memo[struct{}]
	http     *http.Server
	listener net.Listener
}

// NewServer starts nothing and opens nothing.
func NewServer(cfg ServerConfig) *Server {
	s := &Server{cfg: cfg}
	s.queue = newMemo(func(ctx context.Context) (Status, error) {
		return ReadStatus(ctx, cfg.Pool, scrapedMost)
	}, 10*time.Second, 2*time.Second, 250*time.Millisecond)
	s.database = newMemo(func(ctx context.Context) (struct{}, error) {
		return struct{}{}, Probe(ctx, cfg.Pool)
	}, probeFresh, probeTimeout, probePatience)
	s.health = &health{decision: cfg.Decision, database: s.database, queue: s.queue, state: cfg.State}
	cfg.Registry.MustRegister(&collector{queue: s.queue, state: cfg.State, pool: cfg.Pool})
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	return s
}

// Listen takes the address, so that one that is taken is found before anything else is
// done. Requests are answered once Run runs.
func (s *Server) Listen(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.cfg.Addr)
	if host, _, split := net.SplitHostPort(s.cfg.Addr); err != nil && s.cfg.AnyPort && split == nil {
		s.cfg.Logger.WarnContext(ctx, "the default address is taken, probably by another worker here; listening on a free port",
			"addr", s.cfg.Addr, "fix", "set ANALYTICS_HTTP_ADDR for an address that is known")
		listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return fmt.Errorf("listen for operators: %w; set ANALYTICS_HTTP_ADDR to a free host:port", err)
	}
	s.listener = listener
	return nil
}

// Addr is the address that Listen took.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// shutdownTimeout is for the requests under way when Run is told to stop.
const shutdownTimeout = 2 * time.Second

// Run serves until ctx ends. It owns every goroutine of the server and returns when
// they have ended: nil after a stop.
func (s *Server) Run(ctx context.Context) error {
	asking, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	var asks sync.WaitGroup
	asks.Go(func() { s.queue.run(asking) })
	asks.Go(func() { s.database.run(asking) })
	defer asks.Wait()
	defer stopAsking()

	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		limit, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer done()
		if s.http.Shutdown(limit) != nil {
			_ = s.http.Close()
		}
	})
	err := s.http.Serve(s.listener)
	if cancel() { // it ended by itself
		return fmt.Errorf("serve operators: %w", err)
	}
	<-stopped
	return nil
}

// Waiting is the state of the queue as the metrics show it, at most 10 s old.
func (s *Server) Waiting(ctx context.Context) (Queue, error) {
	status, _, err := s.queue.get(ctx)
	return status.Queue, err
}

func (s *Server) handler() http.Handler {
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	open.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		readiness := s.health.readiness(r.Context())
		status := http.StatusOK
		if readiness.Status != "ready" {
			status = http.StatusServiceUnavailable
		}
		writeJSON(w, status, readiness)
	})
	open.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
	}))

	guarded := http.NewServeMux()
	guarded.HandleFunc("GET /{$}", indexPage)
	open.Handle("/", s.guard(guarded))
	return hardened(readOnly(open))
}

// guard lets in who may see more than health and metrics.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.cfg.Token.IsSet():
			given, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !isBearer || subtle.ConstantTimeCompare([]byte(given), []byte(s.cfg.Token.Reveal())) != 1 {
				w.Header().Set("WWW-Authenticate", `Bearer realm="waybill"`)
				http.Error(w, "This page needs the token of ANALYTICS_UI_TOKEN:\nAuthorization: Bearer <token>", http.StatusUnauthorized)
				return
			}
		case !isLoopback(s.listener.Addr()):
			http.Error(w, "This worker listens beyond its own host and has no token,\n"+
				"so only /healthz, /readyz and /metrics are served.\n"+
				"Set ANALYTICS_UI_TOKEN, or listen on 127.0.0.1.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// readOnly refuses whatever could change something: nothing here does.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Only GET is offered here.", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hardened sets the headers that keep a browser from doing more with our answers than
// showing them.
func hardened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

//go:embed index.html
var indexHTML []byte

func indexPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(indexHTML) // the reader may have gone
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the reader may have gone
}
