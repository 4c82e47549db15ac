package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"waybill/internal/ops"
	"waybill/internal/settings"
)

func (p *program) doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "examine configuration, database and queue, and name each fix",
		Long: `doctor examines what a worker with this environment depends on: configuration,
connection, grants, schema, indexes, vacuum, clocks, dead letters, workers, and
whether Amplitude can be reached (it connects and sends nothing). It changes
nothing. Each finding comes with its fix.

It exits 0 when nothing failed (warnings are allowed), 3 when the configuration
is wrong, 4 when the database cannot be used, 5 when something else failed.`,
		Example: `  worker doctor
  worker doctor --json | jq '.findings[] | select(.level != "ok")'`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context(), asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) doctor(ctx context.Context, asJSON bool) error {
	s, loadErr := settings.Load(p.environ)
	d, decideErr := s.Decide()
	plan, planErr := loadPlan(s)
	err := joined(loadErr, s.RequireDatabase(), decideErr, planErr)
	if err != nil {
		return p.configurationFindings(err, asJSON)
	}
	config, err := poolConfig(s)
	if err != nil {
		return p.configurationFindings(err, asJSON)
	}
	findings := ops.Doctor{Decision: d, Plan: planName(plan), Config: config}.Examine(ctx)
	if err := p.printFindings(findings, asJSON); err != nil {
		return err
	}
	return verdict(findings)
}

// verdict is the exit code of an examination.
func verdict(findings []ops.Finding) error {
	if ops.Worst(findings) != ops.Fail {
		return nil
	}
	for _, f := range findings {
		if f.Level == ops.Fail && (f.Check == "database" || f.Check == "migrations") {
			return ended(exitDatabase)
		}
	}
	return ended(exitUnhealthy)
}

// configurationFindings reports a wrong configuration, before anything is connected to.
func (p *program) configurationFindings(err error, asJSON bool) error {
	var config *settings.Error
	if !errors.As(err, &config) {
		return err
	}
	var findings []ops.Finding
	for _, problem := range config.Problems {
		findings = append(findings, ops.Finding{
			Check: "configuration", Level: ops.Fail, Says: problem.Variable + ": " + problem.What, Fix: problem.Fix,
		})
	}
	if err := p.printFindings(findings, asJSON); err != nil {
		return err
	}
	return ended(exitConfiguration)
}

func (p *program) printFindings(findings []ops.Finding, asJSON bool) error {
	if asJSON {
		return p.printJSON(struct {
			Worst    ops.Level     `json:"worst"`
			Findings []ops.Finding `json:"findings"`
		}{ops.Worst(findings), findings})
	}
	return ops.DoctorText(p.stdout, findings)
}
