package jobs

import (
	"encoding/json"
	"maps"
	"slices"
)

// world is Amplitude as the documents describe it, small enough to reason about: a
// request is taken whole or not at all, an insert_id seen on the same device is dropped
// with all that the event says, and properties change in the order of receipt.
type world struct {
	seen   map[string]bool // device_id and insert_id
	users  map[string]properties
	groups map[string]properties
	tracks map[string]arrival // by insert_id
}

// properties are JSON values by name.
type properties map[string]string

// arrival is a track event as Amplitude shows it: with the user's properties of its
// moment, or with only its own when it came detached.
type arrival struct {
	event    wireEvent
	props    properties
	detached bool
}

// wireEvent holds every field that Waybill sends. Decoding is strict.
type wireEvent struct {
	EventType       string                     `json:"event_type"`
	UserID          string                     `json:"user_id"`
	DeviceID        string                     `json:"device_id"`
	Time            int64                      `json:"time"`
	InsertID        string                     `json:"insert_id"`
	EventID         int64                      `json:"event_id"`
	EventProperties map[string]json.RawMessage `json:"event_properties"`
	UserProperties  map[string]json.RawMessage `json:"user_properties"`
	Groups          map[string]string          `json:"groups"`
	GroupProperties map[string]json.RawMessage `json:"group_properties"`
	SkipSync        bool                       `json:"$skip_user_properties_sync"`
	Revenue         json.Number                `json:"revenue"`
	Currency        string                     `json:"currency"`
	Platform        string                     `json:"platform"`
	AppVersion      string                     `json:"app_version"`
	Language        string                     `json:"language"`
	IP              string                     `json:"ip"`
	SessionID       int64                      `json:"session_id"`
}

func newWorld() *world {
	return &world{
		seen: map[string]bool{}, users: map[string]properties{}, groups: map[string]properties{},
		tracks: map[string]arrival{},
	}
}

// take ingests a request.
func (w *world) take(t failer, events []json.RawMessage) {
	for _, raw := range events {
		e := decodeEvent(t, raw)
		if dedup := e.DeviceID + "\x00" + e.InsertID; w.seen[dedup] {
			continue
		} else {
			w.seen[dedup] = true
		}
		switch e.EventType {
		case "$identify":
			operate(t, table(w.users, e.user()), e.UserProperties)
		case "$groupidentify":
			for groupType, id := range e.Groups {
				operate(t, table(w.groups, groupType+"\x00"+id), e.GroupProperties)
			}
		default:
			w.track(e)
		}
	}
}

func (w *world) track(e wireEvent) {
	props := properties{}
	if !e.SkipSync {
		props = table(w.users, e.user())
	}
	for name, value := range e.UserProperties {
		props[name] = string(value)
	}
	w.tracks[e.InsertID] = arrival{event: e, props: maps.Clone(props), detached: e.SkipSync}
}

func (e wireEvent) user() string {
	if e.UserID != "" {
		return e.UserID
	}
	return "device\x00" + e.DeviceID
}

func table(tables map[string]properties, key string) properties {
	if tables[key] == nil {
		tables[key] = properties{}
	}
	return tables[key]
}

// operate applies operators in the order in which the server does.
func operate(t failer, props properties, operators map[string]json.RawMessage) {
	known := []string{"$unset", "$set", "$setOnce"}
	for name := range operators {
		if !slices.Contains(known, name) {
			t.Fatalf("%s is no operator that may be sent: %s", name, operators)
		}
	}
	for _, operator := range known {
		var values map[string]json.RawMessage
		if raw, ok := operators[operator]; ok {
			if err := json.Unmarshal(raw, &values); err != nil || len(values) == 0 {
				t.Fatalf("%s takes a non-empty object, not %s", operator, raw)
			}
		}
		for name, value := range values {
			_, exists := props[name]
			switch {
			case operator == "$unset":
				delete(props, name)
			case operator == "$set" || !exists:
				props[name] = string(value)
			}
		}
	}
}
