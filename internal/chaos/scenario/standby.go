//go:build unix

package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// server is a Postgres that this run can stop and start: devpg's, or a promoted standby.
type server interface {
	URL() string
	DataDir() string
	PID() int // 0 while it does not run
	Halt(immediate bool) error
	Resume(ctx context.Context) error
}

// standby is a copy of the server that follows it, and may be promoted. It lives in the
// first server's directory, which goes with that.
type standby struct {
	dir     string
	name    string
	logs    string
	command func() *exec.Cmd
	process *process // the newest
}

// unavailable says what a machine lacks for a fault.
type unavailable struct{ needs string }

func (u unavailable) Error() string { return "not run, needs " + u.needs }

// openStandby copies the running server and starts the copy, which follows it. From then
// on a COMMIT is answered only when the copy has it too.
func (h *house) openStandby(ctx context.Context) (_ *standby, err error) {
	h.standbys++
	name := "standby-" + strconv.Itoa(h.standbys)
	dir := filepath.Join(filepath.Dir(h.server.DataDir()), name)
	copying := h.server.Command("pg_basebackup", "-d", h.current.URL(), "-D", dir, "-X", "stream", "-c", "fast", "-R", "--no-sync")
	if copying == nil {
		return nil, unavailable{"a Postgres that is installed on this machine"}
	}
	if err := h.giveToServer(dir); err != nil {
		return nil, err
	}
	p, err := startCommand(name+"-copy", copying, h.dir, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.finished:
	case <-ctx.Done():
		p.kill()
	}
	if !p.state.Success() {
		return nil, fmt.Errorf("copy the server: %w", p.lastWords())
	}
	// The server keeps its socket in the directory that was copied.
	if err := os.Remove(filepath.Join(dir, ".s.PGSQL.5432.lock")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	settings, err := h.referee.settings(ctx)
	if err != nil {
		return nil, err
	}
	args := []string{"-D", dir, "-c", "unix_socket_directories=" + dir}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	s := &standby{dir: dir, name: name, logs: h.dir, command: func() *exec.Cmd {
		cmd := h.server.Command("postgres", args...)
		if h.library != nil {
			cmd.Env = append(cmd.Env, h.library.Environ()...)
		}
		return cmd
	}}
	h.copies = append(h.copies, s)
	if err := s.Resume(ctx); err != nil {
		return nil, err
	}
	return s, patiently(ctx, h.referee.follow)
}

// giveToServer makes a directory that belongs to whom the server's own belongs.
func (h *house) giveToServer(dir string) error {
	about, err := os.Stat(h.server.DataDir())
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	owner, ok := about.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	return os.Chown(dir, int(owner.Uid), int(owner.Gid))
}

// URL is how to connect, as Postgres's own superuser.
func (s *standby) URL() string {
	u := url.URL{Scheme: "postgres", Path: "/postgres", RawQuery: url.Values{"host": {s.dir}, "user": {"postgres"}}.Encode()}
	return u.String()
}

// DataDir is the directory that Postgres calls PGDATA.
func (s *standby) DataDir() string { return s.dir }

// PID is the process id, 0 while it does not run.
func (s *standby) PID() int {
	if s.process == nil || !s.process.running() {
		return 0
	}
	return s.process.pid
}

// Halt ends the server, at once or with a checkpoint.
func (s *standby) Halt(immediate bool) error {
	if s.PID() == 0 {
		return nil
	}
	ask := syscall.SIGINT
	if immediate {
		ask = syscall.SIGQUIT
	}
	s.process.signal(ask)
	const patience = 15 * time.Second
	select {
	case <-s.process.finished:
	case <-time.After(patience):
		s.process.kill()
	}
	return nil
}

// Resume starts the server unless it runs, and returns when it answers.
func (s *standby) Resume(ctx context.Context) (err error) {
	if s.PID() == 0 {
		if s.process, err = startCommand(s.name, s.command(), s.logs, syscall.SIGQUIT); err != nil {
			return err
		}
	}
	return patiently(ctx, func(ctx context.Context) error {
		if s.PID() == 0 {
			return fmt.Errorf("%s ended: %w", s.name, s.process.lastWords())
		}
		conn, err := pgx.Connect(ctx, s.URL())
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// promote makes the standby the server, and returns when it takes writes.
func (s *standby) promote(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was left undone
	var promoted bool
	if err := conn.QueryRow(ctx, "SELECT pg_promote()").Scan(&promoted); err != nil {
		return err
	}
	if !promoted {
		return errors.New("the standby was not promoted within a minute")
	}
	return nil
}

// lead makes a server the one that everybody is led to.
func (h *house) lead(to server) error {
	config, err := pgconn.ParseConfig(to.URL())
	if err != nil {
		return err
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	h.linkMu.Lock()
	defer h.linkMu.Unlock()
	h.current = to
	h.network, h.address = network, address
	for _, l := range h.links {
		l.Redirect(network, address)
	}
	return nil
}
