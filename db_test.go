package waybill

import (
	"context"
	"database/sql"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

// shop is a business with one table.
type shop struct {
	pool  *pgxpool.Pool
	trips *roundTrips
}

func openShop(t *testing.T, db *pgtest.DB, mode pgx.QueryExecMode) *shop {
	t.Helper()
	s := &shop{trips: new(roundTrips)}
	s.pool = db.Pool(t, func(c *pgxpool.Config) {
		c.ConnConfig.DefaultQueryExecMode = mode
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &countedConn{Conn: conn, trips: s.trips}, err
		}
	})
	return s
}

func newShop(t *testing.T) *shop {
	t.Helper()
	return stocked(t, openShop(t, pgtest.New(t), pgx.QueryExecModeCacheStatement))
}

// stocked gives the shop its table.
func stocked(t *testing.T, s *shop) *shop {
	t.Helper()
	s.exec(t, `CREATE TABLE orders (id int PRIMARY KEY)`)
	return s
}

func (s *shop) exec(t *testing.T, query string) {
	t.Helper()
	_, err := s.pool.Exec(t.Context(), query)
	require.NoError(t, err)
}

// value is one number from the database.
func (s *shop) value(t *testing.T, query string) (n int) {
	t.Helper()
	require.NoError(t, s.pool.QueryRow(t.Context(), query).Scan(&n))
	return n
}

// holds checks what is committed: business rows, bundles and jobs.
func (s *shop) holds(t *testing.T, orders, bundles, jobs int) {
	t.Helper()
	require.Equal(t, orders, s.value(t, `SELECT count(*) FROM orders`), "orders")
	require.Equal(t, bundles, s.value(t, `SELECT count(*) FROM waybill.bundle`), "bundles")
	require.Equal(t, jobs, s.value(t, `SELECT count(*) FROM waybill.river_job WHERE kind = 'bundle'`), "jobs")
}

// order writes business row id and runs what stands beside it in the same
// transaction.
func (s *shop) order(t *testing.T, id int, beside func(ctx context.Context, tx pgx.Tx) error) error {
	t.Helper()
	return pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		if err := insertOrder(t.Context(), tx, id); err != nil {
			return err
		}
		return beside(t.Context(), tx)
	})
}

func insertOrder(ctx context.Context, tx pgx.Tx, id int) error {
	_, err := tx.Exec(ctx, `INSERT INTO orders VALUES ($1)`, id)
	return err
}

// strictClient is the client under test, for pgx.
func strictClient(t *testing.T, config Config) *Client[pgx.Tx] {
	t.Helper()
	if config.Logger == nil {
		config.Logger = discard
	}
	client, err := New(config)
	require.NoError(t, err)
	return client
}

func openSQL(t *testing.T, s *shop) (*sql.DB, *Client[*sql.Tx]) {
	t.Helper()
	db := stdlib.OpenDBFromPool(s.pool)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	client, err := NewSQL(Config{Logger: discard})
	require.NoError(t, err)
	return db, client
}

// roundTrips counts how often something was sent after something was read.
type roundTrips struct{ n atomic.Int64 }

func (r *roundTrips) during(t *testing.T, do func() error) int64 {
	t.Helper()
	before := r.n.Load()
	require.NoError(t, do())
	return r.n.Load() - before
}

type countedConn struct {
	net.Conn
	trips *roundTrips
	wrote atomic.Bool
}

func (c *countedConn) Write(b []byte) (int, error) {
	if c.wrote.CompareAndSwap(false, true) {
		c.trips.n.Add(1)
	}
	return c.Conn.Write(b)
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.wrote.Store(false)
	}
	return n, err
}
