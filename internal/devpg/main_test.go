//go:build unix

package devpg

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The test program plays other programs when DEVPG_PLAY names one.
func TestMain(m *testing.M) {
	play := map[string]func() error{
		"owner":     playOwner,
		"docker":    playDocker,
		"container": playContainer,
	}[os.Getenv("DEVPG_PLAY")]
	if play == nil {
		goleak.VerifyTestMain(m)
		return
	}
	if err := play(); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

// owned is what the owner program tells about its server.
type owned struct {
	URL     string
	DataDir string
	Dog     int // process id of the watchdog
	ErrText string
}

// playOwner starts a server, durable in DEVPG_PLAY_DIR when that is set, tells
// about it in one line and keeps it until its input ends.
func playOwner() error {
	dir := os.Getenv("DEVPG_PLAY_DIR")
	s, err := Start(context.Background(), Options{Durable: dir != "", Dir: dir})
	if err != nil {
		return json.NewEncoder(os.Stdout).Encode(owned{ErrText: err.Error()})
	}
	o := owned{URL: s.URL(), DataDir: s.DataDir(), Dog: s.engine.(*cluster).dog.shell.pid}
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, s.Stop())
}

// startOwner runs the owner program with further environment variables. The
// function it returns kills the program by SIGKILL and waits for its end.
func startOwner(t *testing.T, env ...string) (owned, func()) {
	t.Helper()
	cmd := exec.Command(testProgram(t))
	cmd.Env = append(append(os.Environ(), "DEVPG_PLAY=owner"), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // a second wait after the kill fails, which is fine
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var o owned
	require.NoError(t, json.Unmarshal(line, &o))
	return o, func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
}

func testProgram(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// start provides a server that is stopped at the end of the test.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// connect opens a connection that is closed at the end of the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // its server may be gone
	})
	return conn
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	_, err := connect(t, url).Exec(t.Context(), sql)
	require.NoError(t, err)
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	var value string
	require.NoError(t, connect(t, url).QueryRow(t.Context(), sql).Scan(&value))
	return value
}

// openDir is a temporary directory that the server's account can reach, unlike
// t.TempDir when the tests run as root.
func openDir(t *testing.T) string {
	t.Helper()
	base := os.TempDir()
	if roomySharedMemory() {
		base = sharedMemory
	}
	dir, err := os.MkdirTemp(base, "devpg-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func writeScript(t *testing.T, path, script string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

// nowhere is a host on which nothing can be found.
func nowhere() host {
	return host{
		getenv:     func(string) string { return "" },
		lookPath:   func(string) (string, error) { return "", exec.ErrNotFound },
		serverDirs: func() []string { return nil },
		release:    release{platform: "test-test"},
		patience:   time.Minute, // the machine may be busy
	}
}

func getenv(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

// lookIn finds programs in one directory only.
func lookIn(dir string) func(string) (string, error) {
	return func(name string) (string, error) {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		return path, err
	}
}

// localServer is the Postgres that the tests themselves run on. They need one
// that is installed.
func localServer(t *testing.T) binaries {
	t.Helper()
	b, err := findInstalled()
	require.NoError(t, err)
	return b
}

func findInstalled() (binaries, error) {
	usable, err := accounts()
	if err != nil {
		return binaries{}, err
	}
	if dir := os.Getenv("PG_BINDIR"); dir != "" {
		return inspect(dir, usable)
	}
	return newestInstalled(installedDirs(), usable)
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

// noProcess is beyond every system's largest process id.
const noProcess = 1<<31 - 2

func awaitTermination() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
}

func pidFile(path string) int {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(string(content))
	return pid
}
