package checker

import (
	"bytes"
	"encoding/json"
)

// wire is what must be the same in every attempt of an event.
type wire struct {
	Type       string          `json:"event_type"`
	InsertID   string          `json:"insert_id"`
	UserID     string          `json:"user_id"`
	DeviceID   string          `json:"device_id"`
	Time       int64           `json:"time"` // ms
	EventID    int64           `json:"event_id"`
	Properties json.RawMessage `json:"event_properties"`
	Groups     json.RawMessage `json:"groups"`
}

func (w wire) differs(other wire) string {
	switch {
	case w.Type != other.Type:
		return "event_type"
	case w.UserID != other.UserID:
		return "user_id"
	case w.DeviceID != other.DeviceID:
		return "device_id"
	case w.Time != other.Time:
		return "time"
	case w.EventID != other.EventID:
		return "event_id"
	case !bytes.Equal(w.Properties, other.Properties):
		return "event_properties"
	case !bytes.Equal(w.Groups, other.Groups):
		return "groups"
	}
	return ""
}

// first is how an event looked when it came for the first time.
type first struct {
	wire
	request int
}

// repeats compares the attempts of every event, counts them once, and sees that the
// events of a bundle travel together.
func (c *file) repeats() {
	seen := map[string]first{}
	tracked := map[part]map[int]bool{} // requests by part
	for _, a := range c.Arrivals {
		var w wire
		if err := json.Unmarshal(a.Sent, &w); err != nil {
			c.violate(RetriesEqual, "event %s of request %d does not read: %v", a.InsertID, a.Request, err)
			continue
		}
		was, again := seen[a.InsertID]
		if !again {
			seen[a.InsertID] = first{w, a.Request}
		} else if field := w.differs(was.wire); field != "" {
			c.violate(RetriesEqual, "%s of %s differs between requests %d and %d", field, a.InsertID, was.request, a.Request)
		}
		if p, ok := c.parse(a.InsertID); ok {
			if tracked[p] == nil {
				tracked[p] = map[int]bool{}
			}
			tracked[p][a.Request] = true
		}
	}
	c.together(tracked)
	c.once()
}

func (c *file) together(requests map[part]map[int]bool) {
	for p, in := range requests {
		action := c.actions[p.key]
		if p.name == trackPart || action == nil || action.Event == "" {
			continue
		}
		for request := range in {
			if !requests[part{p.key, trackPart}][request] {
				c.violate(AtomicBundle, "request %d carries %s of %s without its event", request, p.name, p.key)
			}
		}
	}
}

func (c *file) once() {
	byEvent := map[int64]*Taken{}
	for i := range c.Taken {
		t := &c.Taken[i]
		if len(c.taken[t.InsertID]) > 1 && c.taken[t.InsertID][0] == t {
			c.violate(CountedOnce, "%s was taken %d times, in requests %d and %d", t.InsertID,
				len(c.taken[t.InsertID]), t.Request, c.taken[t.InsertID][1].Request)
		}
		if t.EventID == 0 {
			continue
		}
		if was := byEvent[t.EventID]; was != nil && was.InsertID != t.InsertID {
			c.violate(CountedOnce, "bundle %d was counted as %s and as %s", t.EventID, was.InsertID, t.InsertID)
		}
		byEvent[t.EventID] = t
	}
}
