package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain turns the test binary into the program itself for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("FAKEAMPLITUDE_MAIN") == "1" {
		main()
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")) // of the tests' own client
}

const request = `{"api_key":"demo","events":[{"event_type":"Order_Completed","user_id":"usr_42"}]}`

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(text)
}

// start runs the program in this process and returns its address and a function that ends it.
func start(t *testing.T, stderr io.Writer, args ...string) (url string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() { code <- run(ctx, append(args, "--addr", "127.0.0.1:0"), w, stderr) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	url, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, found, line)
	stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { stop() })
	return url, stop
}

func TestServesUntilToldToStop(t *testing.T) {
	t.Parallel()
	url, stop := start(t, io.Discard)
	status, text := post(t, url+"/batch", request)
	require.Equal(t, 200, status, text)
	require.Zero(t, stop())
}

func TestFlags(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	url, stop := start(t, &log, "--api-key", "demo", "--api-key", "other", "--json-log", "--counts-only", "--latency", "1ms", "--seed", "7")
	status, _ := post(t, url+"/batch", request)
	require.Equal(t, 200, status)
	status, _ = post(t, url+"/batch", strings.Replace(request, "demo", "third", 1))
	require.Equal(t, 400, status)
	_, text := get(t, url+"/_fake/events")
	require.Equal(t, "[]\n", text, "--counts-only")
	require.Zero(t, stop())
	require.Equal(t, 2, strings.Count(log.String(), "\n"))
	require.Contains(t, log.String(), `"status":200`)
	require.NotContains(t, log.String(), "demo")

	url, _ = start(t, io.Discard, "--faults", "503=0.5,403=0.5")
	status, _ = post(t, url+"/batch", request)
	require.Contains(t, []int{503, 403}, status)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(text)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestUsageErrorsExitWith2AndSayTheFix(t *testing.T) {
	t.Parallel()
	cases := map[string][]string{
		"unknown flag":                     {"--nothing"},
		"unknown command":                  {"serve"},
		"use one of":                       {"--faults", "teapot=0.1"},
		"--latency: -1s is negative":       {"--latency", "-1s"},
		"--api-key: a key cannot be empty": {"--api-key", ""},
	}
	for says, args := range cases {
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, &stdout, &stderr), args)
		require.Contains(t, stderr.String(), says)
		require.Contains(t, stderr.String(), "fakeamplitude -h")
		require.Empty(t, stdout.String())
	}
}

func TestAddressInUseExitsWith1(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	var stderr bytes.Buffer
	require.Equal(t, exitRuntime, run(t.Context(), []string{"--addr", listener.Addr().String()}, io.Discard, &stderr))
	require.Contains(t, stderr.String(), "address already in use")
}

func TestHelpShowsAnExampleAndFits80Columns(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-h"}, &stdout, io.Discard))
	require.Contains(t, stdout.String(), "Examples:\n  fakeamplitude\n")
	for _, name := range []string{"--addr", "--api-key", "--faults", "--seed", "--latency", "--json-log", "--counts-only", "lost", "redirect"} {
		require.Contains(t, stdout.String(), name)
	}
	for line := range strings.Lines(stdout.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 80, line)
	}
}

func TestSIGTERMEndsTheProcessWith0(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "--addr", "127.0.0.1:0", "--latency", "1h")
	cmd.Env = append(os.Environ(), "FAKEAMPLITUDE_MAIN=1")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)

	var port int
	_, err = fmt.Sscanf(line, "listening on http://127.0.0.1:%d\n", &port)
	require.NoError(t, err, line)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), "exit code 0")
}
