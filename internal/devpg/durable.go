//go:build unix

package devpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// launchDurable runs the server in DIR/pg-<major>: data belongs to a major
// version.
func (b binaries) launchDurable(ctx context.Context, opts Options) (_ engine, err error) {
	home, err := filepath.Abs(filepath.Join(opts.Dir, "pg-"+strconv.Itoa(b.major)))
	if err != nil {
		return nil, err
	}
	lock, err := openHome(ctx, home, b)
	if err != nil {
		return nil, err
	}
	c := &cluster{binaries: b, home: home, durable: true, settings: opts.Settings, environ: opts.Environ, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
		}
	}()
	if c.dog, err = startWatchdog(lock, watchdogScript, "INT"); err != nil {
		return nil, err
	}
	_, err = os.Stat(filepath.Join(c.dataDir(), "PG_VERSION"))
	exists := err == nil
	if c.port, c.password, err = loadAddress(ctx, home, exists); err != nil {
		return nil, err
	}
	_ = os.Remove(c.logFile()) // one log a start, so that it cannot grow for ever
	if !exists {
		if err := c.initdb(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.startOnFreePort(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// startOnFreePort keeps the port of the last time if nobody has taken it.
func (c *cluster) startOnFreePort(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := c.start(ctx)
		if err == nil || !errors.Is(err, errPortTaken) || attempt == 5 {
			return err
		}
		if c.port, err = freePort(ctx); err != nil {
			return err
		}
		if err := saveAddress(c.home, c.port, c.password); err != nil {
			return err
		}
	}
}

// openHome makes and locks the directory of a durable server.
func openHome(ctx context.Context, home string, b binaries) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return nil, err
	}
	if err := os.Mkdir(home, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	if err := checkOwner(home, os.Geteuid()); err != nil {
		return nil, err
	}
	if err := checkOwner(filepath.Join(home, "data"), b.account.fileOwner()); err != nil {
		return nil, err
	}
	if err := b.admit(home); err != nil {
		return nil, err
	}
	return lockHome(ctx, home)
}

// checkOwner turns what would become a row of permission errors into one.
func checkOwner(path string, want int) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != want {
		return fmt.Errorf("%s belongs to uid %d and would be used by uid %d: remove it or use another directory",
			path, stat.Uid, want)
	}
	return nil
}

// lockHome takes the directory for this process. When its last owner was killed
// it waits for that one's server to end.
func lockHome(ctx context.Context, home string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(home, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := tryLock(lock)
		if err == nil {
			if err = writePID(lock); err == nil {
				return lock, nil
			}
		}
		if !errors.Is(err, errLocked) {
			return nil, errors.Join(err, lock.Close())
		}
		if owner := readPID(lock); owner > 0 && processAlive(owner) {
			return nil, errors.Join(fmt.Errorf("%s is in use by process %d: stop that one, or use another directory",
				home, owner), lock.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%s is in use: %w", home, context.Cause(ctx)), lock.Close())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func writePID(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

// readPID is 0 when the lock's owner has not written its id yet.
func readPID(lock *os.File) int {
	content := make([]byte, 20)
	n, _ := lock.ReadAt(content, 0) // at the end of a short file n is what there is
	pid, err := strconv.Atoi(string(content[:n]))
	if err != nil {
		return 0
	}
	return pid
}

// loadAddress reads port and password from the directory's url file, or
// chooses them and writes it. It is written before the data exists: a cluster
// whose password is lost could not be entered.
func loadAddress(ctx context.Context, home string, clusterExists bool) (port int, password string, err error) {
	content, err := os.ReadFile(filepath.Join(home, "url"))
	if errors.Is(err, os.ErrNotExist) && !clusterExists {
		if port, err = freePort(ctx); err != nil {
			return 0, "", err
		}
		password = rand.Text()
		return port, password, saveAddress(home, port, password)
	}
	if err == nil {
		if port, password, err = parseAddress(string(content)); err == nil {
			return port, password, nil
		}
	}
	return 0, "", fmt.Errorf("the password of the cluster in %s is lost: its file url is missing or unreadable; "+
		"remove that directory to begin anew", home)
}

func parseAddress(text string) (port int, password string, err error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return 0, "", err
	}
	password, _ = u.User.Password()
	port, err = strconv.Atoi(u.Port())
	if err == nil && password == "" {
		err = errors.New("no password")
	}
	return port, password, err
}

// saveAddress replaces the url file in one step.
func saveAddress(home string, port int, password string) error {
	path := filepath.Join(home, "url")
	if err := os.WriteFile(path+".new", []byte(loopbackURL(port, password)+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// freePort finds a port that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}
