//go:build unix

package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	scratchPrefix = "waybill-pg-"

	// maxSocketPath is what fits sockaddr_un on macOS; Linux has 4 bytes more.
	maxSocketPath = 103

	// minSweepAge keeps the sweep away from a directory that another process
	// has made but not locked yet.
	minSweepAge = time.Minute
)

// launchEphemeral makes a server that leaves nothing behind.
func (b binaries) launchEphemeral(ctx context.Context, opts Options) (_ engine, err error) {
	dir, lock, err := b.scratch()
	if err != nil {
		return nil, err
	}
	c := &cluster{binaries: b, home: dir, settings: opts.Settings, environ: opts.Environ, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
		}
	}()
	if c.dog, err = startWatchdog(lock, watchdogScript, "QUIT", dir); err != nil {
		return nil, err
	}
	if err := c.initdb(ctx); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// scratch makes a locked directory that the server's account can use, in
// memory where there is room: creating databases makes thousands of files.
func (b binaries) scratch() (string, *os.File, error) {
	var bases []string
	if roomySharedMemory() {
		bases = append(bases, sharedMemory)
	}
	// TMPDIR may be private to us or too long for a socket; the others are not.
	bases = append(bases, os.TempDir(), "/tmp", "/var/tmp")
	var failures []error
	for _, base := range bases {
		sweep(base, time.Now())
		dir, lock, err := b.scratchIn(base)
		if err == nil {
			return dir, lock, nil
		}
		failures = append(failures, err)
	}
	return "", nil, fmt.Errorf("no directory for a temporary server: %w", errors.Join(failures...))
}

func (b binaries) scratchIn(base string) (_ string, _ *os.File, err error) {
	dir, err := os.MkdirTemp(base, scratchPrefix)
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if c := (cluster{home: dir}); c.socketDir() == "" {
		return "", nil, fmt.Errorf("%s is too long a path for a unix socket", dir)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	if err = errors.Join(tryLock(lock), b.admit(dir)); err != nil {
		return "", nil, errors.Join(err, unlock(lock))
	}
	return dir, lock, nil
}

// sweep removes directories whose server, starter and watchdog were all killed
// at once. Theirs is the only lock file that is free.
func sweep(base string, now time.Time) {
	locks, _ := filepath.Glob(filepath.Join(base, scratchPrefix+"*", "lock"))
	for _, path := range locks {
		info, err := os.Stat(path)
		if err != nil || now.Sub(info.ModTime()) < minSweepAge {
			continue
		}
		lock, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue // another user's
		}
		dir := filepath.Dir(path)
		if tryLock(lock) == nil && !serverAlive(dir) {
			_ = os.RemoveAll(dir) // the next sweep tries again
		}
		_ = unlock(lock)
	}
}

// serverAlive reports whether the process named by the directory's pid file
// exists, ours or not.
func serverAlive(dir string) bool {
	pid := readyPID(filepath.Join(dir, "data", "postmaster.pid"))
	return pid > 0 && processAlive(pid)
}

// processAlive reports whether the process exists and has not ended.
func processAlive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && !isZombie(pid)
}

// errLocked says that another open file holds the lock.
var errLocked = errors.New("locked by another process")

func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// unlock does more than close the file: a program that another goroutine is
// just starting may have it open for a moment, and would hold the lock.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
