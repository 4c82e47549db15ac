// Package nemesis draws what goes wrong in a run. A seed is a schedule: the same seed
// gives the same faults at the same moments. Doing them is the scenario's work.
package nemesis

import (
	"math/rand/v2"
	"time"
)

// Kind is one way for things to go wrong.
type Kind string

// Faults of processes, of Postgres, and of the way to it.
const (
	KillOne       Kind = "kill one worker"    // SIGKILL, another one starts
	KillAll       Kind = "kill all workers"   // SIGKILL, all start anew
	KillUnwritten Kind = "kill before record" // SIGKILL after Amplitude's 200, before it is recorded
	Pause         Kind = "freeze a worker"    // SIGSTOP past every timeout, then SIGCONT
	RollingStop   Kind = "rolling restart"    // SIGTERM one after the other
	PostgresCrash Kind = "postgres crash"     // immediate stop, then recovery
	Backends      Kind = "terminate backends" // storm of pg_terminate_backend
	ReadOnly      Kind = "read-only postgres" // as after a failover that left us behind
	TableLock     Kind = "locked table"       // nobody can touch a job
	HalfOpen      Kind = "half-open link"     // a worker's connections go silent
	Reset         Kind = "cut links"          // every connection is reset
)

// Faults of Amplitude.
const (
	Throttle   Kind = "429 naming users"
	SlowDown   Kind = "429 naming nobody"
	Errors     Kind = "500 502 503 504"
	Lost       Kind = "answers lost"
	Late       Kind = "stored late"
	Resets     Kind = "resets"
	Trickle    Kind = "slow answers"
	Pages      Kind = "HTML pages"
	OtherShape Kind = "200, other shape"
	TooLarge   Kind = "413 at 40 events"
	FirstIndex Kind = "400, first index"
	RefuseAll  Kind = "400 naming none"
	KeyRefused Kind = "invalid key"
	Outage     Kind = "outage"
)

// processKinds and amplitudeKinds are what rounds draw from, more likely ones repeated.
// A 429 that names nobody is not among them: it costs a minute, and only long runs have
// one.
var (
	processKinds = []Kind{
		KillOne, KillUnwritten, KillUnwritten, KillAll, Pause, RollingStop, RollingStop, PostgresCrash, Backends,
		ReadOnly, TableLock, HalfOpen, Reset,
	}

	amplitudeKinds = []Kind{
		Throttle, Errors, Lost, Lost, Late, Resets, Trickle, Pages, OtherShape, TooLarge, FirstIndex, RefuseAll,
		KeyRefused, Outage,
	}
)

// Kinds are all kinds.
func Kinds() []Kind {
	return []Kind{
		KillOne, KillAll, KillUnwritten, Pause, RollingStop, PostgresCrash, Backends, ReadOnly, TableLock, HalfOpen, Reset,
		Throttle, SlowDown, Errors, Lost, Late, Resets, Trickle, Pages, OtherShape, TooLarge, FirstIndex, RefuseAll,
		KeyRefused, Outage,
	}
}

// Step is one fault at one moment of the run.
type Step struct {
	At   time.Duration // after the start of the run
	For  time.Duration
	Kind Kind
	Pick uint64 // chooses whom it hits
}

// Schedule is all that goes wrong in a run.
type Schedule struct {
	Steps    []Step // by At
	Snapshot bool   // one is held open for the whole run
	Idle     int    // idle connections held open for the whole run
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
)

// Draw makes the schedule of a seed. Long runs begin with a kill in quiet, so that every
// seed measures how long a rescue takes; short ones have no time to watch it.
func Draw(seed uint64, length time.Duration) Schedule {
	random := rand.New(rand.NewPCG(seed, 0x6e656d65736973))
	s := Schedule{Snapshot: random.IntN(3) == 0}
	if random.IntN(4) == 0 {
		s.Idle = 300
	}
	at := settle
	add := func(kind Kind, lasts time.Duration) {
		s.Steps = append(s.Steps, Step{At: at, For: lasts, Kind: kind, Pick: random.Uint64()})
	}
	if length >= longRun {
		add(KillOne, time.Second)
		at += watch
	}
	slow := length >= longRun && random.IntN(6) == 0
	for {
		lasts := shortFault + time.Duration(random.Int64N(int64(longFault-shortFault)))
		var kinds []Kind
		switch random.IntN(4) {
		case 0:
			kinds = []Kind{pick(random, processKinds)}
		case 1:
			kinds = []Kind{pick(random, amplitudeKinds)}
		default:
			kinds = []Kind{pick(random, processKinds), pick(random, amplitudeKinds)}
		}
		if slow {
			kinds, slow = []Kind{SlowDown}, false
		}
		longest := lasts
		for _, kind := range kinds {
			if kind == Pause || kind == HalfOpen {
				longest = pastDeath
			}
		}
		if at+longest > length {
			return s
		}
		for _, kind := range kinds {
			if kind == Pause || kind == HalfOpen {
				add(kind, pastDeath)
			} else {
				add(kind, lasts)
			}
		}
		at += longest + breather
	}
}

func pick(random *rand.Rand, from []Kind) Kind { return from[random.IntN(len(from))] }

// OfAmplitude says whether a kind is a fault of Amplitude.
func (k Kind) OfAmplitude() bool {
	switch k {
	case KillOne, KillAll, KillUnwritten, Pause, RollingStop, PostgresCrash, Backends, ReadOnly, TableLock, HalfOpen, Reset:
		return false
	default:
		return true
	}
}
