//go:build unix

package main

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/migrations"
)

// The three logins have what their roles have, and a given server is left as it was.
func TestTheDemoTakesLittleAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h, err := newStack()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.close(context.Background())) })
	require.NoError(t, h.startPostgres(t.Context(), ""))
	host := h.postgres
	require.Less(t, len("  export DATABASE_URL="+host.forPeople()), columns)

	guest, err := startPostgres(t.Context(), host.server.URL(), "", nil)
	require.NoError(t, err)
	pool, err := pgxpool.New(t.Context(), guest.admin.String())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, migrations.Up(t.Context(), pool))
	require.NoError(t, guest.createLogins(t.Context(), pool))

	run := func(l login, sql string) error {
		conn, err := pgx.Connect(t.Context(), guest.as(l, "test"))
		require.NoError(t, err)
		defer conn.Close(t.Context()) //nolint:errcheck // the statement has been answered
		_, err = conn.Exec(t.Context(), sql)
		return err
	}
	refused := func(l login, sql string) {
		var problem *pgconn.PgError
		require.ErrorAs(t, run(l, sql), &problem, "%s: %s", l, sql)
		require.Equal(t, "42501", problem.Code, "%s: %s", l, sql)
	}
	require.NoError(t, run(loginShop, "CREATE TABLE orders (id text)"))
	require.NoError(t, run(loginShop, `SELECT waybill.enqueue('{"key": "k", "user_id": "u", "track": {"event": "E"}}')`))
	refused(loginShop, "SELECT payload FROM waybill.bundle")
	require.NoError(t, run(loginWorker, "SELECT payload FROM waybill.bundle"))
	refused(loginWorker, "SELECT id FROM shop.orders")
	require.NoError(t, run(loginOperator, "SELECT * FROM waybill.job"))
	require.NoError(t, run(loginOperator, "SELECT id FROM shop.orders"))
	refused(loginOperator, "SELECT payload FROM waybill.bundle")
	refused(loginOperator, "DELETE FROM shop.orders")

	pool.Close()
	require.NoError(t, guest.stop(t.Context()))
	conn, err := pgx.Connect(t.Context(), host.server.URL())
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // the question has been answered
	var left int
	require.NoError(t, conn.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM pg_catalog.pg_database WHERE datname LIKE 'demo\_%')
			+ (SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname LIKE '%\_' || right($1, 6))`,
		guest.suffix).Scan(&left))
	require.Zero(t, left)
}

func TestAServerWithoutAHostIsRefused(t *testing.T) {
	t.Parallel()
	for given, problem := range map[string]string{
		"postgres:///postgres?host=/tmp&user=postgres": "no host",
		"host=127.0.0.1 user=postgres":                 "no host",
		"postgres://h/db?user=postgres":                "its user behind the question mark",
		"postgres://h/db?dbname=other":                 "its dbname behind the question mark",
	} {
		_, err := parseServer(given)
		require.ErrorContains(t, err, problem, given)
	}
	address, err := parseServer("postgres://u:p@h:5432/db?sslmode=require")
	require.NoError(t, err)
	p := &postgres{admin: *address, given: true, suffix: "_x", password: "secret"}
	require.Equal(t, "postgres://shop_x:secret@h:5432/db?application_name=shop&sslmode=require", p.as(loginShop, "shop"))
	parsed, err := url.Parse(p.forPeople())
	require.NoError(t, err)
	require.Equal(t, "sslmode=require", parsed.RawQuery, "a given server may insist on it")
}
