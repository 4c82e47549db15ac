//go:build unix

package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minMajor is the oldest major version of Postgres worth starting.
const minMajor = 15

// binaries is a directory of server programs and an account that can run them.
type binaries struct {
	dir     string
	major   int
	account account
}

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// admit lets the server's account pass through a directory of ours, without
// letting it list or change it, and reports when the account still cannot: one
// of the parents may be private.
func (b binaries) admit(dir string) error {
	if b.account.switched {
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	cmd := b.account.command(b.program("postgres"), "--version")
	cmd.Dir = dir
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the server runs as %v, which cannot reach %s: %w", b.account, dir, err)
	}
	return nil
}

// findLocal offers the newest Postgres that is installed on the machine.
func findLocal(_ context.Context, h host, _ Options) (launcher, error) {
	usable, err := accounts()
	if err != nil {
		return nil, err
	}
	if dir := h.getenv("PG_BINDIR"); dir != "" {
		b, err := inspect(dir, usable)
		return func(ctx context.Context, opts Options) (engine, error) {
			if err != nil {
				return nil, fmt.Errorf("PG_BINDIR: %w", err)
			}
			return b.launch(ctx, opts)
		}, nil
	}
	b, err := newestInstalled(h.serverDirs(), usable)
	if err != nil {
		return nil, err
	}
	return b.launch, nil
}

func newestInstalled(dirs []string, usable []account) (binaries, error) {
	var best binaries
	var unusable []error
	for _, dir := range dirs {
		switch b, err := inspect(dir, usable); {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			unusable = append(unusable, err)
		case b.major > best.major:
			best = b
		}
	}
	switch {
	case best.major > 0:
		return best, nil
	case unusable != nil:
		return binaries{}, errors.Join(unusable...)
	}
	return binaries{}, errors.New("no initdb beside a postgres in any usual directory")
}

// inspect finds out which version dir holds and which account can run it. The
// error matches os.ErrNotExist when dir holds no server: client packages leave
// such directories.
func inspect(dir string, usable []account) (binaries, error) {
	dir, err := filepath.Abs(dir) // programs run in another directory
	if err != nil {
		return binaries{}, err
	}
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return binaries{}, err
		}
	}
	var failure error
	for _, account := range usable {
		b := binaries{dir: dir, account: account}
		out, err := account.command(b.program("postgres"), "--version").Output()
		if err != nil {
			failure = fmt.Errorf("%s cannot be run by %v: %w", b.program("postgres"), account, err)
			continue
		}
		b.major, err = majorVersion(string(out))
		switch {
		case err != nil:
			return binaries{}, fmt.Errorf("%s: %w", b.program("postgres"), err)
		case b.major < minMajor:
			return binaries{}, fmt.Errorf("%s is version %d, older than %d", b.program("postgres"), b.major, minMajor)
		}
		return b, nil
	}
	return binaries{}, failure
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// majorVersion reads "postgres (PostgreSQL) 15.18 (Debian 15.18-1)".
func majorVersion(version string) (int, error) {
	match := versionPattern.FindStringSubmatch(version)
	if match == nil {
		return 0, fmt.Errorf("its version is unreadable: %q", strings.TrimSpace(version))
	}
	return strconv.Atoi(match[1])
}

// installedDirs lists, without doubles, where packages put server programs and
// what PATH and pg_config point at. Debian keeps them off PATH.
func installedDirs() []string {
	var dirs []string
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if target, err := filepath.EvalSymlinks(initdb); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
		"/usr/pgsql-*/bin",                                   // postgresql.org's RPMs
		"/usr/libexec/postgresql*",                           // Alpine
		"/usr/local/pgsql/bin",                               // make install
		"/opt/homebrew/opt/postgresql*/bin",                  // Homebrew, Apple silicon
		"/usr/local/opt/postgresql*/bin",                     // Homebrew, Intel
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",     // Homebrew, Linux
		"/opt/local/lib/postgresql*/bin",                     // MacPorts
		"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	} {
		matches, _ := filepath.Glob(pattern) // fails only on a malformed pattern
		dirs = append(dirs, matches...)
	}
	if config, err := exec.LookPath("pg_config"); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if out, err := exec.CommandContext(ctx, config, "--bindir").Output(); err == nil {
			dirs = append(dirs, strings.TrimSpace(string(out)))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
