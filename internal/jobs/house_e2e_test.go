package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/devpg/pgtest"
)

// house is one database, one fake Amplitude and any number of workers between them.
type house struct {
	db   *pgtest.DB
	pool *pgxpool.Pool
	fake *amplitudetest.Fake
}

const patience = 60 * time.Second

func newHouse(t *testing.T, cfg amplitudetest.Config) *house {
	t.Helper()
	db := pgtest.New(t)
	return &house{db: db, pool: db.Pool(t), fake: amplitudetest.Start(t, cfg)}
}

// sender is a client for the fake.
func (h *house) sender(t *testing.T) Sender {
	t.Helper()
	client, err := amplitude.New(amplitude.Config{APIKey: "live-key", Endpoint: h.fake.URL, API: amplitude.Batch, Timeout: 5 * time.Second})
	require.NoError(t, err)
	return client
}

// enqueue puts bundles in, each one given as JSON, and returns their ids.
func (h *house) enqueue(t *testing.T, bundles ...string) []int64 {
	t.Helper()
	rows, err := h.pool.Query(t.Context(), "SELECT bundle_id FROM waybill.enqueue($1::text::jsonb)", "["+strings.Join(bundles, ",")+"]")
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	return ids
}

func (h *house) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := h.pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func ask[T any](t *testing.T, h *house, sql string, args ...any) T {
	t.Helper()
	var value T
	require.NoError(t, h.pool.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

// outcome is a bundle's, "" while it has none.
func (h *house) outcome(t *testing.T, id int64) (outcome, reason string) {
	t.Helper()
	err := h.pool.QueryRow(t.Context(), "SELECT coalesce(outcome, ''), coalesce(reason, '') FROM waybill.job WHERE bundle_id = $1", id).Scan(&outcome, &reason)
	require.NoError(t, err)
	return outcome, reason
}

// ledger counts bundles by outcome, "waiting" for those without one.
func (h *house) ledger(t *testing.T) map[string]int {
	t.Helper()
	rows, err := h.pool.Query(t.Context(), "SELECT coalesce(outcome, 'waiting'), count(*)::int FROM waybill.job GROUP BY 1")
	require.NoError(t, err)
	counts := map[string]int{}
	var outcome string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&outcome, &n}, func() error { counts[outcome] = n; return nil })
	require.NoError(t, err)
	return counts
}

// tally is a Meter that tests wait on.
type tally struct {
	mu         sync.Mutex
	outcomes   map[string]int
	waiting    map[string]int
	requests   map[string]int
	violations map[string]int
	elided     int
	rescued    int
	changed    chan struct{}
}

func newTally() *tally {
	return &tally{outcomes: map[string]int{}, waiting: map[string]int{}, requests: map[string]int{}, violations: map[string]int{}, changed: make(chan struct{})}
}

func (m *tally) note(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *tally) Request(verdict string, _, _ int, _ time.Duration) {
	m.note(func() { m.requests[verdict]++ })
}
func (m *tally) Outcome(outcome string, _ time.Duration) { m.note(func() { m.outcomes[outcome]++ }) }
func (m *tally) Events(_, elided, _ int)                 { m.note(func() { m.elided += elided }) }
func (m *tally) Waiting(reason string, n int)            { m.note(func() { m.waiting[reason] += n }) }
func (m *tally) Violations(mode string, n int)           { m.note(func() { m.violations[mode] += n }) }
func (m *tally) Rescued(_, bundles int)                  { m.note(func() { m.rescued += 1 + bundles }) }

// until waits for a condition on the counts.
func (m *tally) until(t *testing.T, what string, condition func(m *tally) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		done, changed := condition(m), m.changed
		m.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			m.mu.Lock()
			defer m.mu.Unlock()
			t.Fatalf("waited in vain for %s: outcomes %v, waiting %v, requests %v", what, m.outcomes, m.waiting, m.requests)
		}
	}
}

func (m *tally) untilOutcomes(t *testing.T, n int) {
	t.Helper()
	m.until(t, fmt.Sprintf("%d outcomes", n), func(m *tally) bool {
		var sum int
		for _, count := range m.outcomes {
			sum += count
		}
		return sum >= n
	})
}

// runner makes a worker; change alters its configuration.
func (h *house) runner(t *testing.T, change ...func(*Config)) (*Runner, *tally) {
	t.Helper()
	meter := newTally()
	cfg := Config{
		Pool:        h.db.Pool(t, func(cfg *pgxpool.Config) { cfg.MaxConns = 12 }),
		Sender:      h.sender(t),
		Mode:        Deliver,
		Destination: "test",
		Logger:      slog.New(slog.NewTextHandler(testWriter{t}, nil)),
		Meter:       meter,
		Concurrency: 500,
	}
	for _, c := range change {
		c(&cfg)
	}
	r, err := New(cfg)
	require.NoError(t, err)
	return r, meter
}

// start runs a worker until the test ends or stop is called.
func (h *house) start(t *testing.T, change ...func(*Config)) (r *Runner, meter *tally, stop func()) {
	t.Helper()
	r, meter = h.runner(t, change...)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(30 * time.Second):
			t.Error("the worker did not stop within 30 s")
		}
	})
	t.Cleanup(stop)
	return r, meter, stop
}

// once drains what is due.
func (h *house) once(t *testing.T, change ...func(*Config)) *tally {
	t.Helper()
	r, meter := h.runner(t, change...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, r.RunOnce(ctx))
	require.NoError(t, ctx.Err(), "it did not drain in time")
	return meter
}

// testWriter sends a worker's log to the test's.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// lockedBuffer is written by workers and read by tests.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var _ io.Writer = (*lockedBuffer)(nil)

// senderFunc is a Sender made of a function.
type senderFunc func(ctx context.Context, events []json.RawMessage) amplitude.Answer

func (f senderFunc) Upload(ctx context.Context, events []json.RawMessage) amplitude.Answer {
	return f(ctx, events)
}

func (senderFunc) Limits() amplitude.Limits {
	return amplitude.Limits{MaxEvents: 2000, MaxBytes: 20 << 20, ThrottlePause: time.Second}
}
