// Package pgtest gives every test a Postgres database of its own, in about ten
// milliseconds, by cloning a migrated template.
//
// The server is the one TEST_DATABASE_URL names, whose role needs CREATEDB and
// whose own database is never written to; otherwise a temporary one is started
// when the first test asks and ends with the test process. KEEP_DB=1 keeps the
// database of a failed test and logs its URL.
//
// A clone has all that is in the template, but not what Postgres keeps outside
// of a database: ALTER DATABASE … SET, and rights on the database itself.
package pgtest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const (
	// maxConns of a pool is small, because parallel tests share one server.
	maxConns = 8

	// cleanupTimeout bounds each step that follows a test.
	cleanupTimeout = 30 * time.Second

	// keptHint tells how to have the server outlive the tests.
	keptHint = "it ends with the server of these tests; to look at it, run them inside\n" +
		"  go run ./internal/devpg/withpg -- bash"
)

// DB is a database that belongs to one test.
type DB struct {
	// URL is its connection URL, for pgx, libpq and child processes.
	URL string

	name   string
	server *server
}

// New gives tb a database with Waybill's schema at the newest version. It is
// dropped, with whatever is still connected, when tb and its subtests have
// ended.
func New(tb testing.TB) *DB {
	tb.Helper()
	s := running(tb)
	template, err := s.template()
	require.NoError(tb, err)
	return s.create(tb, template)
}

// Blank gives tb an empty database, for tests of migrations.
func Blank(tb testing.TB) *DB {
	tb.Helper()
	return running(tb).create(tb, "template0")
}

// Pool opens a pool on the database with at most 8 connections; configure may
// change that and anything else. It is closed when tb has ended, and tb fails if
// a connection has not been released by then.
func (db *DB) Pool(tb testing.TB, configure ...func(*pgxpool.Config)) *pgxpool.Pool {
	tb.Helper()
	config, err := pgxpool.ParseConfig(db.URL)
	require.NoError(tb, err)
	config.MaxConns = maxConns
	for _, change := range configure {
		change(config)
	}
	pool, err := pgxpool.NewWithConfig(tb.Context(), config)
	require.NoError(tb, err)
	tb.Cleanup(func() { closePool(tb, pool, cleanupTimeout) })
	return pool
}

// closePool does not wait for ever for a connection that was never released.
func closePool(tb testing.TB, pool *pgxpool.Pool, patience time.Duration) {
	tb.Helper()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		tb.Errorf("%d connections of this pool were never released", pool.Stat().AcquiredConns())
	}
}

// IgnoreServer excuses the goroutines that own the temporary server from leak
// checks: they last as long as the test process.
func IgnoreServer() goleak.Option {
	return goleak.IgnoreAnyFunction("waybill/internal/devpg.(*process).own")
}

// create clones template for tb.
func (s *server) create(tb testing.TB, template string) *DB {
	tb.Helper()
	db := &DB{name: testDatabaseName(time.Now()), server: s}
	var err error
	db.URL, err = withDatabase(s.url, db.name)
	require.NoError(tb, err)
	require.NoError(tb, s.clone(tb.Context(), template, db.name))
	tb.Cleanup(func() { db.release(tb, os.Getenv("KEEP_DB") == "1") })
	return db
}

// release drops the database, or keeps it for a person to look at.
func (db *DB) release(tb testing.TB, keepFailed bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	if !keepFailed || !tb.Failed() {
		if err := db.server.drop(ctx, db.name); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
		return
	}
	if err := db.server.keep(ctx, db.name); err != nil {
		tb.Errorf("keep the test's database: %v", err)
	}
	tb.Logf("kept the database of this test: %s", db.URL)
	if !db.server.given {
		tb.Log(keptHint)
	}
}
