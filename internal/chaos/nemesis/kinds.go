package nemesis

import "time"

// Kind is one way for things to go wrong.
type Kind string

// Faults of processes, of Postgres, and of the way to it.
const (
	KillOne       Kind = "kill one worker"    // SIGKILL, another one starts
	KillLeader    Kind = "kill the leader"    // SIGKILL of whoever does River's housekeeping
	KillAll       Kind = "kill all workers"   // SIGKILL, all start anew
	KillUnwritten Kind = "kill before record" // SIGKILL after Amplitude's 200, before it is recorded
	Pause         Kind = "freeze a worker"    // SIGSTOP past every timeout, then SIGCONT
	RollingStop   Kind = "rolling restart"    // SIGTERM one after the other
	OldWorker     Kind = "previous version"   // one of its workers beside the others
	PostgresCrash Kind = "postgres crash"     // immediate stop, then recovery
	Failover      Kind = "standby promoted"   // the primary dies, its standby is read-only, then takes over
	Backends      Kind = "terminate backends" // storm of pg_terminate_backend
	ReadOnly      Kind = "read-only postgres" // as after a failover that left us behind
	TableLock     Kind = "locked table"       // nobody can touch a job
	DiskFull      Kind = "disk full"          // tables cannot grow
	LogFull       Kind = "log disk full"      // the write-ahead log cannot grow: Postgres panics
	ClockAhead    Kind = "clock 2 h ahead"    // of the database: a step there and a step back
	ClockBehind   Kind = "clock 2 h behind"   // likewise
	HalfOpen      Kind = "half-open link"     // a worker's connections go silent
	Reset         Kind = "cut links"          // every connection is reset
	Usurper       Kind = "foreign leader"     // another River application leads in our schema
)

// Faults of Amplitude, and of what it is sent.
const (
	Throttle   Kind = "429 naming users"
	SlowDown   Kind = "429 naming nobody"
	Quota      Kind = "daily quota" // 429 until tomorrow, which comes at the end of the step
	Errors     Kind = "500 502 503 504"
	Lost       Kind = "answers lost"
	Late       Kind = "stored late"
	Resets     Kind = "resets"
	Trickle    Kind = "slow answers"
	Pages      Kind = "HTML pages"
	OtherShape Kind = "200 of other shape"
	TooLarge   Kind = "413 at 40 events"
	FirstIndex Kind = "400 first index"
	RefuseAll  Kind = "400 naming none"
	KeyRefused Kind = "invalid key"
	Outage     Kind = "outage"
	LongOutage Kind = "long outage"     // longer than the longest pause between two probes
	Poison     Kind = "poison in batch" // every request holds an event that is refused
)

// What lasts for a whole run.
const (
	Snapshot  Kind = "open snapshot"     // a transaction that sees the database as it was at first
	Idle      Kind = "idle connections"  // of others
	Neighbour Kind = "foreign River app" // with jobs of its own in schema public
	ClockOff  Kind = "clock off"         // of the database, by two hours
)

// group is what a fault is a fault of.
type group int

const (
	ofOurs      group = iota // processes, Postgres, the way to it
	ofAmplitude              // and of what it is sent
	ofWholeRun
)

// trait is what a schedule has to know about a kind.
type trait struct {
	kind   Kind
	of     group
	weight int           // in the draw of a round, 0 for those that have their own place
	lasts  time.Duration // 0 for as long as is drawn
	alone  bool          // nothing else goes wrong beside it
}

// A 429 that names nobody and a long outage cost a minute: only long runs have one.
var traits = []trait{
	{kind: KillOne, weight: 2},
	{kind: KillLeader, weight: 1},
	{kind: KillAll, weight: 1},
	{kind: KillUnwritten, weight: 3},
	{kind: Pause, weight: 1, lasts: pastDeath},
	{kind: RollingStop, weight: 2},
	{kind: OldWorker, weight: 1},
	{kind: PostgresCrash, weight: 1},
	{kind: Failover, weight: 1},
	{kind: Backends, weight: 1},
	{kind: ReadOnly, weight: 1},
	{kind: TableLock, weight: 1},
	{kind: DiskFull, weight: 1},
	{kind: LogFull, weight: 1},
	{kind: ClockAhead, weight: 1, alone: true},
	{kind: ClockBehind, weight: 1, alone: true},
	{kind: HalfOpen, weight: 1, lasts: pastDeath},
	{kind: Reset, weight: 1},
	{kind: Usurper, weight: 1, alone: true},
	{kind: Throttle, of: ofAmplitude, weight: 1},
	{kind: SlowDown, of: ofAmplitude, alone: true},
	{kind: Quota, of: ofAmplitude, alone: true},
	{kind: Errors, of: ofAmplitude, weight: 1},
	{kind: Lost, of: ofAmplitude, weight: 2},
	{kind: Late, of: ofAmplitude, weight: 1},
	{kind: Resets, of: ofAmplitude, weight: 1},
	{kind: Trickle, of: ofAmplitude, weight: 1},
	{kind: Pages, of: ofAmplitude, weight: 1},
	{kind: OtherShape, of: ofAmplitude, weight: 1},
	{kind: TooLarge, of: ofAmplitude, weight: 1},
	{kind: FirstIndex, of: ofAmplitude, weight: 1},
	{kind: RefuseAll, of: ofAmplitude, weight: 1},
	{kind: KeyRefused, of: ofAmplitude, weight: 1},
	{kind: Outage, of: ofAmplitude, weight: 1},
	{kind: LongOutage, of: ofAmplitude, lasts: pastLadder, alone: true},
	{kind: Poison, of: ofAmplitude, weight: 1},
	{kind: Snapshot, of: ofWholeRun},
	{kind: Idle, of: ofWholeRun},
	{kind: Neighbour, of: ofWholeRun},
	{kind: ClockOff, of: ofWholeRun},
}

func (k Kind) trait() trait {
	for _, t := range traits {
		if t.kind == k {
			return t
		}
	}
	return trait{kind: k}
}

// OfAmplitude says whether a kind is a fault of Amplitude or of what it is sent.
func (k Kind) OfAmplitude() bool { return k.trait().of == ofAmplitude }

// OfWholeRun says whether a kind lasts from the beginning to the end.
func (k Kind) OfWholeRun() bool { return k.trait().of == ofWholeRun }

// Kinds are all kinds.
func Kinds() []Kind {
	kinds := make([]Kind, len(traits))
	for i, t := range traits {
		kinds[i] = t.kind
	}
	return kinds
}
