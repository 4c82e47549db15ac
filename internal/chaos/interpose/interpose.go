//go:build unix

// Package interpose makes the clock and the disk of a Postgres server fail without any
// rights on the machine: a small library stands between the server and the C library.
// It is compiled when it is needed, so a C compiler must be there.
package interpose

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// ErrUnavailable is wrapped by Build where the machine cannot do this. Its text goes on
// with what is missing.
var ErrUnavailable = errors.New("needs")

// Disk is a part of what a server writes.
type Disk int64

// The parts. They may be added.
const (
	Tables Disk = 1 << iota
	WAL         // the write-ahead log
)

// Library is one compiled library and the page by which it is steered. All servers that
// were started with its environment obey it at once. Its methods may be called from
// several goroutines.
type Library struct {
	dir  string
	page *os.File // the servers have it mapped
}

// What of the page means what, as the library has it.
const (
	pageSize = 4096
	offsetAt = 0
	fullAt   = 8
)

//go:embed source/interpose.c
var source []byte

// Build compiles the library. Close removes it.
func Build(ctx context.Context) (_ *Library, err error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%w Linux", ErrUnavailable)
	}
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return nil, fmt.Errorf("%w a C compiler (cc)", ErrUnavailable)
	}
	dir, err := os.MkdirTemp("", "waybill-interpose-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	l := &Library{dir: dir}
	// The server may run as another user, who needs to read both.
	if err := errors.Join(
		os.Chmod(dir, 0o755),
		os.WriteFile(l.path("interpose.c"), source, 0o600),
		os.WriteFile(l.path("page"), make([]byte, pageSize), 0o644),
	); err != nil {
		return nil, err
	}
	compile := exec.CommandContext(ctx, compiler, "-O1", "-shared", "-fPIC", "-o", l.path("interpose.so"), l.path("interpose.c"), "-ldl")
	if output, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w a C compiler that works: %w\n%s", ErrUnavailable, err, output)
	}
	if err := os.Chmod(l.path("interpose.so"), 0o755); err != nil {
		return nil, err
	}
	l.page, err = os.OpenFile(l.path("page"), os.O_WRONLY, 0)
	return l, err
}

func (l *Library) path(name string) string { return filepath.Join(l.dir, name) }

// Environ is what a server must be started with.
func (l *Library) Environ() []string {
	return []string{"LD_PRELOAD=" + l.path("interpose.so"), "CHAOS_PAGE=" + l.path("page")}
}

// set writes one word of the page, which the servers see at once.
func (l *Library) set(at int64, word int64) error {
	if _, err := l.page.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(word)), at); err != nil {
		return fmt.Errorf("steer the library: %w", err)
	}
	return nil
}

// SetClock says how far the servers' clock is ahead of this machine's. Less than zero is
// behind.
func (l *Library) SetClock(ahead time.Duration) error {
	return l.set(offsetAt, ahead.Microseconds())
}

// Fill says which parts of the servers' disk have no room for more; 0 gives it back. What
// is written already can be written again.
func (l *Library) Fill(full Disk) error { return l.set(fullAt, int64(full)) }

// Close removes the library. No server that uses it may start afterwards.
func (l *Library) Close() error {
	return errors.Join(l.page.Close(), os.RemoveAll(l.dir))
}
