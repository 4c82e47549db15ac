//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"waybill/internal/devpg"
)

// process is a child of this process. One goroutine, own, belongs to it and ends when the child has ended.
type process struct {
	name     string
	pid      int
	line     chan string   // the first line of its standard output
	finished chan struct{} // closed when it has ended and was reaped
	state    *os.ProcessState
	log      string
}

// spawn starts a program that dies with this one. What it writes to standard error goes to a file in logs.
func spawn(logs, name string, env []string, path string, args ...string) (*process, error) {
	p := &process{name: name, line: make(chan string, 1), finished: make(chan struct{}), log: filepath.Join(logs, name+".log")}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...) //nolint:noctx // stop and kill end it, in this order
	cmd.Env, cmd.Stderr = env, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	devpg.DieWithParent(cmd.SysProcAttr, syscall.SIGKILL)
	started := make(chan error, 1)
	go p.own(cmd, log, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// own keeps the thread that forked the child: Linux kills the child when that thread ends
// (https://go.dev/issue/27505).
func (p *process) own(cmd *exec.Cmd, log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer log.Close() //nolint:errcheck // it is only read when something else has failed
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		p.line <- lines.Text()
	}
	for lines.Scan() { // read to the end, or the child would block
	}
	_ = cmd.Wait() // its state says how it ended
	p.state = cmd.ProcessState
	close(p.finished)
}

// firstLine waits for the child to say something.
func (p *process) firstLine(ctx context.Context) (string, error) {
	select {
	case line := <-p.line:
		return line, nil
	case <-p.finished:
		return "", p.failure()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// usage is what a process took in all its life.
type usage struct {
	cpu      time.Duration
	maxBytes int64 // most memory resident at one time, until it was asked to end; 0 if the system does not tell
}

// stop asks the child to end and returns what it took. A child that will not end within 30 s is killed.
func (p *process) stop() (usage, error) {
	peak := peakBytes(p.pid)
	p.signal(syscall.SIGTERM)
	patience := time.AfterFunc(30*time.Second, func() { p.signal(syscall.SIGKILL) })
	<-p.finished
	patience.Stop()
	if !p.state.Success() && !p.killedBy(syscall.SIGTERM) {
		return usage{}, p.failure()
	}
	return usage{cpu: p.state.UserTime() + p.state.SystemTime(), maxBytes: peak}, nil
}

func (p *process) killedBy(sig syscall.Signal) bool {
	status, ok := p.state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == sig
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.finished
}

func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.finished: // its id may be another's
	default:
		_ = syscall.Kill(-p.pid, sig) // fails only when it has just ended
	}
}

// failure says how the child ended, with the end of what it wrote.
func (p *process) failure() error {
	const lines = 12
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return errors.New(p.name + " ended: " + p.state.String() + "\n" + strings.Join(all[max(0, len(all)-lines):], "\n"))
}

// await asks every 20 ms until ready says yes, the child ends or a minute is over.
func (p *process) await(ctx context.Context, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("%s is not ready after a minute", p.name))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready(ctx) {
		select {
		case <-tick.C:
		case <-p.finished:
			return p.failure()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
