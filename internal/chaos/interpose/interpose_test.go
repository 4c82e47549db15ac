//go:build unix

package interpose_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"waybill/internal/chaos/interpose"
	"waybill/internal/devpg"
)

// open starts a server that obeys a library. Where neither can be had there is nothing to
// test, and Build has said what it needs.
func open(t *testing.T) (*interpose.Library, *devpg.Server) {
	t.Helper()
	library, err := interpose.Build(t.Context())
	if errors.Is(err, interpose.ErrUnavailable) {
		require.Regexp(t, "^needs (Linux|a C compiler)", err.Error())
		return nil, nil
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, library.Close()) })
	server, err := devpg.Start(t.Context(), devpg.Options{
		Environ:  library.Environ(),
		Settings: map[string]string{"autovacuum": "off", "wal_recycle": "off"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	if server.Command("postgres") == nil {
		return nil, nil
	}
	return library, server
}

func connect(t *testing.T, server *devpg.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func code(err error) string {
	var refused *pgconn.PgError
	errors.As(err, &refused)
	if refused == nil {
		return ""
	}
	return refused.Code
}

const diskFull = "53100" // https://www.postgresql.org/docs/current/errcodes-appendix.html

func TestTheClockStepsWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	library, server := open(t)
	if library == nil {
		return
	}
	conn := connect(t, server)
	for _, ahead := range []time.Duration{0, 2 * time.Hour, -2 * time.Hour, 1500 * time.Millisecond, -1500 * time.Millisecond, 0} {
		require.NoError(t, library.SetClock(ahead))
		var now time.Time
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&now))
		require.WithinDuration(t, time.Now().Add(ahead), now, 500*time.Millisecond, "%v", ahead)
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT now()").Scan(&now))
		require.WithinDuration(t, time.Now().Add(ahead), now, 500*time.Millisecond, "%v, of a transaction", ahead)
	}
}

func TestTablesThatMayNotGrow(t *testing.T) {
	t.Parallel()
	library, server := open(t)
	if library == nil {
		return
	}
	conn := connect(t, server)
	_, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT repeat('x', 500) AS text, n FROM generate_series(1, 500) AS n")
	require.NoError(t, err)

	require.NoError(t, library.Fill(interpose.Tables))
	_, err = conn.Exec(t.Context(), "INSERT INTO kept SELECT repeat('y', 500), n FROM generate_series(1, 500) AS n")
	require.Equal(t, diskFull, code(err), "%v", err)
	var rows int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&rows), "it can be read")
	require.Equal(t, 500, rows)
	_, err = conn.Exec(t.Context(), "CHECKPOINT")
	require.NoError(t, err, "what is there can be written again")

	require.NoError(t, library.Fill(0))
	_, err = conn.Exec(t.Context(), "INSERT INTO kept SELECT repeat('y', 500), n FROM generate_series(1, 500) AS n")
	require.NoError(t, err)
}

// Postgres cannot go on without its log: it panics, and recovers when there is room.
func TestALogThatMayNotGrow(t *testing.T) {
	t.Parallel()
	library, server := open(t)
	if library == nil {
		return
	}
	conn := connect(t, server)
	_, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 1 AS n")
	require.NoError(t, err)

	require.NoError(t, library.Fill(interpose.WAL))
	const files = 100 // more than there is room for
	for n := 0; err == nil && n < files; n++ {
		if _, err = conn.Exec(t.Context(), "INSERT INTO kept VALUES (2)"); err == nil {
			_, err = conn.Exec(t.Context(), "SELECT pg_switch_wal()")
		}
	}
	require.Error(t, err, "it does not go on")
	log, readErr := os.ReadFile(server.DataDir() + "/../postgres.log")
	require.NoError(t, readErr)
	require.Contains(t, string(log), "No space left on device")
	require.Contains(t, string(log), "PANIC")

	require.NoError(t, library.Fill(0))
	require.NoError(t, server.Restart(t.Context(), true))
	var rows int
	require.NoError(t, connect(t, server).QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&rows))
	require.Positive(t, rows)
}
