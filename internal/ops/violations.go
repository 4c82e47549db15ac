package ops

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Violation is what bundles of one event have against them in the tracking plan, over
// the last day.
type Violation struct {
	Event    string    `json:"event"`
	Version  string    `json:"version"`
	Property string    `json:"property"` // empty: the event itself
	Rule     string    `json:"rule"`
	Mode     string    `json:"mode"` // observe: they were sent; quarantine, enforce: held back
	Reason   string    `json:"reason"`
	Bundles  int64     `json:"bundles"`
	Newest   time.Time `json:"newest"`
	// Capped says that there are older ones than those counted.
	Capped bool `json:"capped"`
}

// Objection is one thing that the tracking plan has against one bundle.
type Objection struct {
	Property string    `json:"property"` // empty: the event itself
	Rule     string    `json:"rule"`
	Mode     string    `json:"mode"`
	Reason   string    `json:"reason"`
	Plan     string    `json:"plan"` // name and version
	At       time.Time `json:"at"`
}

// String reads "pages is of type string, not integer (enforce, shop 1.0)".
func (o Objection) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s (%s, %s)", o.Property, o.Reason, o.Mode, o.Plan))
}

// violationsSince is how far back violations are shown.
const violationsSince = 24 * time.Hour

// String reads "report_created 2.1 pages: is of type string, not integer".
func (v Violation) String() string {
	what := orNone(v.Event)
	if v.Event == "" {
		what = "(no event)"
	}
	for _, part := range []string{v.Version, v.Property} {
		if part != "" {
			what += " " + part
		}
	}
	return what + ": " + v.Reason
}

// held says that the bundles were not sent.
func (v Violation) held() bool { return v.Mode != "observe" }

func (s Status) violationsText(p *page) {
	for i, v := range s.Violations {
		label := ""
		if i == 0 {
			label = "Off plan"
		}
		if i == shownReasons {
			p.row("", "…")
			return
		}
		fate := "sent"
		if v.held() {
			fate = "held"
		}
		p.row(label, "%s", fmt.Sprintf("%9s  %s  %s", thousands(v.Bundles, v.Capped), fate, v))
	}
}

// checkPlan says which plan bundles are held against, and how many keep to it.
func (e *examination) checkPlan(context.Context) ([]Finding, error) {
	return judgePlan(e.Plan, e.status), nil
}

func judgePlan(plan string, s Status) []Finding {
	var findings []Finding
	for _, w := range s.Workers {
		if theirs := w.about().Plan; w.Alive(s.At) && theirs != plan && (theirs != "" || plan != "") {
			findings = append(findings, warn("give all workers one ANALYTICS_PLAN, and restart those that have another",
				"worker %s checks against %s, this environment says %s", w.ID, planName(theirs), planName(plan))...)
			break
		}
	}
	for _, v := range s.Violations[:min(len(s.Violations), shownReasons)] {
		says := fmt.Sprintf("%s, last %s ago", plural(v.Bundles, v.Capped, "bundle"), span(s.At.Sub(v.Newest)))
		switch v.Mode {
		case "observe":
			findings = append(findings, warn("mend the sender or the plan; they are sent meanwhile", "%s sent off plan: %s", says, v)...)
		case "quarantine":
			findings = append(findings, warn("mend the plan or the data, restart the workers, then: worker retry --outcome rejected --reason 'plan quarantine%'",
				"%s in quarantine: %s", says, v)...)
		default:
			findings = append(findings, warn("mend the sender, which sends it anew under another key; or mend the plan and: worker retry --outcome rejected --reason 'plan:%'",
				"%s rejected by the plan: %s", says, v)...)
		}
	}
	switch {
	case findings == nil && plan == "":
		return ok("none is set (ANALYTICS_PLAN); every event name is taken")
	case findings == nil:
		return ok("bundles are held against %s; none of the last day breaks it", planName(plan))
	}
	return findings
}

func planName(plan string) string {
	if plan == "" {
		return "no plan"
	}
	return "plan " + plan
}
