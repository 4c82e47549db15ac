// Package migrations holds the SQL of schema waybill and brings a database to it:
// the schema, River's own steps, then ours, in one order and under one lock.
package migrations

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Schema is the Postgres schema that everything lives in, River's tables included.
const Schema = "waybill"

//go:embed sql/*.sql
var files embed.FS

// A Step is one of our migrations. River's are not among them.
type Step struct {
	Version  int    // 1, 2, 3 …, without gaps
	Name     string // e.g. "enqueue"
	Up, Down string // SQL, each run in a transaction of its own
}

// ErrNewer is wrapped by Check and Up when the database has steps that this binary
// does not know.
var ErrNewer = errors.New("the database was migrated by a newer version of waybill")

// ErrPending is wrapped by Check when the database lacks steps.
var ErrPending = errors.New("the database is not migrated")

// River's steps find its tables as River left them: no view over them, and the constraints
// that ours takes away. The steps that tune those tables, make the views and give rights on
// them are applied again after.
var afterRiver = []string{"river", "operators", "roles", "plan"}

// Steps are all of our migrations in order.
func Steps() []Step {
	ups, err := fs.Glob(files, "sql/*.up.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	steps := make([]Step, 0, len(ups))
	for _, up := range ups {
		number, name, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(up, "sql/"), ".up.sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != len(steps)+1 {
			panic("migrations: " + up + " is out of order")
		}
		steps = append(steps, Step{
			Version: version,
			Name:    name,
			Up:      mustRead(up),
			Down:    mustRead(strings.Replace(up, ".up.sql", ".down.sql", 1)),
		})
	}
	return steps
}

func mustRead(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // embedded at build time
	}
	return string(text)
}

// Version is the step that this binary brings a database to.
func Version() int { return len(Steps()) }

// Fingerprint changes whenever any SQL of ours or River's set of steps does. Test
// templates are named by it.
func Fingerprint() string {
	sum := sha256.New()
	for _, step := range Steps() {
		_, _ = fmt.Fprintf(sum, "%d %s\n%s\n%s\n", step.Version, step.Name, step.Up, step.Down)
	}
	if migrator, err := newRiverMigrator(nil); err == nil {
		for _, step := range migrator.AllVersions() {
			_, _ = fmt.Fprintf(sum, "river %d\n%s\n", step.Version, step.SQLUp)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// Up brings the database to this binary's version. It is idempotent, finishes what one
// that was cut off began, and is safe to run from many processes at once: one works, the
// others wait for it and find nothing to do, which locks nobody out. It needs a direct connection, not a transaction pooler, because its lock is the
// session's.
func Up(ctx context.Context, pool *pgxpool.Pool) error {
	return locked(ctx, pool, func(conn *pgx.Conn) error {
		applied, err := current(ctx, conn)
		if err != nil {
			return err
		}
		if applied > Version() {
			return fmt.Errorf("%w: it is at step %d, this binary knows %d; upgrade this binary", ErrNewer, applied, Version())
		}
		if err := prepareSchema(ctx, conn); err != nil {
			return err
		}
		if err := riverUp(ctx, pool, conn); err != nil {
			return err
		}
		stale, err := staleSteps(ctx, conn)
		if err != nil {
			return err
		}
		for _, step := range Steps() {
			again := slices.Contains(afterRiver, step.Name) && slices.Contains(stale, step.Version)
			if step.Version <= applied && !again {
				continue
			}
			if err := apply(ctx, conn, step); err != nil {
				return err
			}
		}
		return nil
	})
}

// Down takes back the newest n of our steps. Taking back the first one also removes
// River's tables and the schema, and with them every bundle: there is no way back
// from that.
func Down(ctx context.Context, pool *pgxpool.Pool, n int) error {
	return locked(ctx, pool, func(conn *pgx.Conn) error {
		applied, err := current(ctx, conn)
		if err != nil {
			return err
		}
		steps := Steps()
		if applied > len(steps) {
			return fmt.Errorf("%w: it is at step %d, this binary knows %d; use the newer binary", ErrNewer, applied, len(steps))
		}
		for ; n > 0 && applied > 0; n, applied = n-1, applied-1 {
			if err := revert(ctx, conn, steps[applied-1]); err != nil {
				return err
			}
		}
		if applied > 0 {
			return nil
		}
		return removeSchema(ctx, pool, conn)
	})
}

// Check says whether a worker of this version may run on the database: nil, or an
// error that wraps ErrPending or ErrNewer.
func Check(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) error {
	var applied, readableBy *int
	err := db.QueryRow(ctx, mustRead("sql/check.sql")).Scan(&applied, &readableBy)
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr) && (pgErr.Code == "42P01" || pgErr.Code == "3F000"):
		return fmt.Errorf("%w: there is no schema %s; run: worker migrate", ErrPending, Schema)
	case err != nil:
		return fmt.Errorf("read the migration state: %w", err)
	case applied == nil || *applied < Version():
		return fmt.Errorf("%w: it lacks steps up to %d; run: worker migrate", ErrPending, Version())
	case readableBy != nil && *readableBy > Version():
		return fmt.Errorf("%w: it is at step %d and needs a worker that knows step %d, this one knows %d; upgrade this binary",
			ErrNewer, *applied, *readableBy, Version())
	}
	return nil
}

// Print writes the SQL of everything, River's steps included, for people who run
// migrations with a tool of their own. The output is one script for psql.
func Print(w io.Writer) error {
	river, err := newRiverMigrator(nil)
	if err != nil {
		return err
	}
	var script strings.Builder
	script.WriteString("-- Schema waybill, complete. Run it with: psql -v ON_ERROR_STOP=1 -f\n\n")
	script.WriteString(mustRead("sql/schema.sql"))
	for _, step := range river.AllVersions() {
		fmt.Fprintf(&script, "\n-- River %03d: %s\nBEGIN;\n%s\nCOMMIT;\n", step.Version, step.Name,
			strings.TrimSpace(strings.ReplaceAll(step.SQLUp, riverSchemaMark, Schema+".")))
	}
	script.WriteString("INSERT INTO waybill.river_migration (line, version)\n")
	fmt.Fprintf(&script, "SELECT 'main', v FROM generate_series(1, %d) AS v ON CONFLICT DO NOTHING;\n", len(river.AllVersions()))
	for _, step := range Steps() {
		fmt.Fprintf(&script, "\n-- Waybill %03d: %s\nBEGIN;\n%s\n%s\nCOMMIT;\n", step.Version, step.Name, strings.TrimSpace(step.Up),
			strings.NewReplacer("$1", strconv.Itoa(step.Version), "$2", "'"+step.Name+"'").Replace(strings.TrimSpace(mustRead("sql/record.sql"))))
	}
	_, err = io.WriteString(w, script.String())
	return err
}

// PrintGrants writes the SQL that makes the three roles and gives them their rights,
// for somebody who may create roles when the migrating user may not.
func PrintGrants(w io.Writer) error {
	for _, step := range Steps() {
		if step.Name == "roles" {
			_, err := io.WriteString(w, step.Up)
			return err
		}
	}
	return errors.New("migrations: there is no step named roles")
}

func newRiverMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: Schema})
}

