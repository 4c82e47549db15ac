package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// server is the Postgres of TEST_DATABASE_URL with a migrated database to clone and
// two logins as an operator would make them.
type server struct {
	url      url.URL
	suffix   string
	template string
	producer string // has the role waybill_producer
	stranger string // has no role
}

var tests server

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	given, err := url.Parse(os.Getenv("TEST_DATABASE_URL"))
	if err != nil || given.Scheme == "" {
		fmt.Fprintln(os.Stderr, "TEST_DATABASE_URL is not the URL of a Postgres; `make test` starts one")
		return 1
	}
	defer tests.remove()
	if err := tests.prepare(ctx, *given); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the test database:", err)
		return 1
	}
	return m.Run()
}

func (s *server) prepare(ctx context.Context, given url.URL) error {
	s.url, s.suffix = given, strings.ToLower(rand.Text()[:8])
	s.template, s.producer, s.stranger = "shop_"+s.suffix, "shop_producer_"+s.suffix, "shop_stranger_"+s.suffix
	if err := s.exec(ctx, "CREATE DATABASE "+s.template); err != nil {
		return err
	}
	// As anybody would: by the worker's own command, from the repository's root.
	migrate := exec.CommandContext(ctx, "go", "-C", "../..", "run", "./cmd/worker", "migrate")
	migrate.Env = append(os.Environ(), "DATABASE_URL="+s.at(s.template, ""))
	if out, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("worker migrate: %w\n%s", err, out)
	}
	for _, statement := range []string{
		"CREATE ROLE " + s.producer + " LOGIN PASSWORD 'secret' IN ROLE waybill_producer",
		"CREATE ROLE " + s.stranger + " LOGIN PASSWORD 'secret'",
	} {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + s.template + " WITH (FORCE)",
		"DROP ROLE IF EXISTS " + s.producer,
		"DROP ROLE IF EXISTS " + s.stranger,
	} {
		if err := s.exec(ctx, statement); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
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

// at is the URL of a database for a login, or for the administrator if that is empty.
// The query wins over the rest of a URL, and the URL of a socket has all in it.
func (s *server) at(database, login string) string {
	u := s.url
	u.Path = "/" + database
	if login != "" {
		query := u.Query()
		query.Set("user", login)
		query.Set("password", "secret")
		u.User, u.RawQuery = nil, query.Encode()
	}
	return u.String()
}

// fixture is a database of one test: the shop with its own login, and the
// administrator's view of everything.
type fixture struct {
	shop  *Shop
	url   string // the shop's
	admin *pgxpool.Pool
}

// open gives the test a shop with one account and one customer.
func open(t *testing.T) fixture {
	t.Helper()
	f := openAs(t, tests.producer)
	_, err := f.shop.SignUp(t.Context(), "acc_1", "Acme", []string{"usr_1"})
	require.NoError(t, err)
	return f
}

// openAs gives the test an empty shop whose login is given.
func openAs(t *testing.T, login string) fixture {
	t.Helper()
	ctx := t.Context()
	name := "shop_" + tests.suffix + "_" + strings.ToLower(rand.Text()[:8])
	require.NoError(t, tests.exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+tests.template))
	t.Cleanup(func() {
		require.NoError(t, tests.exec(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)"))
	})
	f := fixture{url: tests.at(name, login)}
	var err error
	f.admin, err = pgxpool.New(ctx, tests.at(name, ""))
	require.NoError(t, err)
	t.Cleanup(f.admin.Close)
	_, err = f.admin.Exec(ctx, "CREATE SCHEMA AUTHORIZATION "+login)
	require.NoError(t, err)

	f.shop, err = Open(ctx, f.url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.shop.Close()) })
	return f
}

// count answers a question of one number, as the administrator.
func (f fixture) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, f.admin.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

// bundles is how many bundles have an action key, which is never more than one.
func (f fixture) bundles(t *testing.T, key string) int {
	t.Helper()
	return f.count(t, "SELECT count(*) FROM waybill.bundle WHERE action_key = $1", key)
}

func (f fixture) orders(t *testing.T, id string) int {
	t.Helper()
	var n int
	require.NoError(t, f.shop.pool.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE id = $1", id).Scan(&n))
	return n
}

// payload is the one bundle with the key.
func (f fixture) payload(t *testing.T, key string) map[string]any {
	t.Helper()
	var payload map[string]any
	require.NoError(t, f.admin.QueryRow(t.Context(),
		"SELECT payload FROM waybill.bundle WHERE action_key = $1", key).Scan(&payload))
	return payload
}
