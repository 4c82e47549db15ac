package pgtest

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	templatePrefix = "waybill_template_"

	// templateLock is the advisory lock, in the maintenance database, under
	// which templates are made.
	templateLock = 0x7761796274706c

	templateTimeout = 2 * time.Minute
)

// migrator brings a database to the newest schema.
type migrator func(ctx context.Context, db *pgxpool.Pool) error

// prepareTemplate makes sure that the template of this schema exists and
// returns its name. Any number of processes may do so at once: one makes it and
// the others wait. A template is complete as soon as it has its name.
func (s *server) prepareTemplate(ctx context.Context, fingerprint string, up migrator) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, templateTimeout)
	defer cancel()
	name := templatePrefix + fingerprint[:min(len(fingerprint), 32)]
	err := s.use(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
			return err
		}
		var exists bool
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
		if err != nil || exists {
			return err
		}
		return s.buildTemplate(ctx, conn, name, up)
	})
	if err != nil {
		return "", fmt.Errorf("make the template database %s: %w", name, err)
	}
	return name, nil
}

func (s *server) buildTemplate(ctx context.Context, conn *pgx.Conn, name string, up migrator) error {
	draft := name + "_draft"
	if err := drop(ctx, conn, draft); err != nil { // of a process that was killed
		return err
	}
	if err := clone(ctx, conn, "template0", draft); err != nil {
		return err
	}
	if err := s.migrate(ctx, draft, up); err != nil {
		return err
	}
	err := whileBusy(ctx, func() error {
		_, err := conn.Exec(ctx, "ALTER DATABASE "+quote(draft)+" RENAME TO "+quote(name))
		return err
	})
	if err != nil {
		return err
	}
	// A connected template could not be cloned, and only the owner may clone a
	// database that is not marked as one.
	_, err = conn.Exec(ctx, "ALTER DATABASE "+quote(name)+" IS_TEMPLATE true ALLOW_CONNECTIONS false")
	return err
}

func (s *server) migrate(ctx context.Context, database string, up migrator) error {
	url, err := withDatabase(s.url, database)
	if err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := up(ctx, pool); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
