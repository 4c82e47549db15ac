// Package stack is what the shop runs on, for its tests: a migrated database for each
// test, logins as an operator would make them, a worker and a fake Amplitude.
package stack

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Login is somebody who connects to a database.
type Login string

// The logins. Those of the administrator are the server's own.
const (
	Admin    Login = ""
	Producer Login = "producer" // has the role waybill_producer, as the shop does
	Worker   Login = "worker"   // has the role waybill_worker
	Stranger Login = "stranger" // has no role
)

// server is the Postgres of TEST_DATABASE_URL, with a migrated database to clone.
type server struct {
	url      url.URL
	suffix   string // of what this run of the tests makes
	template string
}

var (
	here     server
	programs = sync.OnceValues(build)
)

const (
	prepareTimeout = 5 * time.Minute
	cleanupTimeout = 30 * time.Second
)

// Run prepares the server, runs the tests of a package and cleans up. It is all that
// their TestMain does.
func Run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), prepareTimeout)
	defer cancel()
	given, err := url.Parse(os.Getenv("TEST_DATABASE_URL"))
	if err != nil || given.Scheme == "" {
		fmt.Fprintln(os.Stderr, "TEST_DATABASE_URL is not the URL of a Postgres; `make test` starts one")
		return 1
	}
	defer here.remove()
	if err := here.prepare(ctx, *given); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the test database:", err)
		return 1
	}
	return m.Run()
}

func (s *server) prepare(ctx context.Context, given url.URL) error {
	s.url, s.suffix = given, strings.ToLower(rand.Text()[:8])
	s.template = "shop_" + s.suffix
	if err := s.exec(ctx, "CREATE DATABASE "+s.template); err != nil {
		return err
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	// As anybody would: by the worker's own command.
	migrate := exec.CommandContext(ctx, "go", "-C", root, "run", "./cmd/worker", "migrate") //nolint:gosec // this repository
	migrate.Env = append(Environ(), "DATABASE_URL="+s.at(s.template, Admin))
	if out, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("worker migrate: %w\n%s", err, out)
	}
	for login, in := range map[Login]string{
		Producer: " IN ROLE waybill_producer", Worker: " IN ROLE waybill_worker", Stranger: "",
	} {
		if err := s.exec(ctx, "CREATE ROLE "+s.role(login)+" LOGIN PASSWORD 'secret'"+in); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	statements := []string{"DROP DATABASE IF EXISTS " + s.template + " WITH (FORCE)"}
	for _, login := range []Login{Producer, Worker, Stranger} {
		statements = append(statements, "DROP ROLE IF EXISTS "+s.role(login))
	}
	for _, statement := range statements {
		if err := s.exec(ctx, statement); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	removeBuilt()
}

// exec runs one statement as the server's administrator.
func (s *server) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.url.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement has been answered
	_, err = conn.Exec(ctx, statement)
	return err
}

func (s *server) role(login Login) string { return "shop_" + string(login) + "_" + s.suffix }

// at is the URL of a database for a login. The query wins over the rest of a URL, and
// the URL of a socket has all in it.
func (s *server) at(database string, login Login) string {
	u := s.url
	u.Path = "/" + database
	if login != Admin {
		query := u.Query()
		query.Set("user", s.role(login))
		query.Set("password", "secret")
		u.User, u.RawQuery = nil, query.Encode()
	}
	return u.String()
}

// Environ is the environment without settings of Waybill, and without the repository of a
// git hook that the tests may run in.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "ANALYTICS_") || strings.HasPrefix(variable, "AMPLITUDE_") || strings.HasPrefix(variable, "GIT_")
	})
}

// repository is the folder of the module waybill, whose programs the tests run.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "waybill").Output()
	if err != nil {
		return "", fmt.Errorf("find the module waybill: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
