package amplitudetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// deleteUsers answers the User Privacy API, first version (https://amplitude.com/docs/apis/analytics/user-privacy).
// What Amplitude does within 30 days happens here at once: the users and their events are gone. An event that comes
// later makes a new user.
func (f *Fake) deleteUsers(w http.ResponseWriter, r *http.Request) {
	key, ok := f.authorized(w, r)
	if !ok {
		return
	}
	var order struct {
		AmplitudeIDs    []int64  `json:"amplitude_ids"`
		UserIDs         []string `json:"user_ids"`
		Requester       string   `json:"requester"`
		IgnoreInvalidID string   `json:"ignore_invalid_id"`
		DeleteFromOrg   string   `json:"delete_from_org"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, formBytes))
	decoder.DisallowUnknownFields()
	n := 0
	if err := decoder.Decode(&order); err == nil {
		n = len(order.AmplitudeIDs) + len(order.UserIDs)
	}
	if n < 1 || n > 100 {
		http.Error(w, "the body must be JSON with 1 to 100 amplitude_ids and user_ids", http.StatusBadRequest)
		return
	}

	deleted := []int64{}
	unknown := n
	var now time.Time
	f.ask(func(s *state) {
		now = f.now()
		p := s.project(key, f.cfg)
		for id, u := range p.users {
			if slices.Contains(order.AmplitudeIDs, u.amplitudeID) || u.id != "" && slices.Contains(order.UserIDs, u.id) {
				deleted = append(deleted, u.amplitudeID)
				delete(p.users, id)
				p.forget(u)
			}
		}
		unknown -= len(deleted)
	})
	if unknown > 0 && order.IgnoreInvalidID != "true" {
		http.Error(w, "some ids are unknown; the others are deleted", http.StatusBadRequest)
		return
	}
	slices.Sort(deleted)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode([]map[string]any{{
		"day": now.UTC().Format(time.DateOnly), "status": "staging", "amplitude_ids": deleted,
		"requester": order.Requester, "app": Project(key),
	}})
}

// forget removes a user's events and devices.
func (p *project) forget(u *user) {
	kept := ring[*stored]{most: p.events.most, dropped: p.events.dropped}
	for e := range p.events.all {
		if e.user == u {
			if !e.isProperty() {
				p.perDay[dayKey{e.eventType, p.days.day(e.at)}]--
			}
			continue
		}
		kept.add(e)
	}
	p.events = kept
	for device, user := range p.deviceUsers {
		if user == u.id {
			delete(p.deviceUsers, device)
		}
	}
}
