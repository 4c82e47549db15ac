package amplitudetest

import (
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Kind is a way to misbehave. The events are not taken, unless the comment of a kind says so or Fault.Stored asks
// for it.
type Kind string

// The kinds.
const (
	None            Kind = ""
	TooManyRequests Kind = "429"         // names nobody
	Throttle        Kind = "throttled"   // 429 that names users or devices
	DailyQuota      Kind = "daily_quota" // 429 that names users or devices for the day
	InternalError   Kind = "500"
	BadGateway      Kind = "502"     // an HTML page
	Unavailable     Kind = "503"     // never stored
	GatewayTimeout  Kind = "504"     // no body
	StoredLost      Kind = "lost"    // takes the events, then cuts the connection
	StoredLate      Kind = "late"    // 504 now, takes the events later
	Reset           Kind = "reset"   // cuts the connection
	Trickle         Kind = "trickle" // takes the events, then answers a byte at a time
	HTMLPage        Kind = "html"    // a page in place of JSON
	PayloadTooLarge Kind = "413"
	FirstIndex      Kind = "first_index" // no fault for good events; a 400 names only the first
	BadRequest      Kind = "400"         // names no event
	Forbidden       Kind = "403"
	InvalidKey      Kind = "invalid_key"
	OtherShape      Kind = "shape" // 200, but not Amplitude's JSON
	Redirect        Kind = "redirect"
)

// Kinds are all kinds but None.
func Kinds() []Kind {
	return []Kind{
		TooManyRequests, Throttle, DailyQuota, InternalError, BadGateway, Unavailable, GatewayTimeout, StoredLost, StoredLate,
		Reset, Trickle, HTMLPage, PayloadTooLarge, FirstIndex, BadRequest, Forbidden, InvalidKey, OtherShape, Redirect,
	}
}

// Fault is what goes wrong with one request. The zero value is no fault.
type Fault struct {
	Kind Kind `json:"kind"`
	// Stored takes the events before a 500, 502, 504, reset, page, odd 200 or redirect. Other kinds ignore it: their
	// answers promise that nothing was taken.
	Stored bool `json:"stored,omitempty"`
	// Latency delays the answer. It may stand alone.
	Latency time.Duration `json:"latency,omitempty"`
	// RetryAfter is the header of that name.
	RetryAfter string `json:"retry_after,omitempty"`
	// Status is that of a page (default 400) or a redirect (default 307).
	Status int `json:"status,omitempty"`
	// Users and Devices are who a throttle or quota names. A request without their events is spared. Both empty: the
	// ids of the first event.
	Users   []string `json:"users,omitempty"`
	Devices []string `json:"devices,omitempty"`
	// MaxEvents and MaxBytes spare requests up to that size from a 413.
	MaxEvents int `json:"max_events,omitempty"`
	MaxBytes  int `json:"max_bytes,omitempty"`
	// AfterRequests is how many more requests are answered before late events are stored, After how much time passes
	// at most. Both 0: one request.
	AfterRequests int           `json:"after_requests,omitempty"`
	After         time.Duration `json:"after,omitempty"`
	// Interval is the pause between the bytes of a trickle. 0 means one second.
	Interval time.Duration `json:"interval,omitempty"`
}

// Rule puts a Fault on the requests that fit: every condition that is set must hold. The first fitting rule acts.
type Rule struct {
	Fault Fault `json:"fault"`

	// User, Device, EventType, InsertID and Property must hold for one event of the request. Property is the name of
	// an event property, or name=value.
	User      string `json:"user,omitempty"`
	Device    string `json:"device,omitempty"`
	EventType string `json:"event_type,omitempty"`
	InsertID  string `json:"insert_id,omitempty"`
	Property  string `json:"property,omitempty"`
	// Body is a string that the JSON must contain.
	Body string `json:"body,omitempty"`
	// When is any other condition; n counts all ingestion requests from 1. It must not call the Fake.
	When func(n int, events []Event) bool `json:"-"`

	// Nth acts only on the nth request that fits, counted from 1 since Inject.
	Nth int `json:"nth,omitempty"`
	// Times is how often the rule acts at most, For how long after Inject. 0 is no bound.
	Times int           `json:"times,omitempty"`
	For   time.Duration `json:"for,omitempty"`
	// Probability is the share of the fitting requests that it acts on. 0 means all. The shares of several rules
	// add up: two of 0.5 leave nothing in peace.
	Probability float64 `json:"probability,omitempty"`
}

type activeRule struct {
	Rule
	since       time.Time
	fits, acted int
}

// Inject adds rules behind those in place.
func (f *Fake) Inject(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rule := range rules {
		f.rules = append(f.rules, &activeRule{Rule: rule, since: f.now()})
	}
}

// Heal removes all rules.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// draw finds the rule that acts on a request. One random number serves all rules, so that their shares add up.
func (f *Fake) draw(n int, u *upload, events []event, now time.Time) Fault {
	if len(f.rules) == 0 {
		return Fault{}
	}
	chance := f.random.Float64()
	for _, rule := range f.rules {
		if rule.For > 0 && now.Sub(rule.since) >= rule.For || rule.Times > 0 && rule.acted >= rule.Times {
			continue
		}
		if !rule.fit(n, u, events) || !rule.Fault.concerns(u, events) {
			continue
		}
		if rule.fits++; rule.Nth > 0 && rule.fits != rule.Nth {
			continue
		}
		if rule.Probability > 0 {
			if chance -= rule.Probability; chance >= 0 {
				continue
			}
		}
		rule.acted++
		return rule.Fault
	}
	return Fault{}
}

func (r *activeRule) fit(n int, u *upload, events []event) bool {
	if r.Body != "" && !strings.Contains(u.body, r.Body) {
		return false
	}
	if r.User+r.Device+r.EventType+r.InsertID+r.Property != "" && !slices.ContainsFunc(events, r.fitsEvent) {
		return false
	}
	return r.When == nil || r.When(n, describe(u, events))
}

func (r *activeRule) fitsEvent(e event) bool {
	return (r.User == "" || r.User == e.userID) && (r.Device == "" || r.Device == e.device) &&
		(r.EventType == "" || r.EventType == e.eventType) && (r.InsertID == "" || r.InsertID == e.insertID) &&
		(r.Property == "" || hasProperty(e.eventProperties, r.Property))
}

func hasProperty(properties gjson.Result, want string) bool {
	wantName, wantValue, compare := strings.Cut(want, "=")
	found := false
	properties.ForEach(func(name, value gjson.Result) bool {
		found = name.String() == wantName && (!compare || value.String() == wantValue)
		return !found
	})
	return found
}

// concerns says whether the fault has anything to do with the request.
func (f Fault) concerns(u *upload, events []event) bool {
	switch f.Kind {
	case Throttle, DailyQuota:
		if len(f.Users)+len(f.Devices) == 0 {
			return len(events) > 0
		}
		return slices.ContainsFunc(events, func(e event) bool {
			return slices.Contains(f.Users, e.userID) || slices.Contains(f.Devices, e.device)
		})
	case PayloadTooLarge:
		return f.MaxEvents == 0 && f.MaxBytes == 0 || f.MaxEvents > 0 && len(u.events) > f.MaxEvents ||
			f.MaxBytes > 0 && len(u.body) > f.MaxBytes
	default:
		return true
	}
}
