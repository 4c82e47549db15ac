package checker

import (
	"slices"
	"time"

	"waybill/internal/chaos/history"
)

// recovery sees that orphans, shutdowns and the backlog end in time. A kill counts only
// if nothing else was wrong meanwhile: an orphan that waits for Postgres or Amplitude
// does not wait for a worker.
func (c *file) recovery() {
	for _, k := range c.Kills {
		took, last := c.rescued(k)
		if took > c.Limits.Recover && !c.disturbed(k.At, k.At.Add(took)) {
			c.violate(Recovery, "bundle %d, held by %s when it was killed, was settled %.1f s later", last, k.Worker, took.Seconds())
		}
	}
	for _, s := range c.Stops {
		if s.Code != 0 {
			c.violate(Recovery, "%s ended with exit code %d after SIGTERM", s.Worker, s.Code)
		}
		if s.Took > c.Limits.Stop {
			c.violate(Recovery, "%s took %.1f s to end after SIGTERM", s.Worker, s.Took.Seconds())
		}
	}
	switch {
	case c.Drained.IsZero():
		c.violate(Liveness, "the queue was not empty %v after the last fault", c.Limits.Drain)
	case c.Drained.Sub(c.Healed) > c.Limits.Drain:
		c.violate(Liveness, "the queue was empty only %.0f s after the last fault", c.Drained.Sub(c.Healed).Seconds())
	}
	for _, r := range c.History {
		if r.Op == history.Exit && r.Type == history.Fail {
			c.violate(Liveness, "%s ended by itself: %s", r.Process, r.Detail)
		}
	}
}

// rescued is how long after a kill the last bundle got its outcome that the worker held.
func (c *file) rescued(k Kill) (took time.Duration, last int64) {
	for _, id := range k.Held {
		if b := c.byID[id]; b != nil && b.SettledAt.Sub(k.At) > took {
			took, last = b.SettledAt.Sub(k.At), id
		}
	}
	return took, last
}

func (c *file) disturbed(from, to time.Time) bool {
	return slices.ContainsFunc(c.Faults, func(i Interval) bool { return i.overlaps(from, to) })
}

// waste sees that what is settled is not sent again, and that repetitions are few.
func (c *file) waste() {
	for _, a := range c.Arrivals {
		p, ok := c.parse(a.InsertID)
		if !ok || c.bundles[p.key] == nil {
			continue
		}
		b := c.bundles[p.key]
		if b.Outcome != "delivered" && b.Outcome != "rejected" {
			continue
		}
		if late := a.At.Sub(b.SettledAt); late > c.Limits.Repeat && !c.paused(b.SettledAt, a.At) {
			c.violate(Waste, "request %d carries %s %.1f s after it was %s", a.Request, a.InsertID, late.Seconds(), b.Outcome)
		}
	}
	for _, b := range c.Ledger {
		if b.Attempts > c.Limits.Attempts {
			c.violate(Waste, "the job of bundle %d (%s) has spent %d attempts", b.ID, b.Key, b.Attempts)
		}
	}
	if f := c.figures(); f.Absorbed > int(c.Limits.Waste*float64(max(f.Taken, 20))) {
		c.violate(Waste, "%d events came again after they were taken, of %d", f.Absorbed, f.Taken)
	}
}

// paused says that a worker was frozen: what it was just sending may arrive when it wakes.
func (c *file) paused(from, to time.Time) bool {
	return slices.ContainsFunc(c.Pauses, func(i Interval) bool { return i.overlaps(from, to) })
}

// Figures are the numbers of a run.
type Figures struct {
	Committed, RolledBack int           // actions in the table, and those given up
	Unknown, Recovered    int           // COMMITs without an answer, and those that had happened
	Repeated              int           // actions enqueued again under the same key
	Identities            int           // users, devices and groups whose properties were compared at the end
	Requests              int           // that reached Amplitude
	Taken, Absorbed       int           // events taken, and taken ones that came again
	Rejected              int           // bundles
	Innocent              int           // bundles rejected with everything, and retried
	MostAttempts          int           // of one job, as River counts
	Kills                 int           // workers killed
	Orphans               int           // bundles they held
	Recover               time.Duration // the longest rescue with nothing else wrong
	Alone                 int           // kills with orphans and nothing else wrong until the last was rescued
	RecoverAny            time.Duration // the longest rescue, whatever else was wrong
	Stop                  time.Duration // the longest shutdown
	Drain                 time.Duration // from the last fault's end to the empty queue
}

// Measure reads the numbers of a run.
func Measure(e *Evidence) Figures { return newCase(e).figures() }

func (c *file) figures() Figures {
	f := Figures{Committed: len(c.Actions), Taken: len(c.Taken), Kills: len(c.Kills), Innocent: len(c.Innocent)}
	f.Identities = len(c.Users) + len(c.Groups)
	given, asked, again := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range c.History {
		for _, key := range r.Keys {
			switch {
			case r.Op == history.Commit && r.Type == history.Invoke:
				again[key] = asked[key] && c.actions[key] != nil
				asked[key] = true
			case r.Op == history.Rollback && c.actions[key] == nil:
				given[key] = true
			case r.Op == history.Commit && r.Type == history.Info:
				f.Unknown++
				if c.actions[key] != nil {
					f.Recovered++
				}
			}
		}
	}
	f.RolledBack = len(given)
	for _, repeated := range again {
		if repeated {
			f.Repeated++
		}
	}
	requests, accepted := map[int]bool{}, map[string]int{}
	for _, t := range c.Taken {
		accepted[t.InsertID] = t.Request
	}
	for _, a := range c.Arrivals {
		requests[a.Request] = true
		if in, ok := accepted[a.InsertID]; ok && a.Request > in {
			f.Absorbed++
		}
	}
	f.Requests = len(requests)
	for _, b := range c.Ledger {
		f.MostAttempts = max(f.MostAttempts, b.Attempts)
		if b.Outcome == "rejected" {
			f.Rejected++
		}
	}
	for _, k := range c.Kills {
		f.Orphans += len(k.Held)
		took, _ := c.rescued(k)
		f.RecoverAny = max(f.RecoverAny, took)
		if !c.disturbed(k.At, k.At.Add(took)) {
			f.Recover = max(f.Recover, took)
			if took > 0 {
				f.Alone++
			}
		}
	}
	for _, s := range c.Stops {
		f.Stop = max(f.Stop, s.Took)
	}
	if !c.Drained.IsZero() {
		f.Drain = max(0, c.Drained.Sub(c.Healed))
	}
	return f
}
