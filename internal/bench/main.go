//go:build unix

// Command bench is `make bench`: Waybill beside stock River, in one run, in turn, on one durable Postgres.
//
//	go run ./internal/bench [--quick] [--only NAME,…] [--soak 3m] [--json FILE] [--svg FILE] [--page FILE]
//
// Both sides get the same payloads. Each has a database of its own and a worker process of its own; River has its
// default schema and indexes and the settings of its own bench. What each side did is counted in its database, and
// what arrived at the endpoint; where the two did not do the same work, no ratio is printed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"waybill/internal/bench/endpoint"
	"waybill/internal/bench/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	quick     bool
	jsonPath  string
	chartPath string
	pagePath  string
	profile   string
	rounds    int
	only      []string
	soak      time.Duration
}

// command is how to make the same table again.
func (o options) command() string {
	var args []string
	if o.rounds > 0 {
		args = append(args, fmt.Sprintf("--rounds %d", o.rounds))
	}
	if len(o.only) > 0 {
		args = append(args, "--only "+strings.Join(o.only, ","))
	}
	if o.soak > 0 {
		args = append(args, "--soak "+o.soak.String())
	}
	command := "make bench"
	if o.quick {
		command = "make bench-quick"
	}
	if len(args) > 0 {
		command += " ARGS=\"" + strings.Join(args, " ") + "\""
	}
	return command
}

func command() *cobra.Command {
	var o options
	root := &cobra.Command{
		Use:           "bench",
		Short:         "Measure Waybill beside stock River",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := root.Flags()
	flags.BoolVar(&o.quick, "quick", false, "smaller and within two minutes")
	flags.StringVar(&o.jsonPath, "json", "", "write every round's values to a `file`")
	flags.StringVar(&o.chartPath, "svg", "", "draw the ratios into a `file`")
	flags.StringVar(&o.pagePath, "page", "", "replace the table in a Markdown `file`")
	flags.StringVar(&o.profile, "profile", "", "measure nothing; profile drains into a `directory`")
	flags.IntVar(&o.rounds, "rounds", 0, "`number` of rounds (default 5, quick 3)")
	flags.StringSliceVar(&o.only, "only", nil, "measure only these `names`: "+strings.Join(names(), ", "))
	flags.DurationVar(&o.soak, "soak", 0, "soak for a `time` (default 30m, quick none)")
	root.AddCommand(endpointCommand(), riverCommand(), profiledCommand())
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

// The hidden commands are the processes that the bench starts of itself.

func endpointCommand() *cobra.Command {
	var b endpoint.Behaviour
	c := &cobra.Command{Use: "endpoint", Hidden: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return endpoint.Serve(cmd.Context(), b, cmd.OutOrStdout())
	}}
	c.Flags().DurationVar(&b.Latency, "latency", 0, "")
	return c
}

func riverCommand() *cobra.Command {
	var poll time.Duration
	c := &cobra.Command{Use: "river", Hidden: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return runStock(cmd.Context(), os.Getenv("BENCH_DATABASE_URL"), poll, cmd.OutOrStdout())
	}}
	c.Flags().DurationVar(&poll, "poll", stockPoll, "")
	return c
}

func profiledCommand() *cobra.Command {
	return &cobra.Command{Use: "profiled", Hidden: true, Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		return runProfiled(cmd.Context(), os.Getenv("BENCH_DATABASE_URL"), args[0], args[1])
	}}
}

// sizes are those of the mode, with what the flags say.
func (o options) sizes() sizes {
	s := full
	if o.quick {
		s = quick
	}
	if o.rounds > 0 {
		s.rounds, s.few = o.rounds, o.rounds
	}
	if o.soak > 0 {
		s.soak = o.soak
	}
	return s
}

func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	all, err := chosen(o)
	if err != nil {
		return err
	}
	b := &bench{sizes: o.sizes(), progress: stderr, figures: map[string]*figures.Figure{}}
	report := figures.Report{Command: o.command(), Machine: describeMachine(), Rounds: b.sizes.rounds}
	b.say("building the worker and starting Postgres")
	if b.house, err = newHouse(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.control.QueryRow(ctx, "SHOW server_version").Scan(&report.Machine.Postgres); err != nil {
		return err
	}
	report.Machine.Postgres, _, _ = strings.Cut(report.Machine.Postgres, " ")
	if o.profile != "" {
		return b.profileDrains(ctx, o.profile, stdout)
	}
	if err := b.measure(ctx, all, o.quick); err != nil {
		return err
	}
	for _, id := range b.order {
		report.Figures = append(report.Figures, *b.figures[id])
		report.Summary = append(report.Summary, b.figures[id].Summary())
	}
	report.Work = b.work
	return write(report, o, stdout)
}

// write prints the table and fills the files that were asked for.
func write(report figures.Report, o options, stdout io.Writer) error {
	if err := report.Write(stdout); err != nil {
		return err
	}
	if o.jsonPath != "" {
		if err := writeFile(o.jsonPath, func(w io.Writer) error {
			encoder := json.NewEncoder(w)
			encoder.SetIndent("", "  ")
			return encoder.Encode(report)
		}); err != nil {
			return err
		}
	}
	if o.chartPath != "" {
		if err := writeFile(o.chartPath, report.WriteSVG); err != nil {
			return err
		}
	}
	if o.pagePath != "" {
		return report.UpdatePage(o.pagePath)
	}
	return nil
}

func writeFile(path string, fill func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}
