//go:build unix

package devpg

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingToBeHadNamesWhatWasTriedAndTheWaysOut(t *testing.T) {
	t.Parallel()
	_, _, err := nowhere().open(t.Context(), Options{})
	err = explain(t.Context(), err)

	for _, part := range []string{
		"local:    no initdb beside a postgres",
		"cache:    nothing was fetched before",
		"docker:   docker is not installed",
		"download: there is no package for test-test",
		"apt-get install postgresql", "Docker", "npm", "DATABASE_URL=",
	} {
		require.ErrorContains(t, err, part)
	}
}

func TestForcedSourceAllowsNoOther(t *testing.T) {
	t.Parallel()
	h := nowhere()
	h.serverDirs = func() []string { return []string{localServer(t).dir} }
	h.getenv = getenv(map[string]string{"DEVPG_SOURCE": "cache"})

	_, _, err := h.open(t.Context(), Options{})

	require.ErrorContains(t, err, "cache:")
	require.ErrorContains(t, err, "DEVPG_SOURCE allows no other source")
	require.NotContains(t, err.Error(), "docker:")
}

func TestUnknownForcedSource(t *testing.T) {
	t.Parallel()
	h := nowhere()
	h.getenv = getenv(map[string]string{"DEVPG_SOURCE": "brew"})

	_, _, err := h.open(t.Context(), Options{})

	require.EqualError(t, err, `DEVPG_SOURCE is "brew"; want one of local, cache, docker, download`)
}

func TestNewestUsableLocalServerWins(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	fake := func(name, version string) string {
		bin := filepath.Join(dir, name)
		writeScript(t, filepath.Join(bin, "postgres"), version)
		writeScript(t, filepath.Join(bin, "initdb"), "exit 1")
		return bin
	}
	clientOnly := filepath.Join(dir, "client")
	writeScript(t, filepath.Join(clientOnly, "postgres"), "echo 'postgres (PostgreSQL) 99.1'")
	bins := []string{
		fake("17", "echo 'postgres (PostgreSQL) 17.6 (Debian 17.6-1)'"),
		fake("18", "echo 'postgres (PostgreSQL) 18beta1'"),
		fake("14", "echo 'postgres (PostgreSQL) 14.20'"),
		fake("broken", "exit 127"),
		clientOnly,
		filepath.Join(dir, "not-there"),
	}

	usable, err := accounts()
	require.NoError(t, err)

	b, err := newestInstalled(bins, usable)
	require.NoError(t, err)
	require.Equal(t, 18, b.major)
	require.Equal(t, bins[1], b.dir)

	_, err = newestInstalled(bins[2:], usable)
	require.ErrorContains(t, err, "is version 14, older than 15")
	require.ErrorContains(t, err, filepath.Join(bins[3], "postgres")+" cannot be run")

	_, err = newestInstalled(bins[4:], usable)
	require.ErrorContains(t, err, "no initdb beside a postgres")
}

func TestNamedDirectoryComesFirstAndIsNeverReplaced(t *testing.T) {
	t.Parallel()
	h := nowhere()
	h.serverDirs = func() []string { return []string{localServer(t).dir} }
	h.getenv = getenv(map[string]string{"PG_BINDIR": "/not-there"})

	_, _, err := h.open(t.Context(), Options{})

	require.ErrorContains(t, err, "PG_BINDIR")
	require.ErrorContains(t, err, "/not-there")
	require.NotContains(t, err.Error(), "docker:")
}

func TestServerThatFailsToInitialise(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	writeScript(t, filepath.Join(dir, "postgres"), "echo 'postgres (PostgreSQL) 18.4'")
	writeScript(t, filepath.Join(dir, "initdb"), `echo "initdb: error: no space for $2" >&2; exit 1`)
	h := nowhere()
	h.serverDirs = func() []string { return []string{dir} }

	_, _, err := h.open(t.Context(), Options{})

	require.ErrorContains(t, err, "source local: initdb failed: exit status 1\ninitdb: error: no space for /")
	home := filepath.Dir(err.Error()[len("source local: initdb failed: exit status 1\ninitdb: error: no space for "):])
	require.NoDirExists(t, home)
}

func TestCancelledStartEndsInitdb(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	started := filepath.Join(dir, "started")
	require.NoError(t, exec.Command("mkfifo", "-m", "666", started).Run())
	writeScript(t, filepath.Join(dir, "postgres"), "echo 'postgres (PostgreSQL) 18.4'")
	writeScript(t, filepath.Join(dir, "initdb"), "echo $$ >"+started+"; exec sleep 600")
	h := nowhere()
	h.serverDirs = func() []string { return []string{dir} }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failed := make(chan error, 1)

	go func() {
		_, _, err := h.open(ctx, Options{})
		failed <- explain(ctx, err)
	}()
	_, err := os.ReadFile(started) // returns once initdb has written to it
	require.NoError(t, err)
	cancel()

	err = <-failed
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "apt-get", "there is nothing to mend")
}

func TestMajorVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18.4\n":                           18,
		"postgres (PostgreSQL) 19devel\n":                        19,
		"postgres (PostgreSQL) 9.6.24\n":                         9,
	} {
		got, err := majorVersion(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := majorVersion("gpdb 7\n")
	require.ErrorContains(t, err, "unreadable")
}

func TestServerProgramsSeeNoSecrets(t *testing.T) {
	t.Parallel()
	env := serverEnvironment(getenv(map[string]string{
		"PATH": "/bin", "HOME": "/home/x", "AMPLITUDE_API_KEY": "secret", "PGOPTIONS": "-c x=1", "LC_ALL": "xx", "LANG": "yy",
	}))
	require.Equal(t, []string{"LC_ALL=C", "PATH=/bin", "HOME=/home/x"}, env)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	listen := listenOn(0, "/dir")

	ephemeral := serverSettings(false, true, nil, listen)
	require.Contains(t, ephemeral, "fsync=off")
	require.Contains(t, ephemeral, "listen_addresses=")
	require.NotContains(t, ephemeral, "synchronous_commit=off")

	durable := serverSettings(true, true, nil, listenOn(6000, ""))
	require.NotContains(t, durable, "fsync=off")
	require.NotContains(t, durable, "full_page_writes=off")
	require.NotContains(t, durable, "dynamic_shared_memory_type=mmap")
	require.Contains(t, durable, "port=6000")
	require.Contains(t, serverSettings(true, false, nil, listen), "dynamic_shared_memory_type=mmap")

	override := serverSettings(false, true, map[string]string{"fsync": "on", "port": "1"}, listen)
	require.Contains(t, override, "fsync=on")
	require.NotContains(t, override, "fsync=off")
	require.Contains(t, override, "port=5432")

	require.Equal(t, []string{"--encoding=UTF8", "--locale=C"}, initdbLocale(16))
	require.Contains(t, initdbLocale(17), "--builtin-locale=C.UTF-8")
}
