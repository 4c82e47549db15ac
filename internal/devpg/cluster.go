//go:build unix

package devpg

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cluster is the engine that runs server programs of this machine on a data
// directory.
type cluster struct {
	binaries

	home     string // holds all of it, and is ours; removed at the end unless durable
	port     int    // on 127.0.0.1, 0 for none
	password string
	durable  bool
	settings map[string]string
	environ  []string

	lock   *os.File
	dog    *watchdog
	server *process // nil while halted
}

var (
	errPortTaken  = errors.New("the port is taken")
	errStillInUse = errors.New("a process of the previous server is still there")
)

func (b binaries) launch(ctx context.Context, opts Options) (engine, error) {
	if opts.Durable {
		return b.launchDurable(ctx, opts)
	}
	return b.launchEphemeral(ctx, opts)
}

// dataDir is all that the server's account may write to. It is private to that
// account, and so holds the unix socket as well.
func (c *cluster) dataDir() string { return filepath.Join(c.home, "data") }

func (c *cluster) logFile() string { return filepath.Join(c.home, "postgres.log") }

// socketDir is "" where the path would be too long for a socket.
func (c *cluster) socketDir() string {
	if len(filepath.Join(c.dataDir(), ".s.PGSQL.65535")) > maxSocketPath {
		return ""
	}
	return c.dataDir()
}

func (c *cluster) url() string {
	if c.port > 0 {
		return loopbackURL(c.port, c.password)
	}
	return socketURL(c.dataDir())
}

func (c *cluster) pid() int {
	if c.server == nil || !c.server.running() {
		return 0
	}
	return c.server.pid
}

// initdb creates the data directory. It is made beside its place and moved
// there, so that an interrupted run leaves nothing that looks complete.
func (c *cluster) initdb(ctx context.Context) error {
	fresh := c.dataDir() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(fresh, 0o700), c.account.own(fresh)); err != nil {
		return err
	}
	args := append([]string{"-D", fresh, "-U", "postgres", "--no-instructions"}, initdbLocale(c.major)...)
	if c.durable {
		passwordFile := filepath.Join(c.home, "initdb.password")
		defer func() { _ = os.Remove(passwordFile) }()
		if err := errors.Join(os.WriteFile(passwordFile, []byte(c.password+"\n"), 0o600), c.account.own(passwordFile)); err != nil {
			return err
		}
		args = append(args, "--auth=scram-sha-256", "--pwfile="+passwordFile)
	} else {
		args = append(args, "--auth=trust", "--no-sync")
	}
	p, _, err := c.run(syscall.SIGTERM, "initdb", args...)
	if err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.endGroup()
		return context.Cause(ctx)
	}
	if p.err != nil {
		return fmt.Errorf("initdb failed: %w\n%s", p.err, c.logSince(0))
	}
	return os.Rename(fresh, c.dataDir())
}

// command prepares one of the server programs to run as the server's account.
func (c *cluster) command(program string, args ...string) *exec.Cmd {
	return c.account.command(c.program(program), args...)
}

// run starts one of the server programs with its output in the log, puts it
// under the watchdog, and returns where in the log its output begins.
func (c *cluster) run(onDeath syscall.Signal, name string, args ...string) (*process, int64, error) {
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = log.Close() }()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, err
	}
	cmd := c.command(name, args...)
	cmd.Env = append(cmd.Env, c.environ...)
	cmd.Stdout, cmd.Stderr = log, log
	DieWithParent(cmd.SysProcAttr, onDeath)
	p, err := startProcess(cmd, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("run %s as %v: %w", name, c.account, err)
	}
	if err := c.dog.watch(p.pid); err != nil {
		p.endGroup()
		return nil, 0, err
	}
	return p, begin, nil
}

// start waits for the remains of a killed server to end, if there are any.
func (c *cluster) start(ctx context.Context) error {
	patience := time.After(15 * time.Second)
	for {
		err := c.tryStart(ctx)
		if !errors.Is(err, errStillInUse) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-patience:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *cluster) tryStart(ctx context.Context) error {
	if c.pid() != 0 {
		return nil
	}
	args := append([]string{"-D", c.dataDir()},
		serverSettings(c.durable, roomySharedMemory(), c.settings, listenOn(c.port, c.socketDir()))...)
	p, begin, err := c.run(c.stopSignal(), "postgres", args...)
	if err != nil {
		return err
	}
	c.server = p
	if err := c.awaitReady(ctx, p); err != nil {
		_ = c.halt(true)
		text := c.logSince(begin)
		return fmt.Errorf("%w\n%s", cmp.Or(diagnose(text), err), text)
	}
	return nil
}

// diagnose recognises the failures that another attempt may not meet.
func diagnose(log string) error {
	switch {
	case strings.Contains(log, "Address already in use"):
		return errPortTaken
	case strings.Contains(log, "is still in use"), strings.Contains(log, `"postmaster.pid" already exists`):
		return errStillInUse
	}
	return nil
}

// awaitReady waits until the server accepts connections. It believes the pid
// file and only with our child's pid in it: a socket or a port that answers
// may be another server's.
func (c *cluster) awaitReady(ctx context.Context, p *process) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if readyPID(filepath.Join(c.dataDir(), "postmaster.pid")) == p.pid {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("postgres ended at once: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("postgres is not ready: %w", context.Cause(ctx))
		}
	}
}

// readyPID reads the process id from a postmaster.pid, 0 unless it also says
// ready: the pid is its first line, the state its eighth.
func readyPID(path string) int {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) < 8 || strings.TrimSpace(lines[7]) != "ready" {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return 0
	}
	return pid
}

// logSince is the end of what was logged from begin on, for an error.
func (c *cluster) logSince(begin int64) string {
	const lines = 12
	content, err := os.ReadFile(c.logFile())
	if err != nil || begin > int64(len(content)) {
		return ""
	}
	tail := bytes.Split(bytes.TrimSpace(content[begin:]), []byte("\n"))
	return string(bytes.Join(tail[max(0, len(tail)-lines):], []byte("\n")))
}

// stopSignal asks for a fast shutdown, with a checkpoint, if the data matters,
// and else for an immediate one. SIGTERM would wait for clients.
func (c *cluster) stopSignal() syscall.Signal {
	if c.durable {
		return syscall.SIGINT
	}
	return syscall.SIGQUIT
}

func (c *cluster) halt(immediate bool) error {
	if c.server == nil {
		return nil
	}
	steps := []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 15 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}}
	if immediate {
		steps = steps[1:]
	}
	for _, step := range steps {
		c.server.signal(step.signal)
		c.server.signal(syscall.SIGCONT) // a frozen one would not notice
		select {
		case <-c.server.exited:
			c.server = nil
			return c.dog.watch(0)
		case <-time.After(step.wait):
		}
	}
	return fmt.Errorf("postgres, process %d, survives SIGKILL", c.server.pid)
}

func (c *cluster) remove() error {
	err := c.halt(!c.durable)
	if c.dog != nil {
		c.dog.finish()
	}
	if c.lock != nil {
		err = errors.Join(err, unlock(c.lock))
	}
	if !c.durable {
		err = errors.Join(err, os.RemoveAll(c.home)) // the watchdog did; it may have been killed
	}
	return err
}
