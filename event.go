package waybill

import (
	"net/netip"
	"time"
)

// Event is one thing that happened, as a plain value. Name and Key are required.
type Event struct {
	// Name is the event type at Amplitude, e.g. "Order_Completed": up to 1,024
	// characters, none of Amplitude's own names ("$…", "[Amplitude] …").
	Name string

	// Key is the action key: the caller's name for this one business action, 1
	// to 256 bytes. See the package comment for good ones.
	Key string

	// Version is the version of the event's definition, e.g. "1.0". Optional.
	Version string

	// Properties are any values encoding/json can write. Up to 1,000 names.
	Properties Properties

	// Revenue is the money this event brought. Zero means none.
	Revenue Revenue

	// OccurredAt is when it happened, kept to the microsecond. Zero means at the
	// call, by the database's clock. It may lie in the past, for a backfill, and
	// counts as no later than the call.
	OccurredAt time.Time
}

// AsEvent makes an Event its own [Trackable].
func (e Event) AsEvent() Event { return e }

// Trackable is what can be tracked: an [Event], or a type with fields of its own
// that knows the event it stands for.
//
//	type OrderCompleted struct {
//		OrderID    string
//		TotalCents int
//	}
//
//	func (o OrderCompleted) AsEvent() waybill.Event {
//		return waybill.Event{
//			Name: "Order_Completed", Key: "order:" + o.OrderID + ":completed", Version: "1.0",
//			Properties: waybill.Properties{"order_id": o.OrderID, "total_cents": o.TotalCents},
//		}
//	}
//
// Three more methods are used where a type has them. Groups() []Group says where it
// happened, in place of the groups of [Actor.In]: a generated event cannot be
// tracked without its level. Validate() error says what its definition has
// against it; an error rejects the event, and is shown, so it quotes no value.
// BestEffort() bool says that its definition lets the product go on without it: a
// strict client tracks it as [Client.BestEffort] would.
type Trackable interface {
	AsEvent() Event
}

// Properties are the properties of an event by name. A name has 1 to 1,024
// characters and does not begin with "$". Integers beyond 2^53 are refused,
// because Amplitude would round them: send such ids as strings.
type Properties map[string]any

// Revenue is an amount in major units (12.99) of an ISO 4217 currency ("EUR").
// Negative is a refund.
type Revenue struct {
	Amount   float64
	Currency string
}

// Source tells who reported an action.
type Source string

// The sources. An action that a browser or an app reports is believed less than
// one the server saw itself.
const (
	SourceServer Source = "server"
	SourceClient Source = "client"
)

// Context describes where an action was made. Every field is optional. Text is
// mended like property values are.
type Context struct {
	Platform   string     // e.g. "web", "ios"
	AppVersion string     // e.g. "4.2.0"
	SessionID  int64      // the session's start in ms since 1970; -1: outside any session
	Language   string     // e.g. "de"
	IP         netip.Addr // the user's, for Amplitude's location; leave it out for privacy
	Source     Source     // zero: SourceServer
}
