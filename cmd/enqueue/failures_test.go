package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

func TestACommandLineThatMakesNoSense(t *testing.T) {
	t.Parallel()
	path := file(t, "\n")
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "Name a file"},
		{[]string{"a.ndjson", "b.ndjson"}, "takes one file, not 2"},
		{[]string{"--colour"}, "unknown flag: --colour"},
		{[]string{path, "--key", "k"}, "--key: flags describe one bundle"},
		{[]string{path, "--all"}, "--all is for --dry-run"},
		{[]string{"no-such.ndjson"}, "no-such.ndjson: no such file"},
		{[]string{filepath.Dir(path)}, "is a directory"},
		{[]string{"--user", "u", "--event", "E"}, "--key is missing"},
		{[]string{"--key", "k", "--event", "E"}, "--user is missing"},
		{[]string{"--key", "k", "--user", "u"}, "nothing to say"},
		{[]string{"--key", "k", "--user", "u", "--set", "a=1", "--prop", "b=1"}, "name it with --event"},
		{[]string{"--key", "k", "--user", "u", "--set", "a=1", "--revenue", "1", "--currency", "EUR"}, "name it with --event"},
		{[]string{"--key", "k", "--user", "u", "--event", "E", "--revenue", "1"}, "--currency go together"},
		{[]string{"--key", "k", "--user", "u", "--event", "E", "--currency", "EUR"}, "--currency go together"},
		{[]string{"--key", "k", "--user", "u", "--event", "E", "--revenue", "much", "--currency", "EUR"}, "--revenue is not a number"},
		{[]string{"--key", "k", "--user", "u", "--event", "E", "--prop", "novalue"}, "--prop novalue: write it as"},
		{[]string{"--key", "k", "--user", "u", "--event", "E", "--prop", "=1"}, "write it as NAME=VALUE"},
		{[]string{"--key", "k", "--user", "u", "--event", "E", "--prop", "a=1", "--prop", "a=2"}, "--prop a is given twice"},
		{[]string{"--key", "k", "--user", "u", "--event", "E", "--prop", "a=1", "--prop-string", "a=2"}, "--prop a is given twice"},
		{[]string{"--key", "k", "--user", "u", "--increment", "n=many"}, "--increment n: the value is not a number"},
		{[]string{"--key", "k", "--user", "u", "--event", "E", "--at", "noon"}, "--at is not an RFC 3339 time"},
	} {
		got := enqueue(t, "", c.args...)
		require.Equal(t, exitUsage, got.code, c.args)
		require.Contains(t, unfold(got.stderr), c.says)
		require.Contains(t, got.stderr, "enqueue -h")
		require.Empty(t, got.stdout)
	}
}

// unfold undoes the line breaks of say.
func unfold(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestAnInputThatIsNoText(t *testing.T) {
	t.Parallel()
	got := enqueue(t, pgtest.New(t).URL, file(t, "\x1f\x8b\x08\x00"))
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "gzip -dc")
	require.NotContains(t, got.stderr, "Running it again")
}

func TestAWrongConfiguration(t *testing.T) {
	t.Parallel()
	for says, env := range map[string][]string{
		"DATABASE_URL: is not set":        nil,
		"DATABASE_URL: is neither":        {"DATABASE_URL=localhost/hunter2"},
		"DATABASE_URL: is not a Postgres": {"DATABASE_URL=postgres://u:hunter2@localhost:port/d"},
		"ANALYTICS_ENABLE":                {"DATABASE_URL=postgres://localhost/d", "ANALYTICS_ENABLE=false"},
	} {
		got := enqueueIn(t.Context(), t, env, nil, "--key", "k", "--user", "u", "--event", "E")
		require.Equal(t, exitConfig, got.code, env)
		require.Contains(t, got.stderr, says)
		require.NotContains(t, got.stderr, "hunter2")
	}
}

