package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waybill/internal/ops"
)

// overrideFlags are those of retry and resolve.
type overrideFlags struct {
	filter              ops.Filter
	since, until        string
	assume, resend      bool
	yes, dryRun, asJSON bool
}

func (f *overrideFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.filter.Event, "event", "", "only bundles of this event `name`")
	flags.StringVar(&f.filter.Reason, "reason", "", "only bundles whose reason begins with `text`; with a % in it, a LIKE pattern")
	flags.StringVar(&f.since, "since", "", "only outcomes recorded since `time`: RFC 3339, or how long ago (36h)")
	flags.StringVar(&f.until, "until", "", "only outcomes recorded before `time`")
	flags.StringVar(&f.filter.Key, "key", "", "only the bundle of this action `key`")
	flags.IntVar(&f.filter.Limit, "limit", 0, "at most `N` bundles, the oldest outcomes first")
	flags.BoolVar(&f.dryRun, "dry-run", false, "count, and change nothing")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
}

func (p *program) retryCommand() *cobra.Command {
	var f overrideFlags
	c := &cobra.Command{
		Use:   "retry",
		Short: "send rejected or skipped bundles back to the queue",
		Long: `retry sends rejected or skipped bundles back to the queue, after you have mended
why they were. It shows how many first, and asks. Each keeps its insert_id. What
is replaced, and who did it, is kept: worker status --key shows it.`,
		Example: `  worker retry --dry-run
  worker retry --outcome rejected --reason 'unknown event' --yes
  worker retry --outcome skipped --since 24h
  worker retry --key order:8412:completed`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.override(cmd.Context(), ops.Retry, f) },
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&f.filter.Outcome, "outcome", "", "`rejected` or skipped; both if left out")
	f.add(c.Flags())
	return c
}

func (p *program) resolveCommand() *cobra.Command {
	var f overrideFlags
	c := &cobra.Command{
		Use:   "resolve",
		Short: "decide about bundles that may have been delivered",
		Long: `resolve decides about uncertain bundles: Amplitude may have them, and has
forgotten the insert_id that would tell. Look there first. It shows how many
there are, and asks.`,
		Example: `  worker resolve --assume-delivered --dry-run
  worker resolve --assume-delivered --until 2026-11-22T10:00:00Z
  worker resolve --resend --key order:8412:completed`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.assume == f.resend {
				return usagef("say one of --assume-delivered and --resend")
			}
			if f.assume {
				return p.override(cmd.Context(), ops.AssumeDelivered, f)
			}
			return p.override(cmd.Context(), ops.Resend, f)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&f.assume, "assume-delivered", false, "count them as delivered")
	c.Flags().BoolVar(&f.resend, "resend", false, "send them again; Amplitude may count them twice")
	f.add(c.Flags())
	return c
}

// consequences are what an action does to bundles.
var consequences = map[ops.Action]string{
	ops.Retry:           "go back to the queue",
	ops.AssumeDelivered: "count as delivered from now on",
	ops.Resend:          "go back to the queue, and may be counted twice",
}

// override shows what would happen, asks, and does it.
func (p *program) override(ctx context.Context, action ops.Action, f overrideFlags) error {
	if err := f.read(time.Now()); err != nil {
		return err
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
	o, err := ops.NewOverride(ctx, conn, action, f.filter)
	if err != nil {
		return refused(err)
	}
	preview, err := o.Preview(ctx)
	if err != nil {
		return refused(err)
	}
	if !f.yes || !f.asJSON { // with both, the result is the one object
		if err := p.showPreview(action, preview, f.asJSON); err != nil {
			return err
		}
	}
	if f.dryRun || preview.Moved == 0 && !f.yes {
		return nil
	}
	if !f.yes {
		if err := p.ask(preview); err != nil {
			return err
		}
	}
	done, err := o.Run(ctx, func(t ops.Tally) { p.progress(action, t, preview) })
	if p.terminal && done.Examined > 0 {
		p.complain("")
	}
	if showErr := p.showDone(action, done, f.asJSON); err == nil {
		return showErr
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted; what is counted above is done")
	}
	return refused(err)
}

// read checks the flags that need more than a type.
func (f *overrideFlags) read(now time.Time) error {
	switch {
	case f.filter.Outcome != "" && f.filter.Outcome != "rejected" && f.filter.Outcome != "skipped":
		return usagef("--outcome is rejected or skipped; uncertain bundles are for worker resolve")
	case f.filter.Limit < 0:
		return usagef("--limit is 1 or more")
	case f.yes && f.dryRun:
		return usagef("--yes and --dry-run do not go together")
	}
	var err error
	if f.filter.Since, err = moment("--since", f.since, now); err != nil {
		return err
	}
	f.filter.Until, err = moment("--until", f.until, now)
	return err
}

// moment reads an RFC 3339 time, or a duration as so long ago; "" is no time.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, usagef("%s is neither a time like 2026-11-22T10:00:00Z nor a duration like 36h", flag)
}

// result is the JSON of retry and resolve.
type result struct {
	Action ops.Action `json:"action"`
	DryRun bool       `json:"dry_run"` // nothing was changed
	ops.Tally
}

func (p *program) showPreview(action ops.Action, t ops.Tally, asJSON bool) error {
	if asJSON {
		return p.printJSON(result{action, true, t})
	}
	_, err := fmt.Fprintf(p.stdout, "%d matched; %d would %s\n%s", t.Matched, t.Moved, consequences[action], leftAlone(t))
	return err
}

func (p *program) showDone(action ops.Action, t ops.Tally, asJSON bool) error {
	if asJSON {
		return p.printJSON(result{action, false, t})
	}
	_, err := fmt.Fprintf(p.stdout, "done: %d %s\n%s", t.Moved, consequences[action], leftAlone(t))
	return err
}

// leftAlone says why some that matched stay as they are.
func leftAlone(t ops.Tally) string {
	var lines strings.Builder
	if t.NoPayload > 0 {
		fmt.Fprintf(&lines, "  %d cannot be sent again: their payload is gone or was never whole\n", t.NoPayload)
	}
	if t.Waiting > 0 {
		fmt.Fprintf(&lines, "  %d stand in a job that has not ended: ask again in a minute\n", t.Waiting)
	}
	return lines.String()
}

// ask gets a yes from a person, or fails.
func (p *program) ask(t ops.Tally) error {
	if !p.interactive {
		return usagef("nothing was done; add --yes to do it")
	}
	_, _ = fmt.Fprintf(p.stderr, "Do that to %d? [y/N] ", t.Moved)
	answer, _ := bufio.NewReader(p.stdin).ReadString('\n') // without an answer it is no
	if yes := strings.ToLower(strings.TrimSpace(answer)); yes != "y" && yes != "yes" {
		p.complain("nothing was done")
		return ended(exitRuntime)
	}
	return nil
}

// progress rewrites one line on a terminal, and writes lines elsewhere.
func (p *program) progress(action ops.Action, t, preview ops.Tally) {
	end := "\n"
	if p.terminal {
		end = "\r"
	}
	_, _ = fmt.Fprintf(p.stderr, "%s: %d of %d%s", action, t.Moved, preview.Moved, end)
}
