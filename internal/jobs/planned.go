package jobs

import (
	"log/slog"
	"sync"

	"github.com/jackc/pgx/v5"

	"waybill/internal/bundle"
	"waybill/internal/plan/check"
)

// planned is what the tracking plan says about one bundle. A nil one says nothing.
type planned struct {
	by      *check.Plan
	verdict check.Verdict
	note    string // recorded with `delivered`
}

// sampledOut begins the reason of what the plan leaves out on purpose.
const sampledOut = "sampled: the plan sends only a share of these events"

// byPlan holds a bundle against the plan, and settles it if the plan does not want it
// sent. The bundle becomes what may be sent.
func (l *loop) byPlan(it *item) (outcome, reason string) {
	if l.cfg.Plan == nil {
		return "", ""
	}
	it.plan = &planned{by: l.cfg.Plan, verdict: l.cfg.Plan.Check(it.bundle)}
	switch v := it.plan.verdict; {
	case it.inDoubt():
		// An attempt may have been accepted, and only the answer to its repetition tells.
		return "", ""
	case v.Held():
		return "rejected", v.Reason()
	case v.Sampled && !tellsTraits(it.bundle):
		return "skipped", sampledOut
	case v.Sampled:
		it.bundle.Track = nil
		it.plan.note = sampledOut + "; its traits were sent"
	}
	return "", ""
}

// tellsTraits says whether a bundle without its event still says something about anyone.
func tellsTraits(b *bundle.Bundle) bool {
	if b.Identify != nil || len(b.Increment) > 0 {
		return true
	}
	for _, g := range b.Groups {
		if len(g.Set) > 0 {
			return true
		}
	}
	return false
}

// appendStamp adds to an event by which plan it was checked.
func (p *planned) appendStamp(dst []byte) []byte {
	if p == nil {
		return dst
	}
	return append(append(dst, `,"plan":`...), p.by.Stamp()...)
}

// said is what a delivered bundle is recorded with.
func (p *planned) said() string {
	if p == nil {
		return ""
	}
	return p.note
}

func settledItems(all []settled) []*item {
	items := make([]*item, len(all))
	for i, s := range all {
		items[i] = s.it
	}
	return items
}

// queueViolations records how bundles break the plan, with what became of them.
func queueViolations(batch *pgx.Batch, items []*item) {
	var ids []int64
	var properties, rules, events, versions, reasons, modes []string
	var by string
	for _, it := range items {
		if it.plan == nil {
			continue
		}
		by = it.plan.by.String()
		v := it.plan.verdict
		for _, x := range v.Violations {
			ids = append(ids, it.id)
			properties, rules = append(properties, x.Property), append(rules, x.Rule)
			events, versions = append(events, v.Event), append(versions, v.Version)
			reasons, modes = append(reasons, x.Reason), append(modes, string(v.Mode))
		}
	}
	if len(ids) > 0 {
		batch.Queue(violationsSQL, ids, properties, rules, events, versions, reasons, modes, by)
	}
}

// noticeViolations counts what the plan has against a bundle that was settled, and logs
// each complaint the first time.
func (l *loop) noticeViolations(it *item) {
	if it.plan == nil || len(it.plan.verdict.Violations) == 0 {
		return
	}
	v := it.plan.verdict
	l.cfg.Meter.Violations(string(v.Mode), len(v.Violations))
	for _, x := range v.Violations {
		if l.complaints.isNew(complaint{v.Event, v.Version, x}) {
			l.cfg.Logger.Warn("a bundle breaks the tracking plan; this is said once, and waybill.violation has them all",
				slog.Int64("bundle_id", it.id), slog.String("plan", it.plan.by.String()), slog.String("event", v.Event),
				slog.String("version", v.Version), slog.String("property", x.Property), slog.String("reason", x.Reason),
				slog.String("mode", string(v.Mode)))
		}
	}
}

// complaint is one thing that the plan has against an event.
type complaint struct {
	event, version string
	violation      check.Violation
}

// complaints are those that were logged.
type complaints struct {
	mu   sync.Mutex
	seen map[complaint]bool
}

// maxComplaints bounds the log of a worker that is sent nonsense.
const maxComplaints = 200

func (c *complaints) isNew(one complaint) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[one] || len(c.seen) == maxComplaints {
		return false
	}
	if c.seen == nil {
		c.seen = map[complaint]bool{}
	}
	c.seen[one] = true
	return true
}
