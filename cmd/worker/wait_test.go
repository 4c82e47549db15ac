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

// waited is what came of a wait.
type waited struct {
	took time.Duration
	err  error
	log  string
}

// wait runs waitForDatabase with a probe that answers by the time since it began.
func wait(t *testing.T, answer func(time.Duration) error) (w waited) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		began := time.Now()
		var log bytes.Buffer
		err := waitForDatabase(t.Context(), func(context.Context) error { return answer(time.Since(began)) },
			slog.New(slog.NewJSONHandler(&log, nil)))
		w = waited{time.Since(began), err, log.String()}
	})
	return w
}

func TestADatabaseThatIsThereIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	require.Equal(t, waited{}, wait(t, func(time.Duration) error { return nil }))
}

func TestADatabaseThatIsAwayIsWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	probes := 0
	w := wait(t, func(since time.Duration) error {
		probes++
		if since < 26*time.Hour {
			return errAway
		}
		return nil
	})
	require.NoError(t, w.err)
	require.Less(t, w.took, 26*time.Hour+15*time.Second, "it is found soon")
	require.InDelta(t, 26*3600/10, probes, 26*3600/10/3, "and not asked more often than that")
	require.InDelta(t, 26*60, strings.Count(w.log, "waiting for the database"), 26*60/5, "one line a minute")
	require.NotContains(t, w.log, canary)
}

func TestAnUnmigratedDatabaseHasAMinute(t *testing.T) {
	t.Parallel()
	w := wait(t, func(time.Duration) error { return errPending })
	require.ErrorIs(t, w.err, migrations.ErrPending)
	require.InDelta(t, 60, w.took.Seconds(), 2)
	require.Equal(t, 1, strings.Count(w.log, "waiting up to a minute for worker migrate"))
	require.Equal(t, exitDatabase, (&program{stderr: &bytes.Buffer{}}).exitCode(w.err))

	w = wait(t, func(since time.Duration) error {
		if since < 30*time.Second {
			return errPending
		}
		return nil
	})
	require.NoError(t, w.err)
	require.Less(t, w.took, 32*time.Second)
}

// A restart of Postgres while another pod migrates takes nothing from that pod's minute.
func TestTheMinuteBeginsWhenTheDatabaseIsThere(t *testing.T) {
	t.Parallel()
	require.NoError(t, wait(t, func(since time.Duration) error {
		switch {
		case since < time.Hour:
			return errAway
		case since < time.Hour+40*time.Second:
			return errPending
		}
		return nil
	}).err)
}

func TestWhatWaitingCannotMendEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"newer":     fmt.Errorf("%w: at step 9", migrations.ErrNewer),
		"no rights": &pgconn.PgError{Code: "42501", Message: "permission denied for schema waybill"},
	} {
		w := wait(t, func(time.Duration) error { return cause })
		require.ErrorIs(t, w.err, cause, name)
		require.Zero(t, w.took)
		require.Equal(t, exitDatabase, (&program{stderr: &bytes.Buffer{}}).exitCode(w.err))
	}
}

func TestAReadOnlyDatabaseIsWaitedForAndNamed(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{ops.ErrReadOnly, pgconn.ErrReadOnlyConnection} {
		w := wait(t, func(since time.Duration) error {
			if since < time.Hour {
				return cause
			}
			return nil
		})
		require.NoError(t, w.err)
		require.Contains(t, w.log, "the database is read-only; waiting for one that takes writes")
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
