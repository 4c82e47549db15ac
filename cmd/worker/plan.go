package main

import "waybill/internal/settings"

// withoutPlan refuses a plan that nothing would check: who sets it relies on the checks.
func withoutPlan(s settings.Settings) error {
	if s.Plan == "" {
		return nil
	}
	return &settings.Error{Problems: []settings.Problem{{
		Variable: "ANALYTICS_PLAN",
		What:     "is set, but this version of the worker checks no plan",
		Fix:      "unset it; Go code is checked by the events that plan gen writes",
	}}}
}
