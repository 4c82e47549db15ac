//go:build unix

package devpg

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDurableServer(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s := start(t, Options{Durable: true, Dir: dir})
	home := filepath.Dir(s.DataDir())
	execute(t, s.URL(), "CREATE TABLE kept AS SELECT 1")
	first := s.URL()

	require.Equal(t, "on", query(t, s.URL(), "SHOW fsync"))
	require.Equal(t, "127.0.0.1", query(t, s.URL(), "SHOW listen_addresses"))

	port, password, err := parseAddress(first)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(password), 26)
	require.ErrorContains(t, ping(t.Context(), loopbackURL(port, "wrong")), "28P01")
	socket := "postgres://postgres:" + password + "@/postgres?host=" + s.DataDir() + "&port=" + strconv.Itoa(port)
	require.NoError(t, ping(t.Context(), socket))

	content, err := os.ReadFile(filepath.Join(home, "url"))
	require.NoError(t, err)
	require.Equal(t, first, strings.TrimSpace(string(content)))
	require.Equal(t, os.FileMode(0o600), mode(t, filepath.Join(home, "url")))

	require.NoError(t, s.Stop())
	log, err := os.ReadFile(filepath.Join(home, "postgres.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "database system is shut down", "a clean shutdown")
	require.NoFileExists(t, filepath.Join(home, "initdb.password"))

	again := start(t, Options{Durable: true, Dir: dir})
	require.Equal(t, first, again.URL(), "port and password stay")
	require.Equal(t, "1", query(t, again.URL(), "SELECT count(*)::text FROM kept"))
}

func TestDurableServerHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s := start(t, Options{Durable: true, Dir: dir})

	other, _ := startOwner(t, "DEVPG_PLAY_DIR="+dir)

	require.Contains(t, other.ErrText, "is in use by process "+strconv.Itoa(os.Getpid()))
	require.NoError(t, ping(t.Context(), s.URL()), "the first is unharmed")
}

func TestDirectoryOfAKilledOwnerIsWaitedFor(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	watchdogs, err := os.Create(filepath.Join(home, "lock")) // still open there
	require.NoError(t, err)
	require.NoError(t, tryLock(watchdogs))
	brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()

	for _, owner := range []string{"", strconv.Itoa(noProcess)} {
		require.NoError(t, os.WriteFile(filepath.Join(home, "lock"), []byte(owner), 0o600))
		_, err = lockHome(brief, home)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}

	require.NoError(t, unlock(watchdogs))
	lock, err := lockHome(t.Context(), home)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), readPID(lock))
	require.NoError(t, lock.Close())
}

func TestDurableServerSurvivesItsOwner(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	server, kill := startOwner(t, "DEVPG_PLAY_DIR="+dir)
	require.Empty(t, server.ErrText)
	execute(t, server.URL, "CREATE TABLE kept AS SELECT 1")

	kill()

	s := start(t, Options{Durable: true, Dir: dir}) // at once, while the watchdog is at work
	require.Equal(t, "1", query(t, s.URL(), "SELECT count(*)::text FROM kept"))
}

func TestDurableServerMovesFromATakenPort(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	taken := listener.Addr().(*net.TCPAddr).Port
	home := filepath.Join(dir, "pg-"+strconv.Itoa(localServer(t).major))
	require.NoError(t, os.Mkdir(home, 0o700))
	require.NoError(t, saveAddress(home, taken, "secret"))

	s := start(t, Options{Durable: true, Dir: dir})

	port, password, err := parseAddress(s.URL())
	require.NoError(t, err)
	require.NotEqual(t, taken, port)
	require.Equal(t, "secret", password)
	saved, _, err := loadAddress(t.Context(), home, true)
	require.NoError(t, err)
	require.Equal(t, port, saved)
}

func TestLostPasswordIsSaid(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	_, _, err := loadAddress(t.Context(), home, true)
	require.ErrorContains(t, err, "remove that directory to begin anew")

	for _, content := range []string{"", "rubbish", "postgres://postgres@127.0.0.1:5432/postgres", "postgres://postgres:secret@127.0.0.1/postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(home, "url"), []byte(content), 0o600))
		_, _, err := loadAddress(t.Context(), home, true)
		require.ErrorContains(t, err, "remove that directory to begin anew")
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestInterruptedInitdbIsRepeated(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	unfinished := filepath.Join(dir, "pg-"+strconv.Itoa(localServer(t).major), "data.new")
	require.NoError(t, os.MkdirAll(unfinished, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(unfinished, "PG_VERSION"), []byte("15\n"), 0o600))

	s := start(t, Options{Durable: true, Dir: dir})

	require.NoError(t, ping(t.Context(), s.URL()))
	require.NoDirExists(t, unfinished)
}

func TestForeignDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, checkOwner(dir, os.Geteuid()))
	require.NoError(t, checkOwner(filepath.Join(dir, "not-there"), 1))
	require.ErrorContains(t, checkOwner(dir, os.Geteuid()+1), "remove it or use another directory")
}
