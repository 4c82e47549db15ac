//go:build unix

package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// host is what the search for a server looks at. Tests hand in their own.
type host struct {
	getenv     func(string) string
	lookPath   func(string) (string, error)
	serverDirs func() []string // directories that may hold server programs
	cacheDirs  []string        // where fetched programs may be kept, best first
	release    release         // what to fetch
	patience   time.Duration   // for the Docker daemon to say that it is there
}

func thisHost() host {
	return host{
		getenv:     os.Getenv,
		lookPath:   exec.LookPath,
		serverDirs: installedDirs,
		cacheDirs:  cacheDirs(),
		release:    pinnedRelease(),
		patience:   3 * time.Second,
	}
}

// launcher creates a server and starts it.
type launcher func(context.Context, Options) (engine, error)

// sources in the order in which they are tried. A find that fails says why the
// source has nothing, in one line, and the next is tried; a launcher that
// fails ends the search, since what it found is what the person expects to run.
var sources = []struct {
	name string
	find func(context.Context, host, Options) (launcher, error)
}{
	{"local", findLocal},
	{"cache", findCached},
	{"docker", findDocker},
	{"download", findDownload},
}

func open(ctx context.Context, opts Options) (engine, string, error) {
	return thisHost().open(ctx, opts)
}

func (h host) open(ctx context.Context, opts Options) (engine, string, error) {
	forced := h.getenv("DEVPG_SOURCE")
	var names, missing []string
	for _, s := range sources {
		names = append(names, s.name)
		if forced != "" && forced != s.name {
			continue
		}
		launch, err := s.find(ctx, h, opts)
		if err != nil {
			missing = append(missing, fmt.Sprintf("\n  %-9s %v", s.name+":", err))
			continue
		}
		engine, err := launch(ctx, opts)
		if err != nil {
			return nil, "", fmt.Errorf("source %s: %w%s", s.name, err, strings.Join(missing, ""))
		}
		return engine, s.name, nil
	}
	if len(missing) == 0 {
		return nil, "", fmt.Errorf("DEVPG_SOURCE is %q; want one of %s", forced, strings.Join(names, ", "))
	}
	if forced != "" {
		missing = append(missing, "\nDEVPG_SOURCE allows no other source.")
	}
	return nil, "", errors.New("none was found\n" + strings.TrimPrefix(strings.Join(missing, ""), "\n"))
}
