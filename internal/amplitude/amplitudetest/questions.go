package amplitudetest

import (
	"maps"
	"slices"
	"time"
)

// Stats are the numbers since the start or the last Reset.
type Stats struct {
	// Requests counts ingestion requests; Statuses their answers, 0 for a cut connection; Faults the misbehaviour.
	Requests int          `json:"requests"`
	Statuses map[int]int  `json:"statuses"`
	Faults   map[Kind]int `json:"faults"`
	// Received counts events of readable requests, taken or not.
	Received int `json:"received"`
	// Accepted counts events taken, Counted those of them that charts count: neither identifies nor duplicates.
	Accepted int `json:"accepted"`
	Counted  int `json:"counted"`
	// Duplicates counts events that the memory absorbed; StoredTwice the insert_ids that it failed to absorb.
	Duplicates  int `json:"duplicates"`
	StoredTwice int `json:"stored_twice"`
	// Blocked counts events answered 200 and dropped; Late the requests that a StoredLate fault holds back.
	Blocked int `json:"blocked"`
	Late    int `json:"late"`
	// PropertyUpdatesDropped counts the silent loss beyond Config.PropertyUpdates.
	PropertyUpdatesDropped int `json:"property_updates_dropped"`
	// Forgotten counts events that KeepEvents has pushed out of Events. They still count everywhere else.
	Forgotten int `json:"forgotten"`

	Users            int            `json:"users"`
	Groups           int            `json:"groups"`
	EventTypes       map[string]int `json:"event_types"`
	Projects         map[string]int `json:"projects"` // accepted events by Project
	EventsPerRequest map[int]int    `json:"events_per_request"`
	Bytes            int            `json:"bytes"`
	WireBytes        int            `json:"wire_bytes"`
}

func newStats() Stats {
	return Stats{
		Statuses: make(map[int]int), Faults: make(map[Kind]int), EventTypes: make(map[string]int),
		Projects: make(map[string]int), EventsPerRequest: make(map[int]int),
	}
}

// Request is one ingestion request.
type Request struct {
	N         int       `json:"n"` // from 1
	API       string    `json:"api"`
	At        time.Time `json:"at"`
	Status    int       `json:"status"` // 0: the connection was cut
	Fault     Kind      `json:"fault,omitempty"`
	Project   string    `json:"project"`
	Events    int       `json:"events"`
	Bytes     int       `json:"bytes"`
	WireBytes int       `json:"wire_bytes"`
}

// Arrivals is what happened to one insert_id.
type Arrivals struct {
	// Arrived counts the requests that carried it; Accepted how often it was taken, which should be once; Absorbed how
	// often it was recognised and dropped.
	Arrived  int `json:"arrived"`
	Accepted int `json:"accepted"`
	Absorbed int `json:"absorbed"`
}

// User is one person as Amplitude knows it now.
type User struct {
	UserID      string              `json:"user_id,omitempty"`
	AmplitudeID int64               `json:"amplitude_id"`
	Events      int                 `json:"events"` // without identifies
	Properties  map[string]any      `json:"user_properties"`
	Groups      map[string][]string `json:"groups"`
}

// Filter narrows Events. Empty fields do not.
type Filter struct {
	User, Device, Type, InsertID string
	// APIKey is the key of one project.
	APIKey string
	// Limit keeps the newest; 0 keeps all.
	Limit int
}

// ask gives a question the state, settled up to now.
func (f *Fake) ask(question func(*state)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.storeDue(f.now())
	question(f.state)
}

// Stats are the numbers so far.
func (f *Fake) Stats() (stats Stats) {
	f.ask(func(s *state) {
		stats = s.stats
		stats.Statuses, stats.Faults = maps.Clone(stats.Statuses), maps.Clone(stats.Faults)
		stats.EventTypes, stats.Projects = maps.Clone(stats.EventTypes), maps.Clone(stats.Projects)
		stats.EventsPerRequest = maps.Clone(stats.EventsPerRequest)
		stats.Late = len(s.late)
		for _, p := range s.projects {
			stats.Users += len(p.users)
			stats.Groups += len(p.groups)
			stats.Forgotten += p.events.dropped
		}
	})
	return stats
}

