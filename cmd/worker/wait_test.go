package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"waybill/internal/ops"
	"waybill/migrations"
)

var (
	errAway    = errors.New("connection refused by postgres://u:" + canary + "@h")
	errPending = fmt.Errorf("%w: there is no schema", migrations.ErrPending)
)

// wait runs waitForDatabase with a probe that answers by the time since it began.
func wait(t *testing.T, answer func(time.Duration) error, test func(t *testing.T, took time.Duration, err error, log string)) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var log bytes.Buffer
		err := waitForDatabase(t.Context(), func(context.Context) error { return answer(time.Since(began)) },
			slog.New(slog.NewJSONHandler(&log, nil)))
		test(t, time.Since(began), err, log.String())
	})
}

func TestADatabaseThatIsThereIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	wait(t, func(time.Duration) error { return nil }, func(t *testing.T, took time.Duration, err error, log string) {
		require.NoError(t, err)
		require.Zero(t, took)
		require.Empty(t, log)
	})
}

func TestADatabaseThatIsAwayIsWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	probes := 0
	wait(t, func(since time.Duration) error {
		probes++
		if since < 26*time.Hour {
			return errAway
		}
		return nil
	}, func(t *testing.T, took time.Duration, err error, log string) {
		require.NoError(t, err)
		require.Less(t, took, 26*time.Hour+15*time.Second, "it is found soon")
		require.InDelta(t, 26*3600/10, probes, 26*3600/10/3, "and not asked more often than that")
		require.InDelta(t, 26*60, strings.Count(log, "waiting for the database"), 26*60/5, "one line a minute")
		require.NotContains(t, log, canary)
	})
}

func TestAnUnmigratedDatabaseHasAMinute(t *testing.T) {
	t.Parallel()
	wait(t, func(time.Duration) error { return errPending }, func(t *testing.T, took time.Duration, err error, log string) {
		require.ErrorIs(t, err, migrations.ErrPending)
		require.InDelta(t, 60, took.Seconds(), 2)
		require.Equal(t, 1, strings.Count(log, "waiting up to a minute for worker migrate"))
		require.Equal(t, exitDatabase, (&program{stderr: &bytes.Buffer{}}).exitCode(err))
	})
	wait(t, func(since time.Duration) error {
		if since < 30*time.Second {
			return errPending
		}
		return nil
	}, func(t *testing.T, took time.Duration, err error, _ string) {
		require.NoError(t, err)
		require.Less(t, took, 32*time.Second)
	})
}

// A restart of Postgres while another pod migrates takes nothing from that pod's minute.
func TestTheMinuteBeginsWhenTheDatabaseIsThere(t *testing.T) {
	t.Parallel()
	wait(t, func(since time.Duration) error {
		switch {
		case since < time.Hour:
			return errAway
		case since < time.Hour+40*time.Second:
			return errPending
		}
		return nil
	}, func(t *testing.T, _ time.Duration, err error, _ string) { require.NoError(t, err) })
}

func TestWhatWaitingCannotMendEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"newer":     fmt.Errorf("%w: at step 9", migrations.ErrNewer),
		"no rights": &pgconn.PgError{Code: "42501", Message: "permission denied for schema waybill"},
	} {
		wait(t, func(time.Duration) error { return cause }, func(t *testing.T, took time.Duration, err error, _ string) {
			require.ErrorIs(t, err, cause, name)
			require.Zero(t, took)
			require.Equal(t, exitDatabase, (&program{stderr: &bytes.Buffer{}}).exitCode(err))
		})
	}
}

func TestAReadOnlyDatabaseIsWaitedForAndNamed(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{ops.ErrReadOnly, pgconn.ErrReadOnlyConnection} {
		wait(t, func(since time.Duration) error {
			if since < time.Hour {
				return cause
			}
			return nil
		}, func(t *testing.T, _ time.Duration, err error, log string) {
			require.NoError(t, err)
			require.Contains(t, log, "the database is read-only; waiting for one that takes writes")
		})
	}
}

func TestASignalEndsTheWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := errors.New("told to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(told) })
		err := waitForDatabase(ctx, func(context.Context) error { return errAway }, slog.New(slog.DiscardHandler))
		require.ErrorIs(t, err, told)
	})
}
