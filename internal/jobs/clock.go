package jobs

import (
	"sync"
	"time"
)

// databaseClock is what the database's clock shows, as far as this process can tell. What
// a job waits for is written by it: every worker then means the same moment, whatever its
// own clock says. Between two readings it goes on by this process's monotonic clock, so
// that a step of the wall clock here moves nothing.
type databaseClock struct {
	mu        sync.Mutex
	read      time.Time // on our clock, with its monotonic reading; zero before the first one
	shown     time.Time // on the database's
	stepsBack int
}

const (
	// unsureBy is how far a statement's own time may lie outside of what is expected of it.
	unsureBy = 5 * time.Second
	// stepBack is the smallest one that is acted on: shorter waits end by themselves.
	stepBack = 10 * time.Second
)

// learn takes in a reading that was asked for at a moment and answered at another.
func (c *databaseClock) learn(asked, answered, shown time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(asked.Add(answered.Sub(asked)/2), shown)
}

// suspect takes in the time of a statement, which says less than a reading does: it is
// believed only if the clock must have stepped for it to be true.
func (c *databaseClock) suspect(asked, answered, shown time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch early, late := c.at(asked).Sub(shown), shown.Sub(c.at(answered)); {
	case early > unsureBy:
		c.set(asked, shown)
	case late > unsureBy:
		c.set(answered, shown)
	}
}

func (c *databaseClock) set(read, shown time.Time) {
	if !c.read.IsZero() && c.at(read).Sub(shown) > stepBack {
		c.stepsBack++
	}
	c.read, c.shown = read, shown
}

func (c *databaseClock) at(here time.Time) time.Time {
	if c.read.IsZero() {
		return here
	}
	return c.shown.Add(here.Sub(c.read))
}

// when is what the database's clock shows at a moment of ours.
func (c *databaseClock) when(here time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(here)
}

// ahead is how far the database's clock was ahead of ours when it was last read.
func (c *databaseClock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown.Sub(c.read.Round(0))
}

// steppedBack counts how often it was seen to step back.
func (c *databaseClock) steppedBack() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stepsBack
}
