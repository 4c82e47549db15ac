package ops

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"waybill/migrations"
)

// serverFacts is the row of doctor_server.sql.
type serverFacts struct {
	VersionNum  int
	Version     string
	InRecovery  bool
	ReadOnly    bool
	BackendPID  uint32
	Role        string
	FreeSlots   int
	Autovacuum  bool
	TrackCounts bool
}

// connectTimeout bounds the doctor's own connection.
const connectTimeout = 10 * time.Second

// checkDatabase connects and asks the first question.
func (e *examination) checkDatabase(ctx context.Context) []Finding {
	const name = "database"
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	config := e.Config.ConnConfig.Copy()
	config.ValidateConnect = nil // a read-only server is a finding, not an obstacle
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return []Finding{{name, Fail, "cannot be reached: " + whyUnreachable(err), reachFix(err)}}
	}
	e.conn = conn
	facts, err := read(ctx, e, "doctor_server", pgx.RowToStructByPos[serverFacts])
	if err != nil {
		_ = conn.Close(ctx)
		e.conn = nil
		return []Finding{{name, Fail, "does not answer: " + err.Error(), "look at the server's log"}}
	}
	e.server = facts[0]
	if config.TLSConfig == nil && overNetwork(config.Host) {
		return []Finding{{name, Warn, "reachable, but the connection is not encrypted: bundles and the password travel in the clear",
			"add sslmode=verify-full to DATABASE_URL"}}
	}
	return []Finding{{name, OK, fmt.Sprintf("reachable as role %s", e.server.Role), ""}}
}

// overNetwork says that a connection to the host leaves this machine.
func overNetwork(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err != nil || !addr.Unmap().IsLoopback()
}

// Unreachable says why there is no connection, and what to do about it, without a
// password and in fewer words than the driver.
func Unreachable(err error) (why, fix string) { return whyUnreachable(err), reachFix(err) }

// whyUnreachable says why there is no connection; the driver's text has no password, but
// is longer than a person needs.
func whyUnreachable(err error) string {
	var pgErr *pgconn.PgError
	var dnsErr *net.DNSError
	var opErr *net.OpError
	switch {
	case errors.As(err, &pgErr):
		return pgErr.Message + " (SQLSTATE " + pgErr.Code + ")"
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		return "it is read-only: a standby, or default_transaction_read_only is on"
	case errors.As(err, &dnsErr):
		return dnsErr.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "it does not answer"
	case errors.As(err, &opErr):
		return opErr.Error()
	}
	return "the connection failed"
}

func reachFix(err error) string {
	var pgErr *pgconn.PgError
	if errors.Is(err, pgconn.ErrReadOnlyConnection) {
		return "point DATABASE_URL at the primary"
	}
	if !errors.As(err, &pgErr) {
		return "check host and port in DATABASE_URL, that Postgres runs, and the network between"
	}
	switch pgErr.Code {
	case "28P01", "28000":
		return "check user and password in DATABASE_URL, and pg_hba.conf on the server"
	case "3D000":
		return "create the database, or correct its name in DATABASE_URL"
	case "53300":
		return "too many connections: raise max_connections, or use fewer or smaller pools"
	case "57P03":
		return "the server is starting or stopping: wait"
	default:
		return "look at the server's log"
	}
}

func (e *examination) checkVersion(context.Context) ([]Finding, error) {
	const oldest = 140000
	if e.server.VersionNum < oldest {
		return fail("upgrade to Postgres 14 or newer", "Postgres %s is too old", e.server.Version), nil
	}
	return ok("Postgres %s", e.server.Version), nil
}

func (e *examination) checkWritable(context.Context) ([]Finding, error) {
	switch {
	case e.server.InRecovery:
		return fail("point DATABASE_URL at the primary, or list all hosts: a worker takes the one that writes",
			"the server is a standby and takes no writes"), nil
	case e.server.ReadOnly:
		return fail(fmt.Sprintf("ALTER ROLE %s RESET default_transaction_read_only; or the same for the database or the server",
			pgx.Identifier{e.server.Role}.Sanitize()), "transactions are read-only by default"), nil
	}
	return ok("the server takes writes"), nil
}

// smallestPool is what the loop needs: six flights, River's fetch and completion, the
// heartbeat.
const smallestPool = 8

func (e *examination) checkPool(context.Context) ([]Finding, error) {
	var findings []Finding
	size := int(e.Config.MaxConns)
	if size < smallestPool {
		findings = append(findings, warn(fmt.Sprintf("set pool_max_conns in DATABASE_URL to at least %d, or leave it out", smallestPool),
			"a worker may open %d connections, which is fewer than its loop uses at once", size)...)
	}
	if e.server.FreeSlots < size {
		findings = append(findings, warn("raise max_connections, or lower pool_max_conns",
			"the server has %d free connections and a worker may want %d", max(e.server.FreeSlots, 0), size)...)
	}
	pooler := e.conn.PgConn().PID() != e.server.BackendPID
	if pooler && cachesStatements(e.Config.ConnConfig.DefaultQueryExecMode) {
		findings = append(findings, warn(
			"if it pools by transaction, add default_query_exec_mode=exec to DATABASE_URL; `worker migrate` needs a direct connection",
			"a connection pooler stands before the server, and this connection relies on prepared statements")...)
	}
	if findings == nil {
		return ok("up to %d connections%s; the server has %d free", size, map[bool]string{true: " through a pooler"}[pooler], e.server.FreeSlots), nil
	}
	return findings, nil
}

func cachesStatements(mode pgx.QueryExecMode) bool {
	return mode == pgx.QueryExecModeCacheStatement || mode == pgx.QueryExecModeCacheDescribe
}

// checkClock compares the clocks. What Waybill decides it decides by the database's
// clock; a worker's own clock matters to heartbeats and to what its logs say.
func (e *examination) checkClock(ctx context.Context) ([]Finding, error) {
	var there time.Time
	before := e.Now()
	if err := e.conn.QueryRow(ctx, query("clock")).Scan(&there); err != nil {
		return nil, err
	}
	trip := e.Now().Sub(before)
	return judgeClock(there.Sub(before.Add(trip/2)), trip, *e.limits), nil
}

// judgeClock knows the skew to within half a round trip.
func judgeClock(skew, trip time.Duration, l limits) []Finding {
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	off := max(skew.Abs()-trip/2, 0)
	says := fmt.Sprintf("the database is %s %s this host", span(skew.Abs()), direction)
	const fix = "keep time on both hosts with NTP (chronyc tracking, timedatectl)"
	switch {
	case off >= l.skewFail:
		return fail(fix, "%s", says)
	case off >= l.skewWarn:
		return warn(fix, "%s", says)
	}
	return ok("%s", says)
}

func (e *examination) checkMigrations(ctx context.Context) ([]Finding, error) {
	err := migrations.Check(ctx, e.conn)
	switch {
	case err == nil:
		return ok("schema waybill is at step %d", migrations.Version()), nil
	case errors.Is(err, migrations.ErrPending):
		return fail("worker migrate", "%v", err), nil
	case errors.Is(err, migrations.ErrNewer):
		return fail("deploy the newer worker", "%v", err), nil
	case isDenied(err):
		return fail(fmt.Sprintf("GRANT waybill_worker TO %s", pgx.Identifier{e.server.Role}.Sanitize()),
			"role %s may not read schema waybill", e.server.Role), nil
	}
	return nil, err
}
