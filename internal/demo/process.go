//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"waybill/internal/devpg"
)

// program says what to run.
type program struct {
	name string // of the process, for people and for its two files
	path string
	args []string
	dir  string
	env  []string // all of it
}

// process is a child of this process, in a process group of its own: a Ctrl-C on the
// terminal reaches this process alone, which then ends its children in order. Output
// goes to files. One goroutine, own, belongs to it and ends when the child has ended.
type process struct {
	name     string
	outPath  string // standard output
	errPath  string // standard error
	pid      int
	finished chan struct{} // closed when it has ended and was reaped
	err      error         // how it ended; read it after finished
}

// start runs a program whose output goes to files in logs. It dies with this process
// where the system can do that.
func start(p program, logs string) (*process, error) {
	c := &process{
		name:     p.name,
		outPath:  filepath.Join(logs, p.name+".out"),
		errPath:  filepath.Join(logs, p.name+".log"),
		finished: make(chan struct{}),
	}
	out, err := os.Create(c.outPath)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(out)
	log, err := os.Create(c.errPath)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(log)

	cmd := exec.Command(p.path, p.args...) //nolint:noctx // its owner ends it, the whole group of it
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, p.env, out, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	devpg.DieWithParent(cmd.SysProcAttr, syscall.SIGKILL)
	started := make(chan error, 1)
	go c.own(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return c, nil
}

// closeQuietly is for what was only read, or has been handed on.
func closeQuietly(c io.Closer) { _ = c.Close() }

// own keeps the thread that forked the child: Linux kills the child when that thread
// ends (https://go.dev/issue/27505).
func (p *process) own(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	p.err = cmd.Wait()
	close(p.finished)
}

// running reports whether the child has not ended.
func (p *process) running() bool {
	select {
	case <-p.finished:
		return false
	default:
		return true
	}
}

// signal reaches the child and its own children. It does nothing once the child was
// reaped: its id may be another's.
func (p *process) signal(sig syscall.Signal) {
	if p.running() {
		_ = syscall.Kill(-p.pid, sig) // fails only when it has just ended
	}
}

// kill ends the child at once and waits until it was reaped.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.finished
}

// wait returns when the child has ended, with what it wrote to standard output.
func (p *process) wait(ctx context.Context) ([]byte, error) {
	select {
	case <-p.finished:
	case <-ctx.Done():
		p.kill()
		return nil, context.Cause(ctx)
	}
	if err := p.failure(); err != nil {
		return nil, err
	}
	return os.ReadFile(p.outPath)
}

const (
	readyTimeout = 20 * time.Second
	readyPoll    = 20 * time.Millisecond
)

// await asks until ready says yes. It gives up when the child ends.
func (p *process) await(ctx context.Context, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("%s is not ready after %v", p.name, readyTimeout))
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for !ready(ctx) {
		select {
		case <-tick.C:
		case <-p.finished:
			return errors.Join(fmt.Errorf("%s ended before it was ready", p.name), p.failure())
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", context.Cause(ctx), p.lastWords())
		}
	}
	return nil
}

// failure is how the child failed, with the end of what it said; nil while it runs
// and when it ended well.
func (p *process) failure() error {
	if p.running() || p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.lastWords())
}

// lastWords is the end of what it wrote to standard error.
func (p *process) lastWords() string {
	const lines = 15
	content, err := os.ReadFile(p.errPath)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// unexpected is an error if the child has ended, in whatever way.
func (p *process) unexpected() error {
	if p.running() {
		return nil
	}
	return errors.Join(fmt.Errorf("%s has ended by itself", p.name), p.failure())
}
