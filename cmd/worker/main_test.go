package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/devpg/pgtest"
)

// asWorker makes the test binary the program itself, for tests that need a process.
const asWorker = "TEST_BINARY_IS_THE_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m, pgtest.IgnoreServer())
}

// patience is for what takes milliseconds when all is well.
const patience = time.Minute

// outcome is what a run left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

// invoke runs the program to its end.
func invoke(t *testing.T, environ []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience) // a run that should end and does not
	defer cancel()
	code := run(ctx, args, environ, strings.NewReader(""), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// on is the environment of a worker on a database.
func on(url string, more ...string) []string {
	return append([]string{"DATABASE_URL=" + url, "ANALYTICS_HTTP_ADDR=127.0.0.1:0"}, more...)
}

// withParameter adds a parameter to a database URL.
func withParameter(url, parameter string) string {
	if strings.Contains(url, "?") {
		return url + "&" + parameter
	}
	return url + "?" + parameter
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(text), &value), text)
	return value
}

func requireNarrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
}

func exec1(t *testing.T, db *pgtest.DB, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func ask[T any](t *testing.T, db *pgtest.DB, sql string, args ...any) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	var value T
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

// enqueue records a bundle, as an application would.
func enqueue(t *testing.T, db *pgtest.DB, key string) {
	t.Helper()
	exec1(t, db, `SELECT waybill.enqueue(jsonb_build_object('key', $1::text, 'user_id', 'u-1', 'track', '{"event": "Order_Completed"}'::jsonb))`, key)
}

// settled records a bundle and its outcome.
func settled(t *testing.T, db *pgtest.DB, key, outcome, reason string) {
	t.Helper()
	enqueue(t, db, key)
	exec1(t, db, `
		WITH b AS (SELECT id, job_id FROM waybill.bundle WHERE action_key = $1),
		d AS (INSERT INTO waybill.delivery (bundle_id, outcome, reason) SELECT id, $2, $3 FROM b)
		UPDATE waybill.river_job AS j SET state = 'completed', finalized_at = now() FROM b WHERE j.id = b.job_id`, key, outcome, reason)
}

// buffer is a bytes.Buffer for several goroutines that tells when a text has come.
type buffer struct {
	mu     sync.Mutex
	text   bytes.Buffer
	waiter map[string]chan struct{}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.text.Write(p)
	for want, there := range b.waiter {
		if strings.Contains(b.text.String(), want) {
			close(there)
			delete(b.waiter, want)
		}
	}
	return n, err
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// until waits for a text.
func (b *buffer) until(t *testing.T, want string) {
	t.Helper()
	b.mu.Lock()
	there := make(chan struct{})
	if strings.Contains(b.text.String(), want) {
		close(there)
	} else {
		if b.waiter == nil {
			b.waiter = map[string]chan struct{}{}
		}
		b.waiter[want] = there
	}
	b.mu.Unlock()
	select {
	case <-there:
	case <-time.After(patience):
		t.Fatalf("%q did not come in:\n%s", want, b.String())
	}
}

// background is a run of the program that goes on beside the test.
type background struct {
	stdout, stderr buffer
	stop           context.CancelFunc
	code           chan int
}

func start(t *testing.T, environ []string, args ...string) *background {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &background{stop: cancel, code: make(chan int, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.code <- run(ctx, args, environ, strings.NewReader(""), &b.stdout, &b.stderr)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return b
}

// base is the URL of the run's HTTP server.
func (b *background) base(t *testing.T) string {
	t.Helper()
	b.stderr.until(t, "listening for operators")
	for line := range strings.Lines(b.stderr.String()) {
		entry := decode[map[string]any](t, line)
		if entry["msg"] == "listening for operators" {
			return "http://" + entry["addr"].(string)
		}
	}
	t.Fatal("no address in " + b.stderr.String())
	return ""
}

// process starts the program as a process of its own.
func process(t *testing.T, environ []string, args ...string) (*exec.Cmd, *buffer) {
	t.Helper()
	stderr := &buffer{}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = slices.Concat(environ, []string{asWorker + "=1", "PATH=" + os.Getenv("PATH")})
	cmd.Stderr = stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, stderr
}

// poolOf is a pool as the program configures it.
func poolOf(t *testing.T, url string, change func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	_, config, err := (&program{environ: on(url)}).load()
	require.NoError(t, err)
	change(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
