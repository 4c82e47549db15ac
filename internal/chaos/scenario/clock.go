package scenario

import (
	"sync"
	"time"
)

// clock is how far the database's clock has been ahead of this machine's over a run. Its
// steps are hours and a run takes minutes, so a time of the database has one meaning.
type clock struct {
	mu    sync.Mutex
	steps []clockStep // the oldest first: the beginning of the run, when it was right
}

type clockStep struct {
	at    time.Time // on this machine's clock
	ahead time.Duration
}

// step notes that the database's clock is so far ahead from now on.
func (c *clock) step(now time.Time, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, clockStep{now, ahead})
}

// ahead is how far the database's clock is ahead now.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.steps) == 0 {
		return 0
	}
	return c.steps[len(c.steps)-1].ahead
}

// stepped says whether the database's clock was ever off.
func (c *clock) stepped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.steps) > 1
}

// here is when, on this machine's clock, the database's showed a time.
func (c *clock) here(shown time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	best, missed := shown, time.Duration(1<<63-1)
	for i, step := range c.steps {
		at := shown.Add(-step.ahead)
		outside := max(0, step.at.Sub(at))
		if i+1 < len(c.steps) {
			outside = max(outside, at.Sub(c.steps[i+1].at))
		}
		if outside < missed {
			best, missed = at, outside
		}
	}
	return best
}

// tomorrow is how far the database's clock must be ahead for its next day to have begun,
// counted in UTC.
func (c *clock) tomorrow(now time.Time) time.Duration {
	const day = 24 * time.Hour
	shown := now.Add(c.ahead()).UTC()
	return shown.Truncate(day).Add(day + time.Minute).Sub(now)
}
