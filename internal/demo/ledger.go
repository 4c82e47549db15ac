//go:build unix

package main

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// query is the SQL in a file of sql/.
func query(name string) string {
	text, err := sqlFiles.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic("no such query: " + name) // a name is written in this package
	}
	return string(text)
}

// ledger asks the database what is true.
type ledger struct{ pool *pgxpool.Pool }

// sample is where everything stands at a moment.
type sample struct {
	Orders     int     // committed
	Settled    int     // bundles with an outcome
	Waiting    int     // bundles without one
	Oldest     float64 // seconds, of those
	Unfinished int     // requests and jobs
}

func (l ledger) sample(ctx context.Context) (sample, error) {
	return single(structs[sample](ctx, l, "sample"))
}

// workers are the ids of those that have a heartbeat row.
func (l ledger) workers(ctx context.Context) ([]string, error) {
	return values[string](ctx, l, "workers")
}

// look is what the database says of a frozen worker.
type look struct {
	Busy    bool // statements of its are still running
	Holding int  // bundles of its requests under way
	At      time.Time
}

func (l ledger) look(ctx context.Context, w *worker) (look, error) {
	return single(structs[look](ctx, l, "look", w.id, w.name))
}

// backends counts the connections of a program.
func (l ledger) backends(ctx context.Context, application string) (int, error) {
	return single(values[int](ctx, l, "backends", application))
}

// held are the bundles that a dead worker leaves behind.
func (l ledger) held(ctx context.Context, worker string) ([]int64, error) {
	return values[int64](ctx, l, "held", worker)
}

// rescue is how far the bundles of a dead worker have come.
type rescue struct {
	Delivered int
	Seconds   float64 // from the kill to the last of them
}

func (l ledger) rescued(ctx context.Context, bundles []int64, killed time.Time) (rescue, error) {
	return single(structs[rescue](ctx, l, "rescued", bundles, killed))
}

// action is something the shop's tables say has happened.
type action struct {
	Key     string
	IsEvent bool // otherwise it only changes traits
	Cents   int64
}

func (l ledger) business(ctx context.Context) ([]action, error) {
	return structs[action](ctx, l, "business")
}

// record is a bundle in Waybill's ledger.
type record struct{ Key, Outcome string }

func (l ledger) records(ctx context.Context) ([]record, error) {
	return structs[record](ctx, l, "ledger")
}

// install opens every insert_id of this database.
func (l ledger) install(ctx context.Context) (string, error) {
	return single(values[string](ctx, l, "install"))
}

// structs reads rows into structs by the position of their fields, values reads rows of
// one column.
func structs[T any](ctx context.Context, l ledger, name string, args ...any) ([]T, error) {
	return rows(ctx, l, name, pgx.RowToStructByPos[T], args...)
}

func values[T any](ctx context.Context, l ledger, name string, args ...any) ([]T, error) {
	return rows(ctx, l, name, pgx.RowTo[T], args...)
}

func rows[T any](ctx context.Context, l ledger, name string, scan pgx.RowToFunc[T], args ...any) ([]T, error) {
	found, err := l.pool.Query(ctx, query(name), args...)
	if err != nil {
		return nil, fmt.Errorf("%s.sql: %w", name, err)
	}
	read, err := pgx.CollectRows(found, scan)
	if err != nil {
		return nil, fmt.Errorf("%s.sql: %w", name, err)
	}
	return read, nil
}

// single is the one row of a query that has one.
func single[T any](read []T, err error) (T, error) {
	if err == nil && len(read) != 1 {
		err = fmt.Errorf("%d rows instead of one", len(read))
	}
	if err != nil {
		var none T
		return none, err
	}
	return read[0], nil
}
