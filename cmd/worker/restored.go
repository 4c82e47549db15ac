package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"waybill/internal/ops"
)

type restoredFlags struct {
	at                  string
	yes, dryRun, asJSON bool
}

func (p *program) restoredCommand() *cobra.Command {
	var f restoredFlags
	c := &cobra.Command{
		Use:   "restored",
		Short: "say that the database was restored from a backup",
		Long: `restored says that the database was restored from a backup. Run it after the
restore and before the first worker starts. What the backup does not know as
delivered may have been since: within Amplitude's memory it is sent again and
counts once, and what is older becomes uncertain instead of counting twice.
It shows how many first, and asks.`,
		Example: `  worker restored --at 2026-11-22T03:00:00Z --dry-run
  worker restored --at 2026-11-22T03:00:00Z --yes`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.restored(cmd.Context(), f) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.at, "at", "", "when the backup was taken, or the `time` it was recovered to: RFC 3339, or how long ago (36h); too early is safe, too late is not")
	flags.BoolVar(&f.dryRun, "dry-run", false, "count, and change nothing")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// restored shows what would be marked, asks, and marks it.
func (p *program) restored(ctx context.Context, f restoredFlags) error {
	now := time.Now()
	at, err := moment("--at", f.at, now)
	switch {
	case err != nil:
		return err
	case at.IsZero():
		return usagef("say when the backup was taken: --at 2026-11-22T03:00:00Z")
	case at.After(now):
		return usagef("--at lies in the future")
	case f.yes && f.dryRun:
		return usagef("--yes and --dry-run do not go together")
	}
	_, config, err := p.load()
	if err != nil {
		return err
	}
	conn, err := connect(ctx, config, !f.dryRun)
	if err != nil {
		return err
	}
	defer disconnect(ctx, conn)
	if !f.yes {
		preview, err := ops.ReadRestored(ctx, conn, at)
		if err != nil {
			return refused(err)
		}
		if err := p.showRestored(preview, f.asJSON); err != nil || f.dryRun {
			return err
		}
		if err := p.ask(ops.Tally{Moved: int(preview.Bundles)}); err != nil {
			return err
		}
	}
	done, err := ops.MarkRestored(ctx, conn, at)
	if errors.Is(err, ops.ErrWorkersRun) {
		return err
	}
	if err != nil {
		return refused(err)
	}
	return p.showRestored(done, f.asJSON)
}

func (p *program) showRestored(r ops.Restored, asJSON bool) error {
	if asJSON {
		return p.printJSON(r)
	}
	return r.Text(p.stdout)
}
