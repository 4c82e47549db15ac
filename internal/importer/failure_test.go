package importer

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestEveryFailureOfPostgresHasAProblemAndAFix(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		problem string
		waits   bool
	}{
		"3F000": {"the database is not migrated", false},
		"42883": {"the database is not migrated", false},
		"42P01": {"the database is not migrated", false},
		"42501": {"this database user may not enqueue", false},
		"25006": {"the database is read-only", true},
		"28P01": {"the database refused the login", false},
		"3D000": {"there is no such database", false},
		"53100": {"the database's disk is full", true},
		"53300": {"the database takes no connections now", true},
		"57P03": {"the database takes no connections now", true},
		"57P01": {"the database failed with SQLSTATE 57P01: said so", true},
		"40P01": {"the database failed with SQLSTATE 40P01: said so", true},
		"42703": {"the database failed with SQLSTATE 42703: said so", false},
		"22P02": {"the database failed with SQLSTATE 22P02", false},
		"X":     {"the database failed with SQLSTATE X: said so", false},
	} {
		f := diagnose(fmt.Errorf("query: %w", &pgconn.PgError{Code: code, Message: "said so", Detail: "the row"}))
		require.Equal(t, c.problem, f.Error(), code)
		require.Equal(t, c.waits, f.Waits, code)
		require.NotEmpty(t, f.Fix, code)
		require.NotContains(t, f.Problem+f.Fix, "the row", code)
	}
}

func TestAnErrorBelowPostgresIsWaitedFor(t *testing.T) {
	t.Parallel()
	for err, problem := range map[error]string{
		io.ErrUnexpectedEOF: "the database is away",
		fmt.Errorf("receive: %w", context.DeadlineExceeded): "the database did not answer in time",
	} {
		f := diagnose(err)
		require.Equal(t, problem, f.Problem)
		require.True(t, f.Waits)
		require.ErrorIs(t, f, err)
	}
}
