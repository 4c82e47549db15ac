//go:build unix

package devpg

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRestartKeepsDataAndURL(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	execute(t, s.URL(), "CREATE TABLE commits (n int)")

	for n, immediate := range []bool{true, false} {
		execute(t, s.URL(), "INSERT INTO commits VALUES ("+strconv.Itoa(n)+")")
		url, pid := s.URL(), s.PID()
		require.NoError(t, s.Restart(t.Context(), immediate))
		require.Equal(t, url, s.URL())
		require.NotEqual(t, pid, s.PID())
		require.Equal(t, strconv.Itoa(n+1), query(t, s.URL(), "SELECT count(*)::text FROM commits"))
	}
}

func TestHaltAndResume(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	client := connect(t, s.URL())

	require.NoError(t, s.Halt(true))
	require.Zero(t, s.PID())
	require.Error(t, client.Ping(t.Context()))
	require.Error(t, ping(t.Context(), s.URL()))
	require.NoError(t, s.Halt(true), "halting twice is fine")

	require.NoError(t, s.Resume(t.Context()))
	pid := s.PID()
	require.NotZero(t, pid)
	require.NoError(t, s.Resume(t.Context()), "resuming a running server is fine")
	require.Equal(t, pid, s.PID())
	require.NoError(t, ping(t.Context(), s.URL()))
}

func TestResumeAfterPostgresWasKilled(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	execute(t, s.URL(), "CREATE TABLE kept AS SELECT 1")
	busy := connect(t, s.URL())
	backend := int(busy.PgConn().PID())
	require.NoError(t, syscall.Kill(backend, syscall.SIGSTOP)) // so that it outlives the postmaster
	t.Cleanup(func() { _ = syscall.Kill(backend, syscall.SIGCONT) })
	require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))

	restarted := make(chan error, 1)
	go func() { restarted <- s.Restart(t.Context(), true) }()
	require.Eventually(t, func() bool {
		log, err := os.ReadFile(filepath.Join(filepath.Dir(s.DataDir()), "postgres.log"))
		return err == nil && errors.Is(diagnose(string(log)), errStillInUse)
	}, time.Minute, 5*time.Millisecond, "a first attempt fails")

	require.NoError(t, syscall.Kill(backend, syscall.SIGCONT))
	require.NoError(t, <-restarted)
	require.Equal(t, "1", query(t, s.URL(), "SELECT count(*)::text FROM kept"))
}

func TestFrozenServerIsAskedBeforeItIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	pid := s.PID()
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))

	require.NoError(t, s.Halt(true))

	require.False(t, processAlive(pid))
	log, err := os.ReadFile(s.engine.(*cluster).logFile())
	require.NoError(t, err)
	require.Contains(t, string(log), "received immediate shutdown request")
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Settings: map[string]string{"no_such_setting": "1"}})

	require.ErrorContains(t, err, `unrecognized configuration parameter "no_such_setting"`)
	require.ErrorContains(t, err, "apt-get install postgresql")
	require.ErrorContains(t, err, "source local")
}

func TestDirectoryIsOnlyForDurableServers(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{Dir: "/x"}, {Durable: true}} {
		_, err := Start(t.Context(), opts)
		require.ErrorContains(t, err, "Durable and Dir go together")
	}
}

func TestReadyIsBelievedOnlyWithPIDAndState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "data", "postmaster.pid")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	require.Zero(t, readyPID(path), "no file")

	for content, want := range map[string]int{
		"":                                0,
		"42\n" + strings.Repeat("x\n", 6): 0,
		"42\n" + strings.Repeat("x\n", 6) + "ready   \n":   42,
		"42\n" + strings.Repeat("x\n", 6) + "starting\n":   0,
		"many\n" + strings.Repeat("x\n", 6) + "ready   \n": 0,
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.Equal(t, want, readyPID(path), "%q", content)
	}
}

// writePIDFile leaves the file that a running server has in its data directory.
func writePIDFile(t *testing.T, home string, pid int) {
	t.Helper()
	content := strconv.Itoa(pid) + strings.Repeat("\n", 7) + "ready   \n"
	require.NoError(t, os.WriteFile(filepath.Join(home, "data", "postmaster.pid"), []byte(content), 0o600))
}
