package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"waybill/internal/importer"
	"waybill/internal/settings"
)

// Exit codes, the same in every Waybill program.
const (
	exitOK       = 0
	exitFailed   = 1 // some were refused, or the import was interrupted
	exitUsage    = 2
	exitConfig   = 3
	exitDatabase = 4
)

// usageError is a command line, or an input, that makes no sense.
type usageError string

func (e usageError) Error() string { return string(e) }

// errRefused says that bundles were refused and that it has been said which.
var errRefused = errors.New("refused")

// program is one run of the command.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string
	now            func() time.Time
	terminal       bool // stderr is one

	bundle     bundleFlags
	reportPath string
	dryRun     bool
	all        bool
	json       bool
}

// run is the whole program; the result is its exit code. The end of ctx interrupts an
// import between two batches.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, env: env, now: time.Now}
	if f, ok := stderr.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
	}
	return p.run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) int {
	cmd := p.command()
	cmd.SetArgs(args)
	return p.exitCode(cmd.ExecuteContext(ctx))
}

func (p *program) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "enqueue [FILE | -]",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.enqueue(cmd.Context(), args)
		},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError(fmt.Sprintf("takes one file, not %d: cat them into enqueue -", len(args)))
			}
			return nil
		},
	}
	cmd.SetIn(p.stdin)
	cmd.SetOut(p.stdout)
	cmd.SetErr(p.stderr)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err.Error()) })

	options := p.optionFlags()
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(p.bundle.flags())
	cmd.Flags().AddFlagSet(options)
	cmd.SetHelpFunc(func(*cobra.Command, []string) { writeHelp(p.stdout, p.bundle.flags(), options) })
	return cmd
}

// enqueue is the command behind its flags.
func (p *program) enqueue(ctx context.Context, args []string) error {
	if p.all && !p.dryRun {
		return usageError("--all is for --dry-run")
	}
	in, err := p.open(args)
	if err != nil {
		return err
	}
	defer in.close()
	s, err := settings.Load(p.env)
	if err != nil {
		return err
	}
	switch {
	case p.dryRun:
		return p.preview(ctx, s, in)
	case !s.Enabled:
		return p.skip(ctx, in)
	default:
		return p.deliver(ctx, s, in)
	}
}

// exitCode says what went wrong, and turns it into an exit code.
func (p *program) exitCode(err error) int {
	var partly *stopped
	if errors.As(err, &partly) {
		defer say(p.stderr, "    ", partly.advice())
	}
	var usage usageError
	var config *settings.Error
	var database *importer.Failure
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errRefused):
		return exitFailed
	case errors.As(err, &config):
		say(p.stderr, "", "enqueue: the configuration is wrong")
		_, _ = fmt.Fprintln(p.stderr, config)
		return exitConfig
	case errors.As(err, &database):
		say(p.stderr, "", "enqueue: "+database.Problem)
		say(p.stderr, "    ", database.Fix)
		return exitDatabase
	case errors.As(err, &usage), errors.Is(err, importer.ErrCompressed), errors.Is(err, importer.ErrUTF16):
		say(p.stderr, "", "enqueue: "+err.Error())
		say(p.stderr, "    ", "enqueue -h shows how it is used")
		return exitUsage
	default:
		say(p.stderr, "", "enqueue: "+err.Error())
		return exitFailed
	}
}
