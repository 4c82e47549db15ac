package plan

import (
	"fmt"
	"strconv"
	"strings"
)

// UserSubject is the subject of user traits. Group types are the others.
const UserSubject = "user"

// Status is how far an event has come.
type Status string

// The statuses, in the order an event passes through them.
const (
	Planned    Status = "planned"    // agreed, not to be sent yet
	Ready      Status = "ready"      // may be called, nobody does
	Live       Status = "live"       // sent; its contract is published
	Deprecated Status = "deprecated" // still sent; a successor exists
	Removed    Status = "removed"    // no longer sent; its name stays taken
)

// Statuses in order.
var Statuses = []Status{Planned, Ready, Live, Deprecated, Removed}

// Kind tells single actions from sums of many.
type Kind string

// The kinds.
const (
	SingleAction Kind = "event"
	Summary      Kind = "summary"
)

// Source is who reports an event.
type Source string

// The sources.
const (
	Server Source = "server"
	Client Source = "client"
)

// Delivery is what happens to the business transaction if the event cannot be
// recorded.
type Delivery string

// The delivery classes.
const (
	Strict     Delivery = "strict"      // the caller gets an error
	BestEffort Delivery = "best_effort" // the transaction goes on without the event
)

// Mode is what happens to a bundle that breaks the plan.
type Mode string

// The modes, in the order of a roll-out.
const (
	Observe    Mode = "observe"    // sent, the violation is recorded
	Quarantine Mode = "quarantine" // kept back until someone decides
	Enforce    Mode = "enforce"    // rejected
)

// Type is what a property holds.
type Type string

// The types.
const (
	String    Type = "string"
	Integer   Type = "integer"
	Number    Type = "number"
	Boolean   Type = "boolean"
	ID        Type = "id"        // opaque identifier with a Go type of its own
	Timestamp Type = "timestamp" // RFC 3339
	List      Type = "list"      // of strings
)

// PII is how personal a value is.
type PII string

// The classes.
const (
	NotPersonal PII = "none"
	HashedID    PII = "id"       // an identifier that leaves the house as a token
	Personal    PII = "personal" // about a person: traits only
	Content     PII = "content"  // what people wrote: never
	Secret      PII = "secret"   // credentials: never
)

// PIIPolicy is which classes a product may send.
type PIIPolicy string

// The policies.
const (
	PIINone       PIIPolicy = "none"        // nothing personal
	PIITraitsOnly PIIPolicy = "traits_only" // personal values as traits, never on events
)

// Update is how a trait changes.
type Update string

// The ways.
const (
	Set       Update = "set"
	SetOnce   Update = "set_once"
	Increment Update = "increment"
)

// Limits that hold where the plan sets none.
const (
	DefaultMaxLength   = 1024 // characters; Amplitude cuts longer strings
	DefaultIDMaxLength = 128
	DefaultMaxItems    = 100
	MaxSafeInteger     = 1<<53 - 1 // beyond it JSON readers round
)

// Version is MAJOR.MINOR. A new MAJOR breaks readers, a new MINOR adds.
type Version struct{ Major, Minor int }

// ParseVersion reads "2.0".
func ParseVersion(s string) (Version, error) {
	majorText, minorText, ok := strings.Cut(s, ".")
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(minorText)
	v := Version{major, minor}
	if !ok || err1 != nil || err2 != nil || major < 1 || minor < 0 || v.String() != s {
		return Version{}, fmt.Errorf("version %q is not MAJOR.MINOR", s)
	}
	return v, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Less orders versions.
func (v Version) Less(other Version) bool {
	return v.Major < other.Major || v.Major == other.Major && v.Minor < other.Minor
}
