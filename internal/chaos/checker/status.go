package checker

import "strings"

// status sees that the ledger, River and Amplitude tell the same story, and that
// nothing is left over.
func (c *file) status() {
	for key, b := range c.bundles {
		action := c.actions[key]
		if action == nil {
			continue // a phantom
		}
		c.outcome(b, action)
		if !c.jobMayBe(b.JobState) {
			c.violate(StatusTruth, "bundle %d (%s) is %q and its job is %q", b.ID, key, b.Outcome, b.JobState)
		}
		if b.InDoubt && (b.Outcome == "delivered" || b.Outcome == "rejected") {
			c.violate(StatusTruth, "bundle %d (%s) is %s and still in doubt", b.ID, key, b.Outcome)
		}
	}
	if c.Requests > 0 {
		c.violate(StatusTruth, "%d requests are still open", c.Requests)
	}
}

// jobMayBe says whether a job may end in a state: completed, unless it was cleaned away
// or somebody else discarded it. What counts then is its bundle.
func (c *file) jobMayBe(state string) bool {
	return state == "completed" || state == "" && c.ClockStepped || state == "discarded" && c.Usurped
}

// neighbour sees that another application's jobs were left alone. With a database clock
// that is behind its own, River's insert puts them off by as much: that is not ours.
func (c *file) neighbour() {
	n := c.Neighbour
	switch {
	case n.Left < n.Inserted:
		c.violate(Neighbours, "a foreign application has %d jobs left of %d", n.Left, n.Inserted)
	case n.GivenUp > 0:
		c.violate(Neighbours, "%d jobs of a foreign application were given up", n.GivenUp)
	case n.Inserted > 0 && n.Worked == 0 && !c.ClockStepped:
		c.violate(Neighbours, "none of %d jobs of a foreign application was worked", n.Inserted)
	}
}

func (c *file) outcome(b *Bundle, action *Action) {
	taken := 0
	for _, name := range action.parts() {
		taken += len(c.taken[c.insertID(b.Key, name)])
	}
	switch {
	case action.Poison != "":
		if b.Outcome != "rejected" || !strings.HasPrefix(b.Reason, "Amplitude") {
			c.violate(StatusTruth, "bundle %d (%s) is poison and is %q, %q", b.ID, b.Key, b.Outcome, b.Reason)
		}
		if taken > 0 {
			c.violate(StatusTruth, "bundle %d (%s) is rejected and Amplitude took %d of its events", b.ID, b.Key, taken)
		}
	case b.Outcome != "delivered":
		c.violate(StatusTruth, "bundle %d (%s) is %q (%s); Amplitude took %d of its events", b.ID, b.Key, b.Outcome, b.Reason, taken)
	}
}

// parts are the events that the action's bundle may make.
func (a *Action) parts() []string {
	parts := []string{trackPart, identifyPart}
	for _, g := range a.Groups {
		parts = append(parts, groupPart+g.Type)
	}
	return parts
}
