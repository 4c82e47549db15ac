package jobs

import (
	"encoding/json"
	"time"

	"waybill/internal/bundle"
	"waybill/internal/plan/check"
)

// Preview is what Amplitude would be sent for one bundle if nothing were known about
// its identities: every part, in order. id stands for the bundle's id, at for its
// occurred_at. A plan, if there is one, has its say: what it holds back or samples out is
// no event, and the verdict tells why.
func Preview(plan *check.Plan, b *bundle.Bundle, install string, id int64, at time.Time) ([]json.RawMessage, check.Verdict, error) {
	if refusals := b.Refusals(at); len(refusals) > 0 {
		return nil, check.Verdict{}, refusals[0]
	}
	it := &item{id: id, bundle: b, at: at}
	if outcome, _ := (&loop{cfg: Config{Plan: plan}}).byPlan(it); outcome != "" {
		return nil, it.plan.verdict, nil
	}
	events := newPlanner(install, at, nil).add(it)
	if it.plan == nil {
		return events, check.Verdict{}, nil
	}
	return events, it.plan.verdict, nil
}
