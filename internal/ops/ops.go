// Package ops is what operators see and press: the state of the queue, the fate of one
// bundle, what to do about those that were given up, a doctor for the database, and
// the HTTP of a worker (health, readiness, metrics).
//
// Everything it asks Postgres is bounded, in rows and in time, so that asking about a
// queue in trouble does not add to the trouble. It never reads a payload, a property
// or a trait.
package ops

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB is what the questions need of a connection or a pool; *pgxpool.Pool and *pgx.Conn
// are two. The role of waybill_operator is enough for all but the doctor, which says
// what it may not see.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Step is the newest of our migration steps that the database has.
func Step(ctx context.Context, db DB) (int, error) {
	var step int
	if err := db.QueryRow(ctx, query("step")).Scan(&step); err != nil {
		return 0, fmt.Errorf("read the migration state: %w", err)
	}
	return step, nil
}

//go:embed sql/*.sql
var files embed.FS

// query is the text of one of our SQL files.
func query(name string) string {
	text, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err) // embedded at build time
	}
	return string(text)
}
