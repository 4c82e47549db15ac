package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"waybill/internal/plan"
	"waybill/internal/plan/audit"
	"waybill/internal/plan/gen"
	"waybill/internal/plan/lint"
)

func (p *program) lintCommand() *cobra.Command {
	var rules bool
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Tell what is wrong with the plan, with file, line and fix",
		Args:  none,
		RunE: func(*cobra.Command, []string) error {
			if rules {
				for _, r := range lint.Rules() {
					p.say("%-16s %s\n", r.Name, r.About)
				}
				return nil
			}
			l, err := p.checked()
			if err != nil {
				return err
			}
			p.say("%s: %d events and %d traits, nothing wrong\n", p.dir, len(l.plan.Events), len(l.plan.Traits))
			return nil
		},
	}
	cmd.Flags().BoolVar(&rules, "rules", false, "list the rules instead")
	return cmd
}

func (p *program) genCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "gen",
		Short: "Write Go, schemas, TypeScript, the sheet and the lock",
		Args:  none,
		RunE:  func(*cobra.Command, []string) error { return p.gen(check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; fail if a file differs")
	return cmd
}

func (p *program) gen(check bool) error {
	l, err := p.checked()
	if err != nil {
		return err
	}
	in := gen.Input{Plan: l.plan, Dir: p.dir, Lock: l.lock}
	source, err := audit.Read(p.root, l.plan, "./...")
	if err != nil && !errors.Is(err, audit.ErrNoModule) {
		return err // the sheet would forget the calls
	}
	in.Calls = source.Calls()
	files, err := gen.Files(in)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(p.root)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // every file in it is closed
	if check {
		return p.drift(root, in, files)
	}
	written, removed, err := gen.Write(root, in, files)
	for _, f := range written {
		p.say("wrote %s\n", f)
	}
	for _, f := range removed {
		p.say("removed %s\n", f)
	}
	if err == nil && len(written)+len(removed) == 0 {
		p.say("nothing to do\n")
	}
	return err
}

func (p *program) drift(root *os.Root, in gen.Input, files []gen.File) error {
	drift, err := gen.Drift(root, in, files)
	if err != nil || len(drift) == 0 {
		return err
	}
	for _, d := range drift {
		p.complain("drift: %s\n", d)
	}
	p.complain("run plan gen and commit what it writes; edit the YAML, not the output\n")
	return errFound
}

func (p *program) auditCommand() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "audit [PACKAGES]",
		Short: "Compare the Go source with the plan",
		Long: `Compare the Go source with the plan: calls per event, live events nobody
calls, others somebody does, and what goes round the generated code.

PACKAGES are folders such as ./orders or ./orders/...; default ./...
A line that must stay says why: // plan:allow REASON`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"./..."}
			}
			return p.audit(args, quiet)
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "findings only")
	return cmd
}

func (p *program) audit(patterns []string, quiet bool) error {
	l, err := p.load()
	if err != nil {
		return err
	}
	source, err := audit.Read(p.root, l.plan, patterns...)
	if err != nil {
		return err
	}
	report := audit.Audit(l.plan, source)
	if !quiet {
		p.calls(report)
	}
	for _, f := range report.Findings {
		p.complain("%s\n", f)
	}
	if len(report.Findings) > 0 {
		return errFound
	}
	return nil
}

func (p *program) calls(report audit.Report) {
	for _, e := range report.Events {
		if e.Status == plan.Removed && len(e.Sites) == 0 {
			continue
		}
		p.say("%-36s %-4s %-10s %d\n", e.Name, e.Version, e.Status, len(e.Sites))
		for _, site := range e.Sites {
			p.say("  %s %s\n", site.Pos, site.Func)
		}
	}
}
