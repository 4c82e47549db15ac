// Package nemesis draws what goes wrong in a run. A seed is a schedule: the same seed
// gives the same faults at the same moments. Doing them is the scenario's work.
package nemesis

import (
	"math/rand/v2"
	"time"
)

// Step is one fault at one moment of the run.
type Step struct {
	At   time.Duration // after the start of the run
	For  time.Duration
	Kind Kind
	Pick uint64 // chooses whom it hits
}

// Schedule is all that goes wrong in a run.
type Schedule struct {
	Steps []Step // by At

	// What lasts for the whole run.
	Snapshot  bool
	Idle      int           // idle connections
	Neighbour bool          // a foreign River application
	Clock     time.Duration // how far the database's clock is ahead of the workers'
}

// Times of a round.
const (
	settle     = 2 * time.Second // before the first fault
	breather   = time.Second     // between two rounds
	watch      = 16 * time.Second
	longRun    = 50 * time.Second
	shortFault = 2 * time.Second
	longFault  = 7 * time.Second
	pastDeath  = 13 * time.Second // longer than a heartbeat may be missing

	// A run of this length has room for a fault that costs a minute.
	longestRun = 2 * time.Minute
	pastLadder = 65 * time.Second // longer than the lane's longest pause
	quotaLasts = 8 * time.Second
)

const (
	offBy = 2 * time.Hour // of a clock
	crowd = 300           // idle connections
)

// Draw makes the schedule of a seed. Long runs begin with a kill in quiet, so that every
// seed measures how long a rescue takes; short ones have no time to watch it.
func Draw(seed uint64, length time.Duration) Schedule {
	random := rand.New(rand.NewPCG(seed, 0x6e656d65736973))
	d := &drawing{random: random, length: length, at: settle, schedule: wholeRun(random)}
	if length >= longRun {
		d.add(time.Second, KillOne)
		d.at += watch
	}
	d.dear()
	for d.round() {
	}
	return d.schedule
}

// Only makes a schedule of some kinds of faults, one after the other and again, for
// looking at them closely.
func Only(seed uint64, length time.Duration, kinds ...Kind) Schedule {
	d := &drawing{random: rand.New(rand.NewPCG(seed, 0x6f6e6c79)), length: length, at: settle}
	var steps []Kind
	for _, kind := range kinds {
		switch kind {
		case Snapshot:
			d.schedule.Snapshot = true
		case Idle:
			d.schedule.Idle = crowd
		case Neighbour:
			d.schedule.Neighbour = true
		case ClockOff:
			d.schedule.Clock = -offBy
		default:
			steps = append(steps, kind)
		}
	}
	for i := 0; len(steps) > 0; i++ {
		kind := steps[i%len(steps)]
		lasts := max(longFault-breather, kind.trait().lasts)
		if d.at+lasts > length {
			break
		}
		d.add(lasts, kind)
		d.at += lasts + breather
	}
	return d.schedule
}

// wholeRun draws what lasts from the beginning to the end.
func wholeRun(random *rand.Rand) Schedule {
	s := Schedule{Snapshot: random.IntN(3) == 0, Neighbour: random.IntN(3) == 0}
	if random.IntN(4) == 0 {
		s.Idle = crowd
	}
	switch random.IntN(5) {
	case 0:
		s.Clock = offBy
	case 1:
		s.Clock = -offBy
	}
	return s
}

type drawing struct {
	random   *rand.Rand
	length   time.Duration
	at       time.Duration
	schedule Schedule
}

// add puts faults side by side.
func (d *drawing) add(lasts time.Duration, kinds ...Kind) {
	for _, kind := range kinds {
		step := Step{At: d.at, For: lasts, Kind: kind, Pick: d.random.Uint64()}
		if own := kind.trait().lasts; own > 0 {
			step.For = own
		}
		d.schedule.Steps = append(d.schedule.Steps, step)
	}
}

// dear begins the longest runs with a fault that costs a minute, or a day.
func (d *drawing) dear() {
	if d.length < longestRun {
		return
	}
	switch d.random.IntN(4) {
	case 0:
		d.add(longFault, SlowDown)
		d.at += longFault + breather
	case 1:
		d.add(pastLadder, LongOutage)
		d.at += pastLadder + breather
	case 2:
		d.add(quotaLasts, Quota)
		d.at += quotaLasts + breather
	}
}

// round draws one fault of ours, or one of Amplitude, or both. It is false when the time
// is over.
func (d *drawing) round() bool {
	lasts := shortFault + time.Duration(d.random.Int64N(int64(longFault-shortFault)))
	ours, theirs := d.pick(ofOurs), d.pick(ofAmplitude)
	var kinds []Kind
	switch share := d.random.IntN(4); {
	case share == 0, ours.alone:
		kinds = []Kind{ours.kind}
	case share == 1:
		kinds = []Kind{theirs.kind}
	default:
		kinds = []Kind{ours.kind, theirs.kind}
	}
	longest := lasts
	for _, kind := range kinds {
		longest = max(longest, kind.trait().lasts)
	}
	if d.at+longest > d.length {
		return false
	}
	d.add(lasts, kinds...)
	d.at += longest + breather
	return true
}

// pick draws a kind by its weight.
func (d *drawing) pick(of group) trait {
	var from []trait
	for _, t := range traits {
		if t.of == of {
			for range t.weight {
				from = append(from, t)
			}
		}
	}
	return from[d.random.IntN(len(from))]
}
