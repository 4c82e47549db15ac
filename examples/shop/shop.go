package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"example.com/shop/events"
	"waybill"
)

//go:embed sql/schema.sql
var schemaSQL string

//go:embed sql/trigger.sql
var triggerSQL string

// Shop is the application: a database, and a client for each kind of transaction it
// uses. Most applications need one.
type Shop struct {
	pool      *pgxpool.Pool
	events    *waybill.Client[pgx.Tx]
	db        *sql.DB
	sqlEvents *waybill.Client[*sql.Tx]
}

// Open connects to the database and makes the shop's tables if they are missing.
// The login needs a schema of its own and the role waybill_producer, nothing else.
// Close the shop in the end.
func Open(ctx context.Context, databaseURL string) (*Shop, error) {
	config, err := waybill.ConfigFromEnv()
	if err != nil {
		return nil, err
	}
	events, err := waybill.New(config)
	if err != nil {
		return nil, err
	}
	sqlEvents, err := waybill.NewSQL(config)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("read DATABASE_URL: %w", err)
	}
	for _, script := range []string{schemaSQL, triggerSQL} {
		if _, err := pool.Exec(ctx, script); err != nil {
			pool.Close()
			return nil, fmt.Errorf("make the shop's tables: %w", err)
		}
	}
	return &Shop{pool: pool, events: events, db: stdlib.OpenDBFromPool(pool), sqlEvents: sqlEvents}, nil
}

// Close closes the connections.
func (s *Shop) Close() error {
	err := s.db.Close()
	s.pool.Close()
	return err
}

// TryOut tracks an event by which somebody can follow the whole way to Amplitude. The
// same id again is the same event.
func (s *Shop) TryOut(ctx context.Context, id string, out io.Writer) error {
	var receipt waybill.Receipt
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		receipt, err = s.events.Track(ctx, tx, waybill.System("shop"), events.TestEvent(events.TestID(id)).Test(true))
		return err
	})
	if err != nil {
		return fmt.Errorf("track the test event %s: %w", id, err)
	}
	for _, item := range receipt.Items {
		if _, err := fmt.Fprintf(out, "%s: %s %s\nworker status --key %s\n", item.Key, item.Outcome, item.Reason, item.Key); err != nil {
			return err
		}
	}
	return nil
}

// Expected is what Amplitude has to know of a customer once everything is delivered.
type Expected struct {
	ID          string `json:"id"`
	Plan        string `json:"plan"`
	OrdersTotal int    `json:"orders_total"`
}

// Named is the same of an account.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Books reads the shop's own tables: what was committed, whatever the callers saw.
func (s *Shop) Books(ctx context.Context) ([]Expected, []Named, error) {
	customers, err := all[Expected](ctx, s.pool, `
		SELECT c.id, c.plan, count(o.id) AS orders_total
		FROM customers AS c
		LEFT JOIN orders AS o ON o.customer_id = c.id
		GROUP BY c.id
		ORDER BY c.id`)
	accounts, more := all[Named](ctx, s.pool, `SELECT id, name FROM accounts ORDER BY id`)
	if err := errors.Join(err, more); err != nil {
		return nil, nil, fmt.Errorf("read the books: %w", err)
	}
	return customers, accounts, nil
}

func all[T any](ctx context.Context, pool *pgxpool.Pool, query string) ([]T, error) {
	rows, err := pool.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}
