package amplitudetest

import (
	"encoding/json"
	"maps"
	"time"
)

// Event is one event: as sent, for Config.OnRequest and Rule.When; as taken, from Fake.Events.
type Event struct {
	InsertID string `json:"insert_id,omitempty"`
	Type     string `json:"event_type"`
	UserID   string `json:"user_id,omitempty"`
	// DeviceID is the one sent, or the one that Amplitude makes from the user id.
	DeviceID  string `json:"device_id"`
	EventID   int64  `json:"event_id,omitempty"`
	SessionID int64  `json:"session_id,omitempty"`
	// Time is the event's time in charts, zero before it is taken unless the event tells one.
	Time time.Time `json:"time,omitzero"`

	EventProperties map[string]any `json:"event_properties,omitempty"`
	// UserProperties are those of the user at the moment of the event. They are empty before it is taken.
	UserProperties map[string]any `json:"user_properties,omitempty"`
	// Groups are the event's own and the user's lasting ones.
	Groups map[string][]string `json:"groups,omitempty"`
	// Revenue is price times quantity, or revenue.
	Revenue float64 `json:"revenue,omitempty"`

	ReceivedAt time.Time `json:"received_at,omitzero"`
	Request    int       `json:"request,omitempty"` // Request.N
	API        string    `json:"api,omitempty"`
	Project    string    `json:"project,omitempty"`

	// Sent is the JSON of the event as it came.
	Sent json.RawMessage `json:"sent,omitempty"`
}

func (e *event) describe(sent string) Event {
	described := Event{
		InsertID:        e.insertID,
		Type:            e.eventType,
		UserID:          e.userID,
		DeviceID:        e.device,
		EventID:         e.eventID,
		SessionID:       e.sessionID,
		EventProperties: decodeObject(e.eventProperties),
		Groups:          cutGroups(e.groups),
		Revenue:         e.bought.amount(),
		Sent:            json.RawMessage(sent),
	}
	if e.hasTime {
		described.Time = time.UnixMilli(e.time).UTC()
	}
	return described
}

// describe is the events of a request as they were sent.
func describe(u *upload, events []event) []Event {
	described := make([]Event, 0, len(events))
	for i := range events {
		described = append(described, events[i].describe(u.events[i].Raw))
	}
	return described
}

func (s *stored) describe() Event {
	described := s.event.describe(s.raw)
	described.UserID = s.userID
	described.Time = s.at.UTC()
	described.UserProperties = maps.Clone(s.properties)
	described.Groups = s.groups
	described.ReceivedAt = s.receivedAt.UTC()
	described.Request, described.API, described.Project = s.request, s.api, s.project
	return described
}