func TestADatabaseThatIsNotReady(t *testing.T) {
	t.Parallel()
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, unused.Close())
	migrated := pgtest.New(t)
	path, report := file(t, text(orders(3))), file(t, "of an earlier run\n")

	for _, c := range []struct{ url, says string }{
		{pgtest.Blank(t).URL, "enqueue: the database is not migrated\n    run: worker migrate\n"},
		{withQuery(t, migrated.URL, "default_transaction_read_only", "on"), "enqueue: the database is read-only\n    point DATABASE_URL at the primary, not at a standby\n"},
		{"postgres://u:hunter2@" + unused.Addr().String() + "/d", "enqueue: the database cannot be reached: connection refused\n"},
	} {
		for _, args := range [][]string{{path, "--report", report}, {"--key", "k", "--user", "u", "--event", "E"}} {
			got := enqueue(t, c.url, args...)
			require.Equal(t, exitDatabase, got.code)
			require.Contains(t, got.stderr, c.says)
			require.NotContains(t, got.stderr, "hunter2")
			require.Empty(t, got.stdout)
		}
	}
	require.Equal(t, 0, query[int](t, migrated.Pool(t), "SELECT count(*) FROM waybill.bundle"))
	kept, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Equal(t, "of an earlier run\n", string(kept), "an import that never began keeps the earlier report")
}

func withQuery(t *testing.T, databaseURL, name, value string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// plug is a way to Postgres that can be pulled out.
type plug struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	running  sync.WaitGroup
}

// newPlug returns a plug and the URL of the database behind it.
func newPlug(t *testing.T, databaseURL string) (*plug, string) {
	t.Helper()
	config, err := pgconn.ParseConfig(databaseURL)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &plug{listener: listener}
	p.running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			network, address := pgconn.NetworkAddress(config.Host, config.Port)
			far, err := net.Dial(network, address)
			if err != nil {
				_ = near.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, near, far)
			p.mu.Unlock()
			p.running.Go(func() { _, _ = io.Copy(near, far) })
			p.running.Go(func() { _, _ = io.Copy(far, near) })
		}
	})
	t.Cleanup(p.pull)
	through := url.URL{
		Scheme: "postgres", User: url.UserPassword(config.User, config.Password),
		Host: listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable",
	}
	return p, through.String()
}

// pull cuts every connection and lets none in again.
func (p *plug) pull() {
	_ = p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

// onText calls a function once, the first time its text is written.
type onText struct {
	written bytes.Buffer
	calls   map[string]func()
}

func (w *onText) String() string { return w.written.String() }

func (w *onText) Write(p []byte) (int, error) {
	for text, call := range w.calls {
		if strings.Contains(string(p), text) {
			delete(w.calls, text)
			call()
		}
	}
	return w.written.Write(p)
}

func TestADatabaseLostInTheMiddle(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t)
	way, through := newPlug(t, db.URL)
	lines := orders(600)
	lines[499] = "{}"
	stdin, input := io.Pipe()

	// The refusal of line 500 is said once the answer for the lines before it is known.
	// An interruption cuts the minute short that the database would be waited for.
	ctx, interrupt := context.WithCancel(t.Context())
	settled := make(chan struct{})
	var stdout bytes.Buffer
	stderr := &onText{calls: map[string]func(){
		"line 500 refused": func() { close(settled) },
		"trying again":     interrupt,
	}}
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"-"}, []string{"DATABASE_URL=" + through}, stdin, &stdout, stderr)
	}()
	write := func(lines []string) {
		_, err := io.WriteString(input, text(lines))
		require.NoError(t, err)
	}
	write(lines[:500])
	<-settled
	way.pull()
	write(lines[500:])
	require.NoError(t, input.Close())

	require.Equal(t, exitDatabase, <-code)
	fits(t, stderr.String())
	require.Contains(t, stderr.String(), "enqueue: the database is away\n")
	require.Contains(t, unfold(stderr.String()), "Committed up to line 500. Running it again is safe")
	require.Contains(t, stdout.String(), "queued          499\n")
	require.Equal(t, 499, query[int](t, pool, "SELECT count(*) FROM waybill.bundle"))

	again := enqueue(t, db.URL, file(t, text(lines)))
	require.Equal(t, exitFailed, again.code)
	require.Contains(t, again.stdout, "queued          100\n  duplicate       499\n")
}

func TestAnInterruptionBeforeItBegan(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	got := enqueueIn(ctx, t, []string{"DATABASE_URL=" + pgtest.New(t).URL}, nil, file(t, text(orders(3))))
	require.Equal(t, ran{exitFailed, "", "enqueue: interrupted\n"}, got)
}
