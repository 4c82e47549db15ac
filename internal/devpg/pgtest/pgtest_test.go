package pgtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/devpg"
	"waybill/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, IgnoreServer()) }

func TestNewIsMigratedAndSeparate(t *testing.T) {
	t.Parallel()
	one, other := New(t), New(t)
	require.NotEqual(t, one.URL, other.URL)
	pool := one.Pool(t)
	require.NoError(t, migrations.Check(t.Context(), pool))

	_, err := pool.Exec(t.Context(), "CREATE TABLE mine ()")
	require.NoError(t, err)
	require.False(t, hasTable(t, other.Pool(t), "mine"))
	require.False(t, hasTable(t, New(t).Pool(t), "mine"), "the template is as it was")
}

func TestBlankIsEmpty(t *testing.T) {
	t.Parallel()
	pool := Blank(t).Pool(t)
	require.ErrorIs(t, migrations.Check(t.Context(), pool), migrations.ErrPending)
	require.Equal(t, "UTF8", scan[string](t, pool, "SHOW server_encoding"))
}

func TestPoolIsSmallUnlessConfigured(t *testing.T) {
	t.Parallel()
	db := Blank(t)
	require.EqualValues(t, 8, db.Pool(t).Config().MaxConns)
	two := db.Pool(t, func(c *pgxpool.Config) { c.MaxConns = 2 })
	require.EqualValues(t, 2, two.Config().MaxConns)
}

func TestDatabaseGoesWithItsTest(t *testing.T) { //nolint:tparallel // it goes on when its subtest has ended
	t.Parallel()
	s := ownServer(t)
	var db *DB
	var left *pgx.Conn
	t.Run("test", func(t *testing.T) {
		db = s.create(t, "template0")
		var err error
		left, err = pgx.Connect(t.Context(), db.URL)
		require.NoError(t, err)
		require.True(t, s.has(t, db.name))
	})
	require.False(t, s.has(t, db.name))
	require.Error(t, left.Ping(t.Context()), "whoever is connected does not keep it")
}

func TestKeepingTheDatabaseOfAFailedTest(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	for _, c := range []struct{ failed, keep, given, kept, hint bool }{
		{failed: true, keep: true, given: true, kept: true},
		{failed: true, keep: true, given: false, kept: true, hint: true},
		{failed: true, keep: false},
		{failed: false, keep: true},
	} {
		s.given = c.given
		db := &DB{name: testDatabaseName(time.Unix(0, 0)), server: s, URL: "the-url"}
		require.NoError(t, s.clone(t.Context(), "template0", db.name))
		tb := &recorder{TB: t, failed: c.failed}

		db.release(tb, c.keep)

		require.Equal(t, c.kept, s.has(t, db.name), "%+v", c)
		require.Equal(t, c.kept, strings.Contains(tb.log, "the-url"), "%+v", c)
		require.Equal(t, c.hint, strings.Contains(tb.log, "withpg"), "%+v", c)
		require.Empty(t, tb.errors)
		require.NoError(t, s.sweep(t.Context(), time.Now()))
		require.Equal(t, c.kept, s.has(t, db.name), "the sweep spares it: %+v", c)
	}
}

func TestUnreleasedConnectionFailsTheTest(t *testing.T) {
	t.Parallel()
	pool := Blank(t).Pool(t)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	tb := &recorder{TB: t}

	closePool(tb, pool, time.Millisecond)
	require.Contains(t, tb.errors, "1 connections of this pool were never released")

	conn.Release()
	tb = &recorder{TB: t}
	closePool(tb, pool, time.Minute)
	require.Empty(t, tb.errors)
}

// recorder is a test that is told how it went and remembers what it was told.
type recorder struct {
	testing.TB

	failed      bool
	log, errors string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Failed() bool                      { return r.failed }
func (r *recorder) Log(args ...any)                   { r.log += fmt.Sprintln(args...) }
func (r *recorder) Logf(format string, args ...any)   { r.log += fmt.Sprintf(format+"\n", args...) }
func (r *recorder) Errorf(format string, args ...any) { r.errors += fmt.Sprintf(format+"\n", args...) }

// ownServer is one that no other test uses.
func ownServer(t *testing.T) *server {
	t.Helper()
	started, err := devpg.Start(t.Context(), devpg.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Stop()) })
	return &server{url: started.URL(), given: true}
}

func (s *server) has(t *testing.T, name string) bool {
	t.Helper()
	var exists bool
	require.NoError(t, s.use(t.Context(), func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	}))
	return exists
}

func (s *server) exec(t *testing.T, statement string) {
	t.Helper()
	require.NoError(t, s.use(t.Context(), func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), statement)
		return err
	}))
}

func hasTable(t *testing.T, pool *pgxpool.Pool, name string) bool {
	t.Helper()
	return scan[bool](t, pool, "SELECT to_regclass('"+name+"') IS NOT NULL")
}

func scan[T any](t *testing.T, pool *pgxpool.Pool, query string) (value T) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), query).Scan(&value))
	return value
}

// together runs n calls of f at once and waits for them.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// createTable is a migrator.
func createTable(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, "CREATE TABLE migrated ()")
	return err
}
