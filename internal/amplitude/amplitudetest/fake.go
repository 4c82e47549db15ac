// Package amplitudetest is a fake Amplitude for tests, demos and local development.
//
// It enforces what the public documents promise and what the field reports: all-or-nothing requests, the seven-day
// memory of insert_ids, limits, throttles, property state. Where the documents leave a doubt it refuses, so that
// what passes here means something. It misbehaves on demand (Fault, Rule), and it answers questions about what
// arrived, to Go (Fake's methods) and to other processes (HTTP below /_fake/).
//
// Everything is kept in memory, within bounds. Nothing runs between requests: what is due later happens at the next
// request or question after its time has come.
package amplitudetest

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config is how a Fake behaves. The zero value is strict and faithful, and accepts any API key.
type Config struct {
	// APIKeys are the ingestion keys of the projects that exist. Empty: every non-empty key is a project.
	APIKeys []string
	// SecretKey is asked for by the read and deletion APIs. Empty: any non-empty secret will do.
	SecretKey string
	// Now is the clock. Nil means time.Now. Advance moves the fake ahead of it.
	Now func() time.Time
	// Seed makes the draws of probable faults repeatable.
	Seed uint64
	// Latency delays every ingestion answer, in real time.
	Latency time.Duration

	// DedupByInsertIDOnly ignores the device: the wording of the Batch page. Without it insert_id and device_id
	// must both match: the wording of the HTTP V2 page.
	DedupByInsertIDOnly bool
	// DedupByEventID also drops events that repeat event_id, time and device_id.
	DedupByEventID bool
	// FirstIndexOnly names only the first offender of each kind in a 400: the wording of the HTTP V2 page. Without
	// it all are named: the wording of the Batch page.
	FirstIndexOnly bool
	// ReorderIdentify lets an $identify without device_id take effect after the other events of its request on
	// /2/httpapi: the documented race.
	ReorderIdentify bool

	// MaxEvents bounds the events of a request. 0 means 2,000.
	MaxEvents int
	// MaxBytes bounds the JSON of a request after gunzip. 0 means 20,000,000 on /batch, 1,000,000 elsewhere.
	MaxBytes int
	// EPS is the events per second that one user or device may average over 30 seconds. 0 means 1,000 on /batch
	// and 30 on /2/httpapi; -1 means no throttle.
	EPS int
	// DailyQuota is the number of events that one user or device may send in 24 hours. Amplitude applies 500,000 to
	// ids that it has marked as spam; here any number applies to all ids, and 0 to none.
	DailyQuota int
	// ProjectEPS bounds the events that a project may send within one second. 0 means no bound.
	ProjectEPS int
	// PropertyUpdates bounds the user property updates that count within an hour and user. 0 means 1,800.
	PropertyUpdates int

	// TimeZone is the project's, for the days of the segmentation API. Nil means UTC.
	TimeZone *time.Location
	// CountsOnly keeps counts and insert_ids, but no events and no properties: for benchmarks.
	CountsOnly bool
	// KeepEvents and KeepRequests bound the newest events and requests kept for questions. 0 means 100,000 and 10,000.
	KeepEvents, KeepRequests int
	// KeepIDs bounds the insert_ids, users, devices and groups that are remembered. A fake that is full answers 503:
	// it never forgets one silently. 0 means 10,000,000.
	KeepIDs int

	// OnRequest decides the fault of each ingestion request before any Rule does: n counts from 1, events are those
	// of the request, none when it cannot be read. The zero Fault means none.
	OnRequest func(n int, events []Event) Fault
	// Log receives one line per ingestion request, without the key. Nil: none.
	Log *slog.Logger
}

// Fake is one Amplitude. It is an http.Handler, safe for concurrent use.
type Fake struct {
	// URL is the base address, set by Start.
	URL string

	cfg  Config
	mux  *http.ServeMux
	done chan struct{} // closed by Close: ends answers that wait or trickle

	closeOnce sync.Once

	mu     sync.Mutex // guards what follows
	offset time.Duration
	state  *state
	rules  []*activeRule
	random *rand.Rand
}

// New is a Fake that is not listening.
func New(cfg Config) *Fake {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.MaxEvents = cmp.Or(cfg.MaxEvents, 2_000)
	cfg.PropertyUpdates = cmp.Or(cfg.PropertyUpdates, 1_800)
	cfg.TimeZone = cmp.Or(cfg.TimeZone, time.UTC)
	cfg.KeepEvents = cmp.Or(cfg.KeepEvents, 100_000)
	cfg.KeepRequests = cmp.Or(cfg.KeepRequests, 10_000)
	cfg.KeepIDs = cmp.Or(cfg.KeepIDs, 10_000_000)

	f := &Fake{cfg: cfg, mux: http.NewServeMux(), done: make(chan struct{})}
	f.Reset()
	f.routes()
	return f
}

func (f *Fake) routes() {
	f.mux.HandleFunc("/batch", func(w http.ResponseWriter, r *http.Request) { f.ingest(w, r, batchAPI) })
	f.mux.HandleFunc("/2/httpapi", func(w http.ResponseWriter, r *http.Request) { f.ingest(w, r, httpAPI) })
	f.mux.HandleFunc("/batch/", invalidPath)
	f.mux.HandleFunc("/2/", invalidPath)
	f.mux.HandleFunc("/identify", f.identify)
	f.mux.HandleFunc("/groupidentify", f.groupIdentify)
	f.mux.HandleFunc("GET /api/2/events/segmentation", f.segmentation)
	f.mux.HandleFunc("GET /api/2/export", f.export)
	f.mux.HandleFunc("POST /api/2/deletions/users", f.deleteUsers)
	f.controlRoutes()
}

// ServeHTTP answers like Amplitude's hosts, ingestion and analytics on one address.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

// Close ends the answers that still wait or trickle. It does not close listeners: those who open them do.
func (f *Fake) Close() { f.closeOnce.Do(func() { close(f.done) }) }

// Advance moves the fake's clock ahead.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset += d
}

// now is the fake's time. The caller holds the lock.
func (f *Fake) now() time.Time { return f.cfg.Now().Add(f.offset) }

// Reset forgets everything that arrived, all rules, silenced devices and blocked event types. The clock stays.
func (f *Fake) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = newState(f.cfg)
	f.rules = nil
	f.random = rand.New(rand.NewPCG(f.cfg.Seed, 0))
}

// TB is the part of testing.TB that Start uses, so that programs can link this package without testing.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start runs a Fake on a free loopback port until the test ends.
func Start(tb TB, cfg Config) *Fake {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("fake Amplitude: listen on loopback: %v", err)
		return nil
	}
	f := New(cfg)
	f.URL = "http://" + listener.Addr().String()

	server := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = server.Serve(listener)
	}()
	tb.Cleanup(func() {
		f.Close()
		_ = server.Close()
		<-stopped
	})
	return f
}
