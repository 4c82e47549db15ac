package jobs

import (
	"cmp"
	"sync"
	"time"

	"waybill/internal/amplitude"
)

// throttled spreads the bundles of identities that Amplitude refuses for sending too
// fast. If all of them came back at the end of the pause they would be refused again
// for the same reason, for ever; so they come back in waves, one per pause, and a wave
// that is refused is followed by smaller ones.
type throttled struct {
	limits amplitude.Limits // what is documented, where Amplitude's answer does not say

	mu    sync.Mutex
	waves map[identity]*wave
}

type wave struct {
	until    time.Time // when the first wave may go
	pause    time.Duration
	size     int // bundles
	assigned int
}

const (
	unknownWave  = 200 // when nobody says what is allowed
	smallestWave = 10
	largestWave  = 5000
	lastWave     = 10 * time.Minute // nobody is told to wait longer before asking again
	longestPause = 2 * time.Minute  // but for a daily quota
	forgetWave   = 10 * time.Minute
	perBundle    = 3 // events that a bundle may make, about
)

func newThrottled(limits amplitude.Limits) *throttled {
	return &throttled{limits: limits, waves: map[identity]*wave{}}
}

// refused notes that Amplitude named the identity: nothing of it goes before until.
// perSecond is how many events it allows, 0 if it does not say.
func (t *throttled) refused(id identity, until time.Time, pause time.Duration, perSecond int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, ok := t.waves[id]
	switch {
	case !ok:
		t.forget(until)
		t.waves[id] = &wave{until: until, pause: pause, size: firstWave(pause, cmp.Or(perSecond, t.limits.PerIdentity))}
	case until.Sub(w.until) >= pause/2: // else it was refused together with the last one
		w.until, w.pause, w.assigned = until, pause, 0
		w.size = max(smallestWave, w.size/2)
	}
}

// firstWave is how many bundles may go in one pause without exceeding the rate.
func firstWave(pause time.Duration, perSecond int) int {
	if perSecond <= 0 {
		return unknownWave
	}
	events := float64(perSecond) * pause.Seconds()
	return int(max(smallestWave, min(events/perBundle, largestWave)))
}

// due is when the next bundle of a parked identity may be tried: at the end of the
// pause for the first wave, a pause later for each further one.
func (t *throttled) due(id identity, until time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, ok := t.waves[id]
	switch {
	case !ok: // another worker parked it
		t.forget(until)
		w = &wave{until: until, pause: t.limits.ThrottlePause, size: firstWave(t.limits.ThrottlePause, t.limits.PerIdentity)}
		t.waves[id] = w
	case w.until.Before(until), t.plausible(w.until, until) != w.until: // told anew, or the clock has stepped back
		w.until, w.assigned = until, 0
	}
	later := min(time.Duration(w.assigned/w.size)*w.pause, lastWave)
	w.assigned++
	return w.until.Add(later)
}

// plausible is when a park ends that was noted some time ago. A pause is short, or lasts
// until the next UTC day: anything else was noted before the clock stepped back.
func (t *throttled) plausible(until, now time.Time) time.Time {
	if until.Sub(now) > longestPause && !until.Equal(nextUTCDay(now)) {
		return now.Add(t.limits.ThrottlePause)
	}
	return until
}

// forget drops identities that have been left alone for a while.
func (t *throttled) forget(now time.Time) {
	for id, w := range t.waves {
		if now.Sub(w.until) > forgetWave {
			delete(t.waves, id)
		}
	}
}

// nextUTCDay is when a daily quota is counted anew.
func nextUTCDay(now time.Time) time.Time {
	return now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
}
