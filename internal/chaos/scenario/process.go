//go:build unix

package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"waybill/internal/devpg"
)

// process is a child in a process group of its own, whose output goes to one file. It
// dies with this process where the system can do that. One goroutine belongs to it and
// ends when the child has been reaped.
type process struct {
	name     string
	log      string
	pid      int
	finished chan struct{} // closed when it has been reaped
	state    *os.ProcessState
}

func startProcess(name, path string, args, env []string, dir string) (*process, error) {
	cmd := exec.Command(path, args...) //nolint:noctx // how it ends is the whole point
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return startCommand(name, cmd, dir, syscall.SIGKILL)
}

// startCommand starts what leads a process group or a session. onDeath is what it gets
// when this process dies.
func startCommand(name string, cmd *exec.Cmd, dir string, onDeath syscall.Signal) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), finished: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child writes it, not we
	cmd.Stdout, cmd.Stderr = log, log
	devpg.DieWithParent(cmd.SysProcAttr, onDeath)
	started := make(chan error, 1)
	go p.own(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// own keeps the thread that forked the child: Linux ends the child with that thread.
func (p *process) own(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	_ = cmd.Wait()
	p.state = cmd.ProcessState
	close(p.finished)
}

func (p *process) running() bool {
	select {
	case <-p.finished:
		return false
	default:
		return true
	}
}

// signal does nothing once the child was reaped: its id may be another's.
func (p *process) signal(sig syscall.Signal) {
	if p.running() {
		_ = syscall.Kill(-p.pid, sig) // fails only when it has just ended
	}
}

// kill ends the child at once.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.finished
}

// stop asks the child to end and says how that went. It kills one that does not.
func (p *process) stop(patience time.Duration) (took time.Duration, code int) {
	began := time.Now()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.finished:
	case <-time.After(patience):
		p.kill()
	}
	return time.Since(began), p.state.ExitCode()
}

// lastWords is the end of what it wrote.
func (p *process) lastWords() error {
	const lines = 8
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	all := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return errors.New(string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))))
}
