// Package bundle is the durable form of a bundle: the JSON stored in Postgres,
// the rules it must keep, and the ids derived from it. It does no I/O and
// imports nothing of this module, so that what is written today can be read by
// the worker of any later release.
//
// A producer builds values with [Value], fills in a [Bundle], asks for its
// [Bundle.Refusals] and stores [Bundle.AppendJSON]. A reader calls [Clean],
// [Parse] and [Bundle.Refusals], in this order.
package bundle

import (
	"encoding/json"
	"time"
)

// Version is the only version of the stored form so far.
const Version = 1

// Limits of one bundle. The database checks the first two again at its door.
const (
	MaxBytes    = 256 << 10 // of the JSON of one bundle
	MaxDepth    = 40        // objects and arrays inside one another, the bundle itself included
	MaxKeyBytes = 256       // of an action key
	MaxText     = 1024      // characters of any string; Amplitude cuts there
	MaxNames    = 1000      // members of one object
	MaxGroups   = 5         // group types Amplitude keeps in one project
)

// Bundle is what is known about one business action: who did it, where in the
// account hierarchy, and what was done. The field order is the canonical order
// of the stored form.
type Bundle struct {
	V          int
	Key        string // the action key: one key is one bundle, for ever
	UserID     string
	DeviceID   string
	OccurredAt time.Time // zero: the database's clock at the call
	Identify   *Identify
	Increment  map[string]json.Number // deltas by trait name
	Groups     []Group                // root to leaf, one per type
	Track      *Track
	Context    *Context
	Source     string            // "server", "client" or empty
	Trace      map[string]string // W3C: traceparent, tracestate
}

// Identify holds the changes to the user's traits. A name stands in one of the
// three, or in [Bundle.Increment], never in two.
type Identify struct {
	Set     Values
	SetOnce Values
	Unset   []string
}

// Group is one level of the account hierarchy. Parent is the ID of an earlier
// group of the same bundle, or empty for a root.
type Group struct {
	Type   string
	ID     string
	Parent string
	Set    Values
}

// Track is the event. Properties is one JSON object, or empty.
type Track struct {
	Event      string
	Version    string
	Properties json.RawMessage
	Revenue    *Revenue
}

// Revenue is an amount in major units (12.99) of an ISO 4217 currency.
// A negative amount is a refund.
type Revenue struct {
	Amount   json.Number
	Currency string
}

// Context describes where the action was made. SessionID is the start of the
// session in ms since the epoch; 0 means unknown, -1 outside any session.
type Context struct {
	Platform   string
	AppVersion string
	SessionID  int64
	Language   string
	IP         string
}

// StoredBytes is the length of compact JSON once it has been through Postgres,
// which writes a space after every comma and colon. [MaxBytes] bounds it.
func StoredBytes(data []byte) int {
	n, quoted := len(data), false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			i++
		case !quoted && (c == ',' || c == ':'):
			n++
		}
	}
	return n
}

// EffectiveDeviceID is the device_id that every event of the bundle carries:
// the bundle's own, else one made from the user. Amplitude deduplicates per
// device, so it must be present and never change between two attempts.
func (b *Bundle) EffectiveDeviceID() string {
	if b.DeviceID != "" {
		return b.DeviceID
	}
	return "srv:" + b.UserID
}

// Parts of a bundle, the last element of an insert id.
const (
	PartIdentify = "identify"
	PartTrack    = "track"
)

// PartGroup is the part of the group of the given type.
func PartGroup(groupType string) string { return "group:" + groupType }

// InsertID is the insert_id of one part of a bundle: the name by which
// Amplitude drops a repeated event for seven days
// (https://amplitude.com/docs/apis/analytics/http-v2). install is the short
// random name of the database, [a-z0-9]+; key is the action key. Two different
// parts never share an id, which is why no group type may be called "track" or
// "identify".
func InsertID(install, key, part string) string {
	return install + ":" + key + ":" + part
}
