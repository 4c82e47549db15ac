//go:build unix

package devpg

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGivenServerIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	own := start(t, Options{})

	given := start(t, Options{URL: own.URL() + "&pool_max_conns=3"})

	require.Equal(t, own.URL()+"&pool_max_conns=3", given.URL())
	require.Equal(t, "url", given.Source())
	require.Empty(t, given.DataDir())
	require.Zero(t, given.PID())
	require.ErrorIs(t, given.Halt(true), errGiven)
	require.ErrorIs(t, given.Resume(t.Context()), errGiven)
	require.ErrorIs(t, given.Restart(t.Context(), false), errGiven)
	require.NoError(t, given.Stop())
	require.NoError(t, ping(t.Context(), own.URL()), "it is not ours to stop")
}

func TestGivenServerIsNeverReplaced(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())

	for name, url := range map[string]string{
		"unreachable":   loopbackURL(closed, "hunter2"),
		"not a URL":     "postgres://u:hunter2@[::1/x",
		"bad port":      "postgres://u:hunter2@h:port/x",
		"not a keyword": "hunter2",
	} {
		_, err := Start(t.Context(), Options{URL: url})
		require.ErrorContains(t, err, "given by URL cannot be used", name)
		require.ErrorContains(t, err, "unset it to have a server started", name)
		require.NotContains(t, err.Error(), "hunter2", name)
	}
}

func TestClientVariablesDoNotDisturb(t *testing.T) {
	t.Parallel()
	server, _ := startOwner(t,
		"PGHOST=/nowhere", "PGPORT=1", "PGDATABASE=none", "PGUSER=nobody", "PGPASSWORD=x", "PGSERVICE=none",
		"PGOPTIONS=-c no_such_setting=1", "PGSSLMODE=verify-full", "PGDATA=/nowhere", "PGTZ=Mars",
		"LANG=xx_XX", "LC_ALL=xx_XX", "TZ=Asia/Tokyo")

	require.Empty(t, server.ErrText)
	require.Equal(t, "UTC", query(t, server.URL, "SHOW timezone"))
}

func TestClientVariables(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"PGHOST": true, "PGCONNECT_TIMEOUT": true, "PGX": true,
		"PG_BINDIR": false, "PG": false, "PATH": false, "pghost": false, "DEVPG_SOURCE": false, "PG2": false,
	} {
		require.Equal(t, want, isClientVariable(name), name)
	}
}

func TestSocketURLEscapesThePath(t *testing.T) {
	t.Parallel()
	require.Equal(t, "postgres:///postgres?host=/tmp/a+b%26c&user=postgres", socketURL("/tmp/a b&c"))
}
