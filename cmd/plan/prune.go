package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"waybill/internal/plan"
	"waybill/internal/plan/contract"
	"waybill/internal/settings"
)

//go:embed unsent.sql
var unsentSQL string

// pruneTimeout bounds the look at a whole backlog.
const pruneTimeout = 5 * time.Minute

// databaseError is a question that the database did not answer.
type databaseError struct {
	err error
	fix string
}

func (e databaseError) Error() string { return fmt.Sprintf("ask the database: %v; %s", e.err, e.fix) }
func (e databaseError) Unwrap() error { return e.err }

func (p *program) pruneCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "prune NAME VERSION",
		Short: "Let a version go, once no bundle waits with it",
		Long: `Let a published version go. Its stanza says status: removed; prune asks the
database (DATABASE_URL, as any login with the role waybill_operator) whether
bundles of that MAJOR version still wait, and notes in the lock that none do.
Until it has, lint and gen refuse the removal. Ask every database that the
applications enqueue into, production above all.`,
		Example: `  plan prune report_created 1.0`,
		Args: func(_ *cobra.Command, args []string) error {
			const nameAndVersion = 2
			if len(args) != nameAndVersion {
				return usageError("prune takes a name and a version, such as report_created 1.0")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.prune(cmd.Context(), args[0], args[1]) },
	}
}

func (p *program) prune(ctx context.Context, name, versionText string) error {
	l, err := p.load()
	if err != nil {
		return err
	}
	version, err := plan.ParseVersion(versionText)
	if err != nil {
		return usageError(err.Error() + "; write it like 1.0")
	}
	if err := prunable(l, name, version); err != nil {
		return err
	}
	s, err := settings.Load(p.environ)
	if err := errors.Join(err, s.RequireDatabase()); err != nil {
		return err
	}
	names, unversioned := sentAs(l.plan, name)
	bundles, oldest, err := unsent(ctx, s.DatabaseURL.Reveal(), names, version.Major, unversioned)
	if err != nil {
		return err
	}
	if bundles > 0 {
		p.complain("%d bundles of %s %d.x wait, the oldest since %s\nlet the workers deliver them, or settle them, and ask again\n",
			bundles, name, version.Major, oldest.UTC().Format(time.DateTime))
		return errFound
	}
	file := path.Join(p.dir, contract.LockFile)
	lock := l.lock.WithPruned(name, version)
	if err := os.WriteFile(filepath.Join(p.root, filepath.FromSlash(file)), lock.Bytes(), 0o644); err != nil {
		return err
	}
	p.say("no bundle of %s %d.x waits in %s; noted in %s, now run plan gen\n", name, version.Major, s.RedactedDatabaseURL(), file)
	return nil
}

// prunable finds what speaks against letting a version go before anybody is asked.
func prunable(l loaded, name string, version plan.Version) error {
	i := slices.IndexFunc(l.plan.Events, func(e plan.Event) bool { return e.Name == name && e.Version == version })
	if i < 0 {
		return usageError(fmt.Sprintf("%s %s is not in the plan", name, version))
	}
	if status := l.plan.Events[i].Status; status != plan.Removed {
		return usageError(fmt.Sprintf("%s %s is %s; set status: removed first, and stop sending it", name, version, status))
	}
	if _, ok := l.lock.Unpruned(name, version.Major); !ok {
		return usageError(fmt.Sprintf("%s %s was never published, or is pruned already; plan lint says what is wrong, if anything", name, version))
	}
	return nil
}

// sentAs is every name the event goes by in bundles, and whether one without a version can
// only be of the version that goes: no other is left.
func sentAs(p *plan.Plan, name string) (names []string, unversioned bool) {
	unversioned = true
	for _, e := range p.Events {
		if e.Name == name {
			names = append(append(names, e.Name, e.WireName()), e.Aliases...)
			unversioned = unversioned && e.Status == plan.Removed
		}
	}
	return names, unversioned
}

func unsent(ctx context.Context, url string, names []string, major int, unversioned bool) (bundles int64, oldest *time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, pruneTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, nil, databaseError{err, "check DATABASE_URL"}
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = conn.QueryRow(ctx, unsentSQL, names, major, unversioned).Scan(&bundles, &oldest)
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return bundles, oldest, nil
	case errors.As(err, &pgErr) && (pgErr.Code == "3F000" || pgErr.Code == "42883"):
		return 0, nil, databaseError{err, "run: worker migrate"}
	case errors.As(err, &pgErr) && pgErr.Code == "42501":
		return 0, nil, databaseError{err, "GRANT waybill_operator TO your login"}
	}
	return 0, nil, databaseError{err, "try again"}
}
