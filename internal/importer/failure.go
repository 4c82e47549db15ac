package importer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Failure is a database that takes no bundles.
type Failure struct {
	Problem string // what is wrong; holds neither a password nor a stored value
	Fix     string // what to do about it
	// Waits says that the trouble may pass by itself.
	Waits bool
	cause error
}

// Error is the problem; the fix is for whoever has room for it.
func (f *Failure) Error() string { return f.Problem }

// Unwrap returns the driver's error.
func (f *Failure) Unwrap() error { return f.cause }

// The SQLSTATEs that have a fix of their own:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
var known = []struct {
	codes []string
	Failure
}{
	{[]string{"3F000", "42883", "42P01"}, Failure{
		Problem: "the database is not migrated",
		Fix:     "run: worker migrate",
	}},
	{[]string{"42501"}, Failure{
		Problem: "this database user may not enqueue",
		Fix:     "grant it the role waybill_producer",
	}},
	{[]string{"25006"}, Failure{
		Problem: "the database is read-only",
		Fix:     "point DATABASE_URL at the primary, not at a standby",
		Waits:   true, // for the end of a failover
	}},
	{[]string{"28P01", "28000"}, Failure{
		Problem: "the database refused the login",
		Fix:     "check user and password in DATABASE_URL, and pg_hba.conf",
	}},
	{[]string{"3D000"}, Failure{
		Problem: "there is no such database",
		Fix:     "check the name in DATABASE_URL, or create it",
	}},
	{[]string{"53100"}, Failure{
		Problem: "the database's disk is full",
		Fix:     "free some space",
		Waits:   true,
	}},
	{[]string{"53300", "57P03"}, Failure{
		Problem: "the database takes no connections now",
		Fix:     "it is starting, stopping or full: try again",
		Waits:   true,
	}},
}

// passing are the classes of SQLSTATE that say nothing against the statement:
// connection, serialization, resources, operator intervention, system.
var passing = []string{"08", "40", "53", "55", "57", "58"}

// diagnose turns an error of the driver into a Failure.
func diagnose(err error) *Failure {
	var found *Failure
	if errors.As(err, &found) {
		return found
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return unreachable(err)
	}
	for _, k := range known {
		if slices.Contains(k.codes, pgErr.Code) {
			failure := k.Failure
			failure.cause = err
			return &failure
		}
	}
	// The message of an error about data may quote the data; others name objects.
	problem := "the database failed with SQLSTATE " + pgErr.Code
	if !isAboutData(pgErr.Code) {
		problem += ": " + pgErr.Message
	}
	return &Failure{
		Problem: problem,
		Fix:     "see the database's log",
		Waits:   slices.Contains(passing, pgErr.Code[:min(2, len(pgErr.Code))]),
		cause:   err,
	}
}

// unreachable is for what never came as far as an answer.
func unreachable(err error) *Failure {
	f := &Failure{Problem: "the database is away", Fix: "check that it runs and that DATABASE_URL points at it", Waits: true, cause: err}
	var connecting *pgconn.ConnectError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.Problem = "the database did not answer in time"
	case errors.As(err, &connecting):
		f.Problem = "the database cannot be reached: " + lastCause(connecting)
	}
	return f
}

// lastCause is the innermost error, "connection refused" for example. The ones around
// it repeat host, user and database at length.
func lastCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
			inner = joined.Unwrap()[0]
		}
		if inner == nil {
			return strings.TrimSpace(err.Error())
		}
		err = inner
	}
}

// unstorable returns the SQLSTATE of an error that the content of a batch brought
// about, or "". In waybill.enqueue only the cast to jsonb can raise one.
func unstorable(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && isAboutData(pgErr.Code) {
		return pgErr.Code
	}
	return ""
}

func isAboutData(code string) bool {
	return strings.HasPrefix(code, "22") || code == "54000" || code == "54001"
}
