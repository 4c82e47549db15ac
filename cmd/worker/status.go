package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"waybill/internal/ops"
	"waybill/internal/settings"
)

// watchEvery is the rhythm of status --watch.
const watchEvery = 2 * time.Second

type statusFlags struct {
	key         string
	json, watch bool
}

func (p *program) statusCommand() *cobra.Command {
	var f statusFlags
	c := &cobra.Command{
		Use:   "status",
		Short: "show the queue, or the fate of one action",
		Long: `status shows the queue on one screen: depth, the oldest, rates, outcomes, dead
letters, workers. With --key it answers "did this go out?" about one action.
Counts stop at 100,000 and are marked with a +.

It exits 1 when no bundle has the key.`,
		Example: `  worker status
  worker status --watch
  worker status --key order:8412:completed
  worker status --key order:8412:completed --json | jq -r .outcome`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.status(cmd.Context(), f) },
	}
	c.Flags().StringVar(&f.key, "key", "", "show the bundle of this action `key`")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().BoolVar(&f.watch, "watch", false, "show it again every 2 s, until interrupted")
	return c
}

func (p *program) status(ctx context.Context, f statusFlags) error {
	if f.key != "" && f.watch {
		return usagef("--key and --watch do not go together")
	}
	s, config, err := p.load()
	if err != nil {
		return err
	}
	conn, err := connect(ctx, config, false)
	if err != nil {
		return err
	}
	defer disconnect(ctx, conn)
	switch {
	case f.key != "":
		return p.lookup(ctx, conn, f)
	case f.watch:
		return p.watch(ctx, conn, s, f)
	}
	return p.report(ctx, conn, s, f)
}

func (p *program) lookup(ctx context.Context, conn *pgx.Conn, f statusFlags) error {
	b, err := ops.Lookup(ctx, conn, f.key)
	switch {
	case errors.Is(err, ops.ErrUnknown):
		return err
	case err != nil:
		return refused(err)
	case f.json:
		return p.printJSON(b)
	}
	return b.Text(p.stdout)
}

func (p *program) report(ctx context.Context, conn *pgx.Conn, s settings.Settings, f statusFlags) error {
	status, err := ops.ReadStatus(ctx, conn, ops.Most)
	if err != nil {
		return refused(err)
	}
	r := ops.Report{Database: s.RedactedDatabaseURL(), Environment: describe(s), Status: status}
	if f.json {
		return p.printJSON(r)
	}
	return r.Text(p.stdout)
}

// watch shows the report again and again. On a terminal each stands in the place of the
// one before. It ends with the connection, or when it is interrupted.
func (p *program) watch(ctx context.Context, conn *pgx.Conn, s settings.Settings, f statusFlags) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for first := true; ; first = false {
		switch {
		case f.json:
		case isTerminal(p.stdout):
			_, _ = fmt.Fprint(p.stdout, "\x1b[H\x1b[2J")
		case !first:
			_, _ = fmt.Fprintln(p.stdout)
		}
		if err := p.report(ctx, conn, s, f); err != nil {
			return unlessStopped(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// describe is what a worker with this environment would do.
func describe(s settings.Settings) ops.Environment {
	d, err := s.Decide()
	var config *settings.Error
	if errors.As(err, &config) {
		problem := config.Problems[0]
		return ops.Environment{Mode: "none", Destination: "none", Reason: problem.Variable + " " + problem.What}
	}
	return ops.Environment{Mode: string(d.Mode), Destination: string(d.Destination), Reason: d.Reason}
}

// printJSON writes a value as one line, so that a stream of them can be read.
func (p *program) printJSON(value any) error {
	return json.NewEncoder(p.stdout).Encode(value)
}
