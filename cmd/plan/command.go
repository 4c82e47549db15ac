package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"waybill/internal/plan"
	"waybill/internal/plan/contract"
	"waybill/internal/plan/lint"
	"waybill/internal/settings"
)

// Exit codes, the same in every Waybill program.
const (
	exitOK     = 0
	exitFailed = 1 // something was found
	exitUsage  = 2

	exitConfiguration = 3
	exitDatabase      = 4
)

// errFound says that problems were found and have been printed.
var errFound = errors.New("found")

// usageError is a command line that makes no sense.
type usageError string

func (e usageError) Error() string { return string(e) }

// program is one run of the command.
type program struct {
	root           string // of the application
	environ        []string
	dir            string // of the plan, from root
	stdout, stderr io.Writer
	now            func() time.Time
}

// run is the whole program; the result is its exit code.
func run(ctx context.Context, args []string, root string, environ []string, stdout, stderr io.Writer) int {
	p := &program{root: root, environ: environ, stdout: stdout, stderr: stderr, now: time.Now}
	cmd := p.command() //nolint:contextcheck // cobra hands the context to the command that runs
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	var usage usageError
	var wrong *settings.Error
	var database databaseError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFound):
		return exitFailed
	case errors.As(err, &usage):
		p.complain("plan: %v\n", err)
		return exitUsage
	case errors.As(err, &wrong):
		p.complain("plan: %v\n", err)
		return exitConfiguration
	case errors.As(err, &database):
		p.complain("plan: %v\n", err)
		return exitDatabase
	}
	p.complain("plan: %v\n", err)
	return exitFailed
}

// say writes to stdout. A reader that went away is no news to a command that ends.
func (p *program) say(format string, args ...any) { _, _ = fmt.Fprintf(p.stdout, format, args...) }

// complain writes to stderr.
func (p *program) complain(format string, args ...any) { _, _ = fmt.Fprintf(p.stderr, format, args...) }

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "plan",
		Short: "Check a tracking plan and generate what follows from it",
		Long: `Check a tracking plan and generate what follows from it.

Run it in the application's root. Nothing here needs a network or a key, and
only prune a database.

Exit codes: 0 fine, 1 something was found, 2 the command line is wrong,
3 the environment is, 4 the database cannot be asked.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(fmt.Sprintf("there is no command %q; plan -h lists them", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&p.dir, "plan", "plan", "`folder` of the plan")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err.Error()) })
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		p.dir = path.Clean(filepath.ToSlash(p.dir))
		if !filepath.IsLocal(filepath.FromSlash(p.dir)) {
			return usageError(fmt.Sprintf("--plan %s is not below this folder; run plan in the application's root", p.dir))
		}
		return nil
	}
	root.AddCommand(p.lintCommand(), p.genCommand(), p.diffCommand(), p.auditCommand(), p.newCommand(), p.pruneCommand())
	return root
}

// none refuses arguments.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(fmt.Sprintf("%s takes no argument, such as %q", cmd.Name(), args[0]))
	}
	return nil
}

// loaded is a plan that could be read, and its lock.
type loaded struct {
	plan *plan.Plan
	lock contract.Lock
}

// load reads the plan. What is wrong has been printed if it fails.
func (p *program) load() (loaded, error) {
	read, problems := plan.Load(os.DirFS(p.root), p.dir)
	lock, lockProblems, err := contract.LoadLock(os.DirFS(p.root), p.dir)
	if err != nil {
		return loaded{}, err
	}
	return loaded{read, lock}, p.print(append(problems, lockProblems...))
}

// checked reads the plan and lints it.
func (p *program) checked() (loaded, error) {
	l, err := p.load()
	if err != nil {
		return l, err
	}
	return l, p.print(lint.Check(lint.Input{
		Plan: l.plan, Lock: l.lock, LockFile: path.Join(p.dir, contract.LockFile),
		CodeOwners: p.codeOwners(), Now: p.now(),
	}))
}

// print writes problems to stderr.
func (p *program) print(problems plan.Problems) error {
	if len(problems) == 0 {
		return nil
	}
	for _, problem := range problems {
		p.complain("%s\n", problem)
	}
	return errFound
}

// codeOwners is the text of the first CODEOWNERS, where GitHub and GitLab look.
func (p *program) codeOwners() string {
	for _, dir := range []string{".github", "", "docs", ".gitlab"} {
		if text, err := os.ReadFile(filepath.Join(p.root, dir, "CODEOWNERS")); err == nil {
			return string(text)
		}
	}
	return ""
}
