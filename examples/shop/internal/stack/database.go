package stack

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// Database is a migrated database of one test. It goes when the test ends.
type Database struct {
	// Admin sees and may do everything.
	Admin *pgxpool.Pool

	name string
}

// New clones a database for a test.
func New(t *testing.T) *Database {
	t.Helper()
	ctx := t.Context()
	d := &Database{name: "shop_" + here.suffix + "_" + strings.ToLower(rand.Text()[:8])}
	require.NoError(t, here.exec(ctx, "CREATE DATABASE "+d.name+" TEMPLATE "+here.template))
	t.Cleanup(func() {
		require.NoError(t, here.exec(context.WithoutCancel(ctx), "DROP DATABASE "+d.name+" WITH (FORCE)"))
	})
	var err error
	d.Admin, err = pgxpool.New(ctx, d.URL(Admin))
	require.NoError(t, err)
	t.Cleanup(d.Admin.Close)
	return d
}

// URL is the database's for a login.
func (d *Database) URL(login Login) string { return here.at(d.name, login) }

// Own gives a login the schema of its name, where its unqualified tables stand.
func (d *Database) Own(t *testing.T, login Login) {
	t.Helper()
	d.Exec(t, "CREATE SCHEMA AUTHORIZATION "+here.role(login))
}

// Exec runs SQL as the administrator.
func (d *Database) Exec(t *testing.T, sql string) {
	t.Helper()
	_, err := d.Admin.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// Count answers a question of one number, as the administrator.
func (d *Database) Count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, d.Admin.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}
