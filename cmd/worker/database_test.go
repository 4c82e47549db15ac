package main

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/settings"
)

func configOf(t *testing.T, url string) *pgxpool.Config {
	t.Helper()
	config, err := poolConfig(settings.Settings{DatabaseURL: settings.NewSecret(url)})
	require.NoError(t, err)
	return config
}

func TestPoolDefaultsAndWhatTheURLSays(t *testing.T) {
	t.Parallel()
	byDefault := configOf(t, "postgres://u@h/d")
	require.EqualValues(t, poolSize, byDefault.MaxConns)
	require.Equal(t, "waybill-worker", byDefault.ConnConfig.RuntimeParams["application_name"])
	require.Equal(t, connectTimeout, byDefault.ConnConfig.ConnectTimeout)
	require.NotNil(t, byDefault.ConnConfig.ValidateConnect)
	require.NotZero(t, byDefault.PingTimeout)

	given := configOf(t, "postgres://u@h/d?pool_max_conns=3&application_name=mine&connect_timeout=17&pool_max_conn_idle_time=1m"+
		"&target_session_attrs=any&default_query_exec_mode=exec&pool_max_conn_lifetime=2h&pool_ping_timeout=9s")
	require.EqualValues(t, 3, given.MaxConns)
	require.Equal(t, "mine", given.ConnConfig.RuntimeParams["application_name"])
	require.Equal(t, 17*time.Second, given.ConnConfig.ConnectTimeout)
	require.Equal(t, time.Minute, given.MaxConnIdleTime)
	require.Equal(t, 2*time.Hour, given.MaxConnLifetime)
	require.Equal(t, 9*time.Second, given.PingTimeout)
	require.Equal(t, pgx.QueryExecModeExec, given.ConnConfig.DefaultQueryExecMode)
}

func TestAnUnreadableURLIsNotQuoted(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"postgres://u:" + canary + "%zz@h/d":                              "percent",
		"postgres://u:" + canary + "@h/d?pool_max_conns=many":             "pool_max_conns",
		"postgres://u:" + canary + "@h/d?sslmode=sometimes":               "sslmode",
		"host=h user=u password=" + canary + " default_query_exec_mode=x": "default_query_exec_mode",
	} {
		_, err := poolConfig(settings.Settings{DatabaseURL: settings.NewSecret(url)})
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, "DATABASE_URL: ")
		require.NotContains(t, err.Error(), canary)
	}
}

// pid is the server's process behind the pool's connection.
func pid(t *testing.T, pool *pgxpool.Pool) uint32 {
	t.Helper()
	var pid uint32
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	return pid
}

func TestAPoolLeavesAServerThatHasBecomeReadOnly(t *testing.T) {
	t.Parallel()
	one := func(c *pgxpool.Config) { c.MaxConns = 1 }
	for name, test := range map[string]struct {
		demote func(*testing.T, *pgxpool.Pool)
	}{
		"it says so itself": {func(t *testing.T, pool *pgxpool.Pool) {
			t.Helper()
			_, err := pool.Exec(t.Context(), "SET default_transaction_read_only = on")
			require.NoError(t, err)
		}},
		"a statement is refused": {func(t *testing.T, pool *pgxpool.Pool) {
			t.Helper()
			_, err := pool.Exec(t.Context(), "SET transaction_read_only = on; CREATE TABLE t ()")
			require.ErrorContains(t, err, "25006")
		}},
		"a batch is refused": {func(t *testing.T, pool *pgxpool.Pool) {
			t.Helper()
			batch := &pgx.Batch{}
			batch.Queue("SET transaction_read_only = on")
			batch.Queue("CREATE TABLE t ()")
			require.ErrorContains(t, pool.SendBatch(t.Context(), batch).Close(), "25006")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := poolOf(t, pgtest.New(t).URL, one)
			before := pid(t, pool)
			require.Equal(t, before, pid(t, pool), "the pool keeps what works")
			_, err := pool.Exec(t.Context(), "SELECT 1/0")
			require.Error(t, err)
			require.Equal(t, before, pid(t, pool), "any other error is no reason")
			test.demote(t, pool)
			require.NotEqual(t, before, pid(t, pool))
		})
	}
}

func TestAPoolTakesOnlyAServerThatWrites(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := poolOf(t, db.URL, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on" })
	require.ErrorIs(t, pool.Ping(t.Context()), pgconn.ErrReadOnlyConnection)

	// A command that only reads is content with less.
	config := configOf(t, db.URL)
	config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	conn, err := connect(t.Context(), config, false)
	require.NoError(t, err)
	require.NoError(t, conn.Close(context.Background()))
}
