//go:build unix

package devpg

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a child of this process. One goroutine, own, belongs to it and
// ends when the child has exited.
type process struct {
	pid    int
	exited chan struct{} // closed when the child has exited and was reaped
	err    error         // how it exited; read it after exited

	// held stays open while the child runs, even if callers forget all about
	// it: own refers to it, and only a file that nothing refers to is closed by
	// the garbage collector.
	held *os.File
}

// startProcess starts cmd, whose outputs must be files: a pipe would need
// another goroutine.
func startProcess(cmd *exec.Cmd, held *os.File) (*process, error) {
	p := &process{exited: make(chan struct{}), held: held}
	started := make(chan error, 1)
	go p.own(cmd, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// own keeps the thread that forked the child for as long as the child lives:
// Linux sends the parent-death signal when that thread ends
// (https://go.dev/issue/27505).
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
	close(p.exited)
}

// running reports whether the child has not exited yet.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// signal is a no-op once the child has been reaped: its id may be another's.
func (p *process) signal(sig syscall.Signal) {
	if p.running() {
		_ = syscall.Kill(p.pid, sig) // fails only when it has just exited
	}
}

// endGroup ends the child, which must lead a session, and its own children.
// They are asked first: a Postgres that is killed leaves shared memory behind.
func (p *process) endGroup() {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if p.running() {
			_ = syscall.Kill(-p.pid, sig) // fails only when it has just exited
		}
		select {
		case <-p.exited:
			return
		case <-time.After(5 * time.Second):
		}
	}
}

//go:embed watchdog.sh
var watchdogScript string

//go:embed watchdog_docker.sh
var dockerWatchdogScript string

// watchdog is a small shell, in a session of its own, that outlives this
// process by as long as it takes to clean up after it. It learns of our end,
// SIGKILL included, by the end of a pipe, which it holds.
type watchdog struct{ shell *process }

// startWatchdog runs script with args. The shell also has lock open, so that
// the lock is not free before everything is gone.
func startWatchdog(lock *os.File, script string, args ...string) (*watchdog, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open the watchdog's pipe: %w", err)
	}
	defer func() { _ = read.Close() }()
	shell, err := startProcess(&exec.Cmd{
		Path: "/bin/sh",
		// The script is not an argument, so that ps shows a short line.
		Args:        append([]string{"sh", "-c", `eval "$DEVPG_WATCHDOG"`, "watchdog"}, args...),
		Env:         append(os.Environ(), "DEVPG_WATCHDOG="+script),
		Dir:         "/",
		Stdin:       read,
		ExtraFiles:  []*os.File{lock},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}, write)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the watchdog: %w", err), write.Close())
	}
	return &watchdog{shell}, nil
}

// watch names the process to end when we are gone; 0 is none.
func (w *watchdog) watch(pid int) error {
	if _, err := fmt.Fprintln(w.shell.held, pid); err != nil {
		return fmt.Errorf("the watchdog of this Postgres is gone: %w", err)
	}
	return nil
}

// finish lets the watchdog clean up and waits for it.
func (w *watchdog) finish() {
	_ = w.shell.held.Close()
	<-w.shell.exited
}
