package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"waybill/internal/plan"
	"waybill/internal/plan/audit"
	"waybill/internal/plan/diff"
)

func (p *program) diffCommand() *cobra.Command {
	var base string
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Compare the plan with a revision of git, as Markdown",
		Long: `Compare the plan with a revision of git, as Markdown for a pull request:
what is added, additive, breaking or removed, the version each change needs,
and the calls it touches. Fails if a version is missing.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.diff(cmd.Context(), base) },
	}
	cmd.Flags().StringVar(&base, "base", "origin/main", "`revision` to compare with")
	return cmd
}

func (p *program) diff(ctx context.Context, base string) error {
	l, err := p.load()
	if err != nil {
		return err
	}
	before, err := p.planAt(ctx, base)
	if err != nil {
		return err
	}
	entries := diff.Compare(before, l.plan)
	p.say("%s", diff.Markdown(entries, p.sites(l.plan, before)))
	missing := false
	for _, e := range entries {
		if e.Missing {
			p.complain("%s: %s\n", e.Pos, e.Missed())
			missing = true
		}
	}
	if missing {
		return errFound
	}
	return nil
}

// planAt reads the plan of a revision. One without a plan is an empty plan.
func (p *program) planAt(ctx context.Context, revision string) (*plan.Plan, error) {
	dir, err := os.MkdirTemp("", "plan-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // below the system's own
	if err := diff.Checkout(ctx, p.root, p.dir, revision, dir); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
		return &plan.Plan{}, err
	}
	before, problems := plan.Load(os.DirFS(dir), p.dir)
	if len(problems) > 0 {
		return nil, fmt.Errorf("the plan of %s cannot be read:\n%s", revision, problems)
	}
	return before, nil
}

// sites are the calls of every event of both plans, by name.
func (p *program) sites(plans ...*plan.Plan) map[string][]string {
	sites := map[string][]string{}
	source, err := audit.Read(p.root, plans[0], "./...")
	if err != nil {
		return sites // no Go here
	}
	for _, one := range plans {
		for _, e := range audit.Audit(one, source).Events {
			if len(sites[e.Name]) > 0 {
				continue
			}
			for _, s := range e.Sites {
				sites[e.Name] = append(sites[e.Name], s.Pos.String())
			}
		}
	}
	return sites
}
