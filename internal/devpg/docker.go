//go:build unix

package devpg

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	dockerImage = "postgres:18-alpine"
	dockerMajor = 18

	// dockerCommand bounds the other commands but for the run, which pulls.
	dockerCommand = 30 * time.Second
)

// container is the engine that runs the official image by Docker's command
// line. It listens on a loopback port chosen here, because one that Docker
// chose would change with every restart.
type container struct {
	docker   string // path of the command
	name     string
	home     string // holds the lock, and a durable server's data
	port     int
	password string
	durable  bool
	settings map[string]string

	lock *os.File
	dog  *watchdog
}

// findDocker offers Docker if its daemon answers.
func findDocker(ctx context.Context, h host, _ Options) (launcher, error) {
	docker, err := h.lookPath("docker")
	if err != nil {
		return nil, errors.New("docker is not installed")
	}
	ctx, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	if err := exec.CommandContext(ctx, docker, "version", "--format", "{{.Server.Version}}").Run(); err != nil {
		return nil, fmt.Errorf("the Docker daemon does not answer: %w", err)
	}
	return func(ctx context.Context, opts Options) (engine, error) { return launchContainer(ctx, docker, opts) }, nil
}

func launchContainer(ctx context.Context, docker string, opts Options) (_ engine, err error) {
	c := &container{
		docker: docker, name: "waybill-pg-" + strings.ToLower(rand.Text()[:12]),
		durable: opts.Durable, settings: opts.Settings,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
		}
	}()
	if err := c.prepareHome(ctx, opts.Dir); err != nil {
		return nil, err
	}
	grace, scratch := "", c.home
	if c.durable {
		grace, scratch = "15", ""
	}
	if c.dog, err = startWatchdog(c.lock, dockerWatchdogScript, docker, c.name, grace, scratch); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		err := c.run(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return nil, err
		}
		if c.port, err = freePort(ctx); err != nil {
			return nil, err
		}
	}
	if c.durable {
		if err := saveAddress(c.home, c.port, c.password); err != nil {
			return nil, err
		}
	}
	return c, c.awaitReady(ctx)
}

// prepareHome locks the directory of this server, and chooses or remembers its
// address.
func (c *container) prepareHome(ctx context.Context, dir string) (err error) {
	if !c.durable {
		if c.home, err = os.MkdirTemp("", scratchPrefix); err != nil {
			return err
		}
	} else {
		if c.home, err = filepath.Abs(filepath.Join(dir, fmt.Sprintf("docker-pg-%d", dockerMajor))); err != nil {
			return err
		}
		if err := os.MkdirAll(c.home, 0o700); err != nil {
			return err
		}
	}
	if c.lock, err = lockHome(ctx, c.home); err != nil {
		return err
	}
	_, err = os.Stat(c.volume())
	c.port, c.password, err = loadAddress(ctx, c.home, err == nil)
	return err
}

func (c *container) volume() string { return filepath.Join(c.home, "volume") }

// run creates the container. The password goes through the environment: an
// argument could be read by every user of the machine.
func (c *container) run(ctx context.Context) error {
	args := []string{
		"run", "-d", "--name", c.name, "--label", "waybill.devpg",
		"-e", "POSTGRES_PASSWORD", "-e", "POSTGRES_INITDB_ARGS=" + strings.Join(initdbLocale(dockerMajor), " "),
		"-p", fmt.Sprintf("127.0.0.1:%d:5432", c.port), "--shm-size=256m",
	}
	if c.durable {
		args = append(args, "-v", c.volume()+":/var/lib/postgresql")
	}
	// The image's own settings decide where the server listens in there.
	args = append(append(args, dockerImage), serverSettings(c.durable, true, c.settings, map[string]string{
		"listen_addresses": "*", "port": "5432", "unix_socket_directories": "/var/run/postgresql", "unix_socket_permissions": "0777",
	})...)
	cmd := exec.CommandContext(ctx, c.docker, args...)
	cmd.Env = append(os.Environ(), "POSTGRES_PASSWORD="+c.password)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	text := string(bytes.TrimSpace(out))
	if strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use") {
		return errors.Join(fmt.Errorf("%w: %s", errPortTaken, text), c.command(ctx, "rm", "-f", "-v", c.name))
	}
	return fmt.Errorf("docker run %s: %w\n%s", dockerImage, err, text)
}

// command runs a short docker command.
func (c *container) command(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, dockerCommand)
	defer cancel()
	if out, err := exec.CommandContext(ctx, c.docker, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("docker %s: %w\n%s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// awaitReady connects from outside: while it initialises, the image runs a
// server on its own socket only. Docker's proxy accepts and drops connections
// before the server listens.
func (c *container) awaitReady(ctx context.Context) error {
	for {
		err := ping(ctx, c.url())
		var refusal *pgconn.PgError
		const startingUp = "57P03" // https://www.postgresql.org/docs/current/errcodes-appendix.html
		if err == nil || errors.As(err, &refusal) && refusal.Code != startingUp {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the container %s does not accept connections: %w", c.name, err)
		case <-time.After(250 * time.Millisecond):
		}
		if out, err := exec.CommandContext(ctx, c.docker, "inspect", "-f", "{{.State.Running}}", c.name).Output(); err == nil &&
			strings.TrimSpace(string(out)) == "false" {
			logs, _ := exec.CommandContext(ctx, c.docker, "logs", "--tail", "12", c.name).CombinedOutput()
			return fmt.Errorf("the container %s has ended\n%s", c.name, bytes.TrimSpace(logs))
		}
	}
}

func (c *container) url() string     { return loopbackURL(c.port, c.password) }
func (c *container) dataDir() string { return "" }
func (c *container) pid() int        { return 0 }

func (c *container) start(ctx context.Context) error {
	if err := c.command(ctx, "start", c.name); err != nil {
		return err
	}
	return c.awaitReady(ctx)
}

// halt leaves the container in place: it holds an ephemeral server's data. The
// image names SIGINT as its stop signal, which is the fast shutdown.
func (c *container) halt(immediate bool) error {
	grace := "15"
	if immediate {
		grace = "0"
	}
	return c.command(context.Background(), "stop", "-t", grace, c.name)
}

func (c *container) remove() error {
	if c.dog != nil {
		c.dog.finish() // it stops and removes the container
	}
	var err error
	if c.lock != nil {
		err = errors.Join(err, unlock(c.lock))
	}
	if !c.durable && c.home != "" {
		err = errors.Join(err, os.RemoveAll(c.home))
	}
	return err
}
