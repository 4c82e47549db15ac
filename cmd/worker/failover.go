package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// leaveReadOnlyServers makes a pool drop connections to a server that no longer takes
// writes. A new one then goes to a server that does, or fails until there is one: a
// worker that stays with a demoted primary would fail for ever, one statement at a time.
//
// Both signs cost no round trip. Since version 14 a server reports the two settings
// below by itself when they change
// (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC); behind a
// pooler that keeps the report, the first write that fails with SQLSTATE 25006 tells.
func leaveReadOnlyServers(config *pgxpool.Config) {
	config.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) { return takesWrites(conn), nil }
	config.ConnConfig.Tracer = writeRefusals{}
}

func takesWrites(conn *pgx.Conn) bool {
	c := conn.PgConn()
	_, refused := c.CustomData()[writeRefused]
	return !refused && c.ParameterStatus("in_hot_standby") != "on" && c.ParameterStatus("default_transaction_read_only") != "on"
}

// writeRefused marks a connection in its custom data.
const writeRefused = "waybill: a write was refused"

// writeRefusals marks the connections on which a write was refused.
type writeRefusals struct{}

var (
	_ pgx.QueryTracer = writeRefusals{}
	_ pgx.BatchTracer = writeRefusals{}
)

func (writeRefusals) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (writeRefusals) TraceQueryEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	mark(conn, data.Err)
}

func (writeRefusals) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (writeRefusals) TraceBatchQuery(_ context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	mark(conn, data.Err)
}

func (writeRefusals) TraceBatchEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	mark(conn, data.Err)
}

func mark(conn *pgx.Conn, err error) {
	const readOnlyTransaction = "25006" // https://www.postgresql.org/docs/current/errcodes-appendix.html
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == readOnlyTransaction {
		conn.PgConn().CustomData()[writeRefused] = true
	}
}