// Total is the number of events that charts count, of all projects.
func (f *Fake) Total() int { return f.Stats().Counted }

// CountByType is the number of events taken of one type; $identify and $groupidentify have theirs.
func (f *Fake) CountByType(eventType string) (n int) {
	f.ask(func(s *state) { n = s.stats.EventTypes[eventType] })
	return n
}

// CountByUser is the number of events that charts count for a user.
func (f *Fake) CountByUser(userID string) int {
	u, _ := f.User(userID)
	return u.Events
}

// User is the user of that id, of whichever project has one.
func (f *Fake) User(userID string) (found User, ok bool) {
	f.ask(func(s *state) {
		for _, p := range s.projects {
			if u, exists := p.users[userID]; exists {
				found = User{u.id, u.amplitudeID, u.events, orNone(maps.Clone(u.properties)), orNone(maps.Clone(u.groups))}
				ok = true
			}
		}
	})
	return found, ok
}

// Group is the properties of a group, and whether anything was ever said about it.
func (f *Fake) Group(groupType, id string) (properties map[string]any, ok bool) {
	f.ask(func(s *state) {
		for _, p := range s.projects {
			if known, exists := p.groups[groupKey{groupType, id}]; exists {
				properties, ok = maps.Clone(known), true
			}
		}
	})
	return properties, ok
}

// Arrivals is the history of an insert_id, of all projects.
func (f *Fake) Arrivals(insertID string) (sum Arrivals) {
	f.ask(func(s *state) {
		for _, p := range s.projects {
			if h, ok := p.insertIDs[insertID]; ok {
				sum.Arrived += h.arrived
				sum.Accepted += h.accepted
				sum.Absorbed += h.absorbed
			}
		}
	})
	return sum
}

// Duplicated are the insert_ids that arrived more than once, with their histories. Those with Accepted above one are
// in the charts twice.
func (f *Fake) Duplicated() map[string]Arrivals {
	ids := make(map[string]Arrivals)
	f.ask(func(s *state) {
		for _, p := range s.projects {
			for id, h := range p.insertIDs {
				if h.arrived > 1 {
					ids[id] = Arrivals{h.arrived, h.accepted, h.absorbed}
				}
			}
		}
	})
	return ids
}

// Events are the events taken and still kept, in the order in which they took effect.
func (f *Fake) Events(filter Filter) (events []Event) {
	f.ask(func(s *state) {
		var found []*stored
		for key, p := range s.projects {
			for e := range p.events.all {
				if (filter.APIKey == "" || filter.APIKey == key) && filter.passes(e) {
					found = append(found, e)
				}
			}
		}
		slices.SortFunc(found, func(a, b *stored) int { return a.sequence - b.sequence })
		if filter.Limit > 0 && len(found) > filter.Limit {
			found = found[len(found)-filter.Limit:]
		}
		for _, e := range found {
			events = append(events, e.describe())
		}
	})
	return events
}

func (f Filter) passes(e *stored) bool {
	return (f.User == "" || f.User == e.userID) && (f.Device == "" || f.Device == e.device) &&
		(f.Type == "" || f.Type == e.eventType) && (f.InsertID == "" || f.InsertID == e.insertID)
}

// Requests are the ingestion requests that are still kept, in their order.
func (f *Fake) Requests() (requests []Request) {
	f.ask(func(s *state) { requests = slices.Collect(s.requests.all) })
	return requests
}

// Silence makes Amplitude refuse the events of devices from now on.
func (f *Fake) Silence(devices ...string) {
	f.ask(func(s *state) {
		for _, device := range devices {
			s.silenced[device] = true
		}
	})
}

// Block makes Amplitude answer 200 to events of these types and drop them.
func (f *Fake) Block(eventTypes ...string) {
	f.ask(func(s *state) {
		for _, eventType := range eventTypes {
			s.blocked[eventType] = true
		}
	})
}

func orNone[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
