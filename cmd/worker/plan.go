package main

import (
	"errors"

	"waybill/internal/plan/check"
	"waybill/internal/settings"
)

// loadPlan reads the tracking plan that bundles are held against; nil without one. What is
// wrong with it is one problem of ANALYTICS_PLAN.
func loadPlan(s settings.Settings) (*check.Plan, error) {
	if s.Plan == "" {
		return nil, nil
	}
	p, err := check.Load(s.Plan)
	var wrong *check.LoadError
	if errors.As(err, &wrong) {
		return nil, &settings.Error{Problems: []settings.Problem{{Variable: "ANALYTICS_PLAN", What: wrong.What, Fix: wrong.Fix}}}
	}
	return p, err
}

// planName is its name and version, for people; empty without one.
func planName(p *check.Plan) string {
	if p == nil {
		return ""
	}
	return p.String()
}
