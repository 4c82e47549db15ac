package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sethvargo/go-retry"

	"waybill/internal/ops"
	"waybill/migrations"
)

// How a worker waits for its database.
const (
	firstWait       = 200 * time.Millisecond
	longestWait     = 10 * time.Second
	migrationPoll   = time.Second
	migrationAllows = time.Minute // `worker migrate` may be running in another pod
	sayAgain        = time.Minute
)

// waitForDatabase returns nil as soon as probe does. A database that is away, or
// read-only, is waited for as long as ctx lasts. One that is not migrated has a minute;
// one that a newer worker migrated, or that refuses this login, has no time at all: those
// come back as errors for exit code 4. The end of ctx is its cause.
func waitForDatabase(ctx context.Context, probe func(context.Context) error, log *slog.Logger) error {
	backoff := newBackoff()
	var pendingSince time.Time
	var said reminder
	for {
		err := probe(ctx)
		wait, _ := backoff.Next() // never stops
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, migrations.ErrNewer), isRefused(err):
			return refused(err)
		case errors.Is(err, migrations.ErrPending):
			if pendingSince.IsZero() {
				pendingSince = time.Now()
			}
			if time.Since(pendingSince) >= migrationAllows {
				return databaseError{err, ""}
			}
			said.warn(ctx, log, "the database is not migrated; waiting up to a minute for worker migrate", err)
			wait = migrationPoll
		case errors.Is(err, ops.ErrReadOnly), errors.Is(err, pgconn.ErrReadOnlyConnection):
			said.warn(ctx, log, "the database is read-only; waiting for one that takes writes", err)
		default:
			said.warn(ctx, log, "waiting for the database", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func newBackoff() retry.Backoff {
	return retry.WithCappedDuration(longestWait, retry.WithJitterPercent(20, retry.NewExponential(firstWait)))
}

// isRefused says that the server knows this login and gives it no right.
func isRefused(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "42501"
}

// reminder says a thing once, and again each minute.
type reminder struct {
	what string
	at   time.Time
}

func (r *reminder) warn(ctx context.Context, log *slog.Logger, what string, err error) {
	if r.what == what && time.Since(r.at) < sayAgain {
		return
	}
	r.what, r.at = what, time.Now()
	why, fix := err.Error(), ""
	if !errors.Is(err, migrations.ErrPending) && !errors.Is(err, ops.ErrReadOnly) {
		why, fix = ops.Unreachable(err)
	}
	log.WarnContext(ctx, what, "reason", why, "fix", fix)
}
