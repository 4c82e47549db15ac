// Package checker decides whether a run kept Waybill's promises. It is pure: everything
// that is known about the run comes in as Evidence, and every broken promise comes out
// with the rows that show it.
//
// The business table is the ground truth. What the ledger, River and Amplitude say is
// held against it, and against what producers saw happen.
package checker

import (
	"encoding/json"
	"time"

	"waybill/internal/chaos/history"
)

// Action is one row of the business table: what the application did, and what it told
// Waybill in the same transaction.
type Action struct {
	Key       string            `json:"key"`
	User      string            `json:"user,omitempty"`
	Device    string            `json:"device,omitempty"`
	At        time.Time         `json:"at,omitzero"` // occurred_at as given, zero for none
	Set       map[string]string `json:"set,omitempty"`
	SetOnce   map[string]string `json:"set_once,omitempty"`
	Unset     []string          `json:"unset,omitempty"`
	Increment map[string]int    `json:"increment,omitempty"`
	Groups    []Group           `json:"groups,omitempty"` // root to leaf
	Event     string            `json:"event,omitempty"`  // "" when the bundle tracks nothing
	// Poison is how Amplitude refuses the event: "named" by its index, "unnamed"
	// without a word about which. "" for an event that it takes.
	Poison string `json:"poison,omitempty"`
}

// Group is one level of an action's account hierarchy.
type Group struct {
	Type   string            `json:"type"`
	ID     string            `json:"id"`
	Parent string            `json:"parent,omitempty"`
	Set    map[string]string `json:"set,omitempty"`
}

// Bundle is one row of the ledger with its outcome and its River job.
type Bundle struct {
	ID         int64
	Key        string
	OccurredAt time.Time // capped at the time of enqueue
	Outcome    string    // "" while it has none
	Reason     string
	SettledAt  time.Time // of the outcome
	InDoubt    bool      // doubt_since is set
	JobState   string    // "" when the job is gone
	Attempts   int       // of the job
}

// Arrival is one event of one request that reached Amplitude, whatever it answered.
type Arrival struct {
	Request  int
	At       time.Time
	InsertID string
	Sent     json.RawMessage // the event as it came
}

// Taken is one event that Amplitude counts or applied, in the order of taking effect.
type Taken struct {
	InsertID string
	Type     string
	EventID  int64
	Request  int
	// UserProperties are those of the user at the moment of the event.
	UserProperties map[string]any
}

// GroupID is one group at Amplitude.
type GroupID struct{ Type, ID string }

// MarshalText makes a GroupID the name of a JSON member.
func (g GroupID) MarshalText() ([]byte, error) { return []byte(g.Type + ":" + g.ID), nil }

// Interval is a stretch of time in which something was wrong on purpose. A zero From
// means that it lasted for the whole run.
type Interval struct{ From, To time.Time }

func (i Interval) overlaps(from, to time.Time) bool { return i.From.Before(to) && from.Before(i.To) }

// Kill is a worker that was killed, and what it held at that moment.
type Kill struct {
	Worker string
	At     time.Time
	Held   []int64 // bundles without an outcome, of nobody whom Amplitude throttles
}

// Stop is a worker that was asked to end.
type Stop struct {
	Worker string
	At     time.Time
	Took   time.Duration
	Code   int // exit code
}

// Neighbour is what became of the jobs of another application in the same database.
type Neighbour struct {
	Inserted int // as it was told
	Left     int // rows, worked or not
	Worked   int
	GivenUp  int // discarded or cancelled
}

// Limits are the bounds of a run.
type Limits struct {
	Recover  time.Duration // kill to the last orphan's outcome
	Stop     time.Duration // SIGTERM to the end of the process
	Drain    time.Duration // the last fault's end to the empty queue
	Waste    float64       // events absorbed as duplicates, per event taken
	Attempts int           // of one job, as River counts: waiting and crashes cost none
	Repeat   time.Duration // how long after its outcome an event may still arrive
	Innocent int           // bundles that may be rejected with everything, each time
}

// DefaultLimits are the bounds that the documentation promises.
func DefaultLimits() Limits {
	return Limits{
		Recover: 15 * time.Second, Stop: 25 * time.Second, Drain: 2 * time.Minute,
		Waste: 0.5, Attempts: 1, Repeat: time.Second, Innocent: 8,
	}
}

// Evidence is all that is known about a run.
type Evidence struct {
	Install  string // opens every insert_id
	Actions  []Action
	Ledger   []Bundle
	Requests int // rows left in waybill.request
	Arrivals []Arrival
	Taken    []Taken
	Users    map[string]map[string]any // properties at Amplitude, by user or anonymous device
	Groups   map[GroupID]map[string]any
	History  []history.Record

	Kills  []Kill
	Stops  []Stop
	Faults []Interval // when something was wrong beside the kills
	Pauses []Interval // when a worker was frozen in the middle of whatever it did

	// ClockStepped says that the database's clock moved, by more than it keeps completed
	// jobs. Times here are all on one clock.
	ClockStepped bool
	Usurped      bool      // a foreign leader has discarded jobs
	Neighbour    Neighbour // zero for none

	Refusals int      // times at which everything was refused for a while, and nothing named
	Innocent []string // keys of bundles that were rejected in them, and retried by an operator

	Healed  time.Time // the end of the last fault
	Drained time.Time // zero when the queue never became empty
	Limits  Limits
}
