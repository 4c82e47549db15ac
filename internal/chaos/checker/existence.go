package checker

import (
	"time"

	"waybill/internal/chaos/history"
)

// loss finds what was committed and did not arrive.
func (c *file) loss() {
	for key, action := range c.actions {
		if c.bundles[key] == nil {
			c.violate(NoLoss, "action %s is committed and has no bundle", key)
			continue
		}
		if action.Event == "" || action.Poison != "" {
			continue // its traits are compared elsewhere
		}
		if len(c.taken[c.insertID(key, trackPart)]) == 0 {
			c.violate(NoLoss, "event of %s (bundle %d, %q) never reached Amplitude", key, c.bundles[key].ID, c.bundles[key].Outcome)
		}
	}
}

// innocents sees that hardly anything is rejected that Amplitude would take: only a few
// bundles, when everything begins to be refused during a search for a bad one.
func (c *file) innocents() {
	if most := c.Limits.Innocent * c.Refusals; len(c.Innocent) > most {
		c.violate(NoLoss, "%d bundles were rejected that Amplitude takes, at most %d may be: %v", len(c.Innocent), most, c.Innocent)
	}
}

// phantoms finds what arrived and was not committed, or not yet.
func (c *file) phantoms() {
	for key, b := range c.bundles {
		if c.actions[key] == nil {
			c.violate(NoPhantom, "bundle %d of %s is recorded and its action is not", b.ID, key)
		}
	}
	asked := c.firstCommits()
	seen := map[string]bool{}
	for _, a := range c.Arrivals {
		if seen[a.InsertID] {
			continue
		}
		seen[a.InsertID] = true
		p, known := c.parse(a.InsertID)
		switch {
		case !known:
			c.violate(NoPhantom, "insert_id %s in request %d is nobody's", a.InsertID, a.Request)
		case c.actions[p.key] == nil:
			c.violate(NoPhantom, "request %d carries %s, whose action was never committed", a.Request, a.InsertID)
		case !asked[p.key].IsZero() && a.At.Before(asked[p.key]):
			c.violate(NoPhantom, "request %d carries %s %v before its COMMIT", a.Request, a.InsertID, asked[p.key].Sub(a.At))
		}
	}
}

// firstCommits is when each action's COMMIT was first asked for.
func (c *file) firstCommits() map[string]time.Time {
	asked := map[string]time.Time{}
	for _, r := range c.History {
		if r.Op != history.Commit || r.Type != history.Invoke {
			continue
		}
		for _, key := range r.Keys {
			if asked[key].IsZero() {
				asked[key] = r.Wall
			}
		}
	}
	return asked
}

// commits holds what producers were told against the business table.
func (c *file) commits() {
	confirmed, possible, given := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range c.History {
		for _, key := range r.Keys {
			switch {
			case r.Op == history.Commit && r.Type == history.OK:
				confirmed[key] = true
			case r.Op == history.Commit && r.Type == history.Info:
				possible[key] = true
			case r.Op == history.Rollback:
				given[key] = true
			}
		}
	}
	for key := range confirmed {
		if c.actions[key] == nil {
			c.violate(Commits, "COMMIT of %s was confirmed and the action is gone", key)
		}
	}
	for key := range given {
		if !confirmed[key] && !possible[key] && c.actions[key] != nil {
			c.violate(Commits, "action %s was rolled back and is there", key)
		}
	}
}
