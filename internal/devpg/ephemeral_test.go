//go:build unix

package devpg

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
)

func TestEphemeralServer(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Settings: map[string]string{
		"application_name":        "of the caller",
		"jit":                     "on",
		"unix_socket_directories": "/nowhere",
	}})

	t.Run("listens on a socket only", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "postgres:///postgres?host="+s.DataDir()+"&user=postgres", s.URL())
		require.Empty(t, query(t, s.URL(), "SHOW listen_addresses"))
		require.Equal(t, os.FileMode(0o700), mode(t, s.DataDir()))
	})
	t.Run("takes the caller's settings but for its address", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "of the caller", query(t, s.URL(), "SHOW application_name"))
		require.Equal(t, "on", query(t, s.URL(), "SHOW jit"))
		require.Equal(t, s.DataDir(), query(t, s.URL(), "SHOW unix_socket_directories"))
	})
	t.Run("is the same on every machine", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "UTF8", query(t, s.URL(), "SHOW server_encoding"))
		require.Equal(t, "UTC", query(t, s.URL(), "SHOW timezone"))
		require.Equal(t, "true", query(t, s.URL(), "SELECT ('Z' < 'a')::text"))
	})
	t.Run("never runs as root", func(t *testing.T) {
		t.Parallel()
		runsAs := localServer(t).account
		require.True(t, runsAs.switched || runsAs.nested || os.Geteuid() != 0)
		info, err := os.Stat(s.DataDir())
		require.NoError(t, err)
		require.EqualValues(t, runsAs.fileOwner(), info.Sys().(*syscall.Stat_t).Uid)
	})
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	pid, home := s.PID(), filepath.Dir(s.DataDir())
	open := connect(t, s.URL())
	require.True(t, processAlive(pid))

	require.NoError(t, s.Stop())

	require.False(t, processAlive(pid))
	require.NoDirExists(t, home)
	require.Error(t, open.Ping(t.Context()))
	require.NoError(t, s.Stop(), "stopping twice is fine")
	require.ErrorContains(t, s.Resume(t.Context()), "stopped for good")
	require.Zero(t, s.PID())
}

func TestKillingTheOwnerLeavesNothing(t *testing.T) {
	t.Parallel()
	server, kill := startOwner(t)
	require.Empty(t, server.ErrText)
	home := filepath.Dir(server.DataDir)
	client := connect(t, server.URL)
	lock, err := os.Open(filepath.Join(home, "lock"))
	require.NoError(t, err)
	defer func() { _ = lock.Close() }()
	require.ErrorIs(t, tryLock(lock), errLocked)

	kill()

	_, err = client.WaitForNotification(t.Context())
	require.Error(t, err, "the server ends although a client is connected")
	// The watchdog holds the lock until it has finished.
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	require.NoDirExists(t, home)
}

func TestForgottenServerStaysUp(t *testing.T) {
	t.Parallel()
	engine, err := localServer(t).launch(t.Context(), Options{})
	require.NoError(t, err)
	home, watchdog := filepath.Dir(engine.dataDir()), engine.(*cluster).dog.shell
	ended, pipe := watchdog.exited, weak.Make(watchdog.held)

	runtime.GC() // engine and watchdog are not used any more

	require.NotNil(t, pipe.Value(), "its end would be taken for ours")
	require.NoError(t, pipe.Value().Close())
	<-ended
	require.NoDirExists(t, home)
}

func TestKillingOwnerAndWatchdogIsSweptUp(t *testing.T) {
	t.Parallel()
	base := openDir(t)
	b := localServer(t)
	abandoned, abandonedLock, err := b.scratchIn(base)
	require.NoError(t, err)
	owned, ownedLock, err := b.scratchIn(base)
	require.NoError(t, err)
	defer func() { _ = ownedLock.Close() }()
	require.NoError(t, unlock(abandonedLock))

	sweep(base, time.Now())
	require.DirExists(t, abandoned, "a young directory may be about to be locked")

	sweep(base, time.Now().Add(2*minSweepAge))
	require.NoDirExists(t, abandoned)
	require.DirExists(t, owned)
}

func TestUnlockedIsUnlockedWhoeverElseHasTheFileOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, tryLock(lock))
	inherited, err := syscall.Dup(int(lock.Fd())) // as by a child between fork and exec
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Close(inherited)) })
	again, err := os.Open(path)
	require.NoError(t, err)
	require.ErrorIs(t, tryLock(again), errLocked)

	require.NoError(t, unlock(lock))

	require.NoError(t, tryLock(again))
	require.NoError(t, unlock(again))
}

func TestSweepSparesALivingServer(t *testing.T) {
	t.Parallel()
	base := openDir(t)
	dir := filepath.Join(base, scratchPrefix+"1")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
	writePIDFile(t, dir, os.Getpid())

	sweep(base, time.Now().Add(2*minSweepAge))
	require.DirExists(t, dir)

	writePIDFile(t, dir, noProcess)
	sweep(base, time.Now().Add(2*minSweepAge))
	require.NoDirExists(t, dir)
}

func TestScratchDirectoryMustFitASocket(t *testing.T) {
	t.Parallel()
	base := filepath.Join(openDir(t), "a-directory-whose-name-goes-on-and-on-until-a-unix-socket-in-it-is-too-long")
	require.NoError(t, os.Mkdir(base, 0o755))

	_, _, err := localServer(t).scratchIn(base)

	require.ErrorContains(t, err, "too long a path for a unix socket")
	left, err := os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, left)
}
