package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"waybill/internal/ops"
	"waybill/migrations"
)

type migrateFlags struct {
	print, printGrants bool
	down               int
	yes                bool
}

func (p *program) migrateCommand() *cobra.Command {
	var f migrateFlags
	c := &cobra.Command{
		Use:   "migrate",
		Short: "bring the database to this version",
		Long: `migrate creates schema waybill in the database of DATABASE_URL, or brings it to
the version of this binary, River's tables included. It may run again, and from
many pods at once. It needs a direct connection, not a transaction pooler.`,
		Example: `  worker migrate
  worker migrate --print > waybill.sql      for a migration tool of your own
  worker migrate --print-grants | psql      as somebody who may create roles
  worker migrate --down 1                   says what would be lost`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.down = max(f.down, 0)
			return p.migrate(cmd.Context(), f, cmd.Flags().Changed("down"))
		},
	}
	c.Flags().BoolVar(&f.print, "print", false, "print the SQL of everything and do nothing")
	c.Flags().BoolVar(&f.printGrants, "print-grants", false, "print the SQL that makes the three roles and do nothing")
	c.Flags().IntVar(&f.down, "down", 0, "take back the newest `N` steps of ours; says what is lost and needs --yes")
	c.Flags().BoolVar(&f.yes, "yes", false, "with --down: do it")
	return c
}

func (p *program) migrate(ctx context.Context, f migrateFlags, down bool) error {
	switch {
	case f.print && f.printGrants, down && (f.print || f.printGrants):
		return usagef("--print, --print-grants and --down do not go together")
	case down && f.down < 1:
		return usagef("--down needs a number of steps, 1 or more")
	case f.yes && !down:
		return usagef("--yes is for --down")
	case f.print:
		return migrations.Print(p.stdout)
	case f.printGrants:
		return migrations.PrintGrants(p.stdout)
	}
	_, config, err := p.load()
	if err != nil {
		return err
	}
	config.ConnConfig.OnNotice = p.notice
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pool.Ping(ctx); err != nil {
		why, fix := ops.Unreachable(err)
		return databaseError{errors.New("the database cannot be used: " + why), fix}
	}
	if down {
		return p.migrateDown(ctx, pool, f)
	}
	if err := migrations.Up(ctx, pool); err != nil {
		return databaseError{err, ""}
	}
	_, err = fmt.Fprintf(p.stdout, "schema waybill is at step %d\n", migrations.Version())
	return err
}

// notice passes on what a step says to people; the server's own remarks about things
// that exist already are not for them.
func (p *program) notice(_ *pgconn.PgConn, n *pgconn.Notice) {
	const raised = "exec_stmt_raise" // by RAISE in PL/pgSQL
	if n.Routine == raised {
		p.complain("note: %s", n.Message)
	}
}

// losses are what goes with each step.
var losses = map[string]string{
	"tables":       "EVERY BUNDLE, its outcome and its history, and River's jobs",
	"enqueue":      "the enqueue functions: applications fail when they enqueue",
	"river":        "the tuning of River's tables; nothing that is stored",
	"operators":    "the view and functions of operators; nothing that is stored",
	"roles":        "the rights of the three roles in this database",
	"profile_seen": "a shorter way to write profiles; nothing that is stored",
	"plan":         "the record of what broke the tracking plan",
}

func (p *program) migrateDown(ctx context.Context, pool *pgxpool.Pool, f migrateFlags) error {
	applied, err := ops.Step(ctx, pool)
	if err != nil {
		return refused(err)
	}
	steps := migrations.Steps()
	if applied > len(steps) {
		return databaseError{migrations.ErrNewer, "use the newer worker to take its steps back"}
	}
	p.complain("These steps would be taken back, and with them:")
	for i := applied; i > max(applied-f.down, 0); i-- {
		step := steps[i-1]
		loss, known := losses[step.Name]
		if !known {
			loss = "see worker migrate --print"
		}
		p.complain("  %2d %-10s %s", step.Version, step.Name, loss)
	}
	if !f.yes {
		return usagef("nothing was done; add --yes to do it")
	}
	if err := migrations.Down(ctx, pool, f.down); err != nil {
		return databaseError{err, ""}
	}
	_, err = fmt.Fprintf(p.stdout, "schema waybill is at step %d\n", max(applied-f.down, 0))
	return err
}