// riverSchemaMark is where River's SQL wants the schema's name.
const riverSchemaMark = "/* TEMPLATE: schema */"

// lockKey is the session-level advisory lock that migrations hold.
const lockKey = 7721839014

// locked runs fn on a connection that holds the migration lock. It asks again and
// again instead of waiting in the server: a session that waits for a lock holds a
// snapshot, and CREATE INDEX CONCURRENTLY waits for snapshots.
func locked(ctx context.Context, pool *pgxpool.Pool, fn func(*pgx.Conn) error) error {
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("connect to migrate: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for {
		var held bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(lockKey)).Scan(&held); err != nil {
			return fmt.Errorf("take the migration lock: %w", err)
		}
		if held {
			return fn(conn) // closing the connection lets the lock go
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another migration to end: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// current is the newest step applied; 0 on a database without any.
func current(ctx context.Context, conn *pgx.Conn) (int, error) {
	var applied int
	err := conn.QueryRow(ctx, mustRead("sql/current.sql")).Scan(&applied)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.Code == "42P01" || pgErr.Code == "3F000") {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the migration state: %w", err)
	}
	return applied, nil
}

func prepareSchema(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, mustRead("sql/schema.sql")); err != nil {
		return fmt.Errorf("create schema %s: %w", Schema, err)
	}
	return nil
}

// riverUp applies River's pending steps, if any.
func riverUp(ctx context.Context, pool *pgxpool.Pool, conn *pgx.Conn) error {
	migrator, err := newRiverMigrator(pool)
	if err != nil {
		return fmt.Errorf("prepare River's migrations: %w", err)
	}
	existing, err := migrator.ExistingVersions(ctx)
	if err != nil {
		return fmt.Errorf("read River's migration state: %w", err)
	}
	if len(existing) == len(migrator.AllVersions()) {
		return nil
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, mustRead("sql/before_river.sql"))
		return err
	})
	if err != nil {
		return fmt.Errorf("put back what River's migrations may name: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("apply River's migrations: %w", err)
	}
	return nil
}

// staleSteps are the versions of our steps that have not been applied since River's last
// steps ran: none, unless they ran just now, in a migration that was cut off, or by
// another's hand.
func staleSteps(ctx context.Context, conn *pgx.Conn) ([]int, error) {
	rows, err := conn.Query(ctx, mustRead("sql/stale.sql"))
	if err != nil {
		return nil, fmt.Errorf("read which steps River's have overtaken: %w", err)
	}
	stale, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("read which steps River's have overtaken: %w", err)
	}
	return stale, nil
}

func apply(ctx context.Context, conn *pgx.Conn, step Step) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, step.Up); err != nil {
			return fmt.Errorf("apply step %d (%s): %w", step.Version, step.Name, err)
		}
		if _, err := tx.Exec(ctx, mustRead("sql/record.sql"), step.Version, step.Name); err != nil {
			return fmt.Errorf("record step %d (%s): %w", step.Version, step.Name, err)
		}
		return nil
	})
}

func revert(ctx context.Context, conn *pgx.Conn, step Step) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, step.Down); err != nil {
			return fmt.Errorf("take back step %d (%s): %w", step.Version, step.Name, err)
		}
		if _, err := tx.Exec(ctx, mustRead("sql/forget.sql"), step.Version); err != nil {
			return fmt.Errorf("forget step %d (%s): %w", step.Version, step.Name, err)
		}
		return nil
	})
}

func removeSchema(ctx context.Context, pool *pgxpool.Pool, conn *pgx.Conn) error {
	migrator, err := newRiverMigrator(pool)
	if err != nil {
		return fmt.Errorf("prepare River's migrations: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: -1}); err != nil {
		return fmt.Errorf("take back River's migrations: %w", err)
	}
	if _, err := conn.Exec(ctx, mustRead("sql/drop_schema.sql")); err != nil {
		return fmt.Errorf("drop schema %s: %w", Schema, err)
	}
	return nil
}
