package amplitudetest

import "time"

// memory is how long Amplitude remembers an insert_id, counted from its receipt
// (https://amplitude.com/docs/apis/analytics/http-v2, "Event deduplication").
const memory = 7 * 24 * time.Hour

// arrivals is the history of one insert_id in one project.
type arrivals struct {
	arrived, accepted, absorbed int

	device string // of the event accepted last, and when
	at     time.Time
	others map[string]time.Time // earlier devices: a retry with another device_id is another event
}

type eventKey struct {
	eventID, time int64
	device        string
}

// arrive counts the insert_ids of a request, whatever becomes of it.
func (s *state) arrive(p *project, events []event) {
	for i := range events {
		if id := events[i].insertID; id != "" {
			events[i].history = p.history(s, id)
			events[i].history.arrived++
		}
	}
}

func (p *project) history(s *state, insertID string) *arrivals {
	h, ok := p.insertIDs[insertID]
	if !ok {
		h = &arrivals{}
		p.insertIDs[insertID] = h
		s.remembered++
	}
	return h
}

// repeated says whether Amplitude remembers the event; if not, it does from now on. The first write wins: what a
// repetition says is ignored.
func (p *project) repeated(s *state, cfg Config, e *event, now time.Time) bool {
	if cfg.DedupByEventID && e.hasEventID {
		key := eventKey{e.eventID, e.time, e.device}
		if at, ok := p.eventIDs[key]; ok && now.Sub(at) < memory {
			return true
		}
		p.eventIDs[key] = now
		s.remembered++
	}
	if e.insertID == "" {
		return false
	}
	h := e.history
	if h.remembers(e.device, cfg.DedupByInsertIDOnly, now) {
		h.absorbed++
		return true
	}
	if h.accepted > 0 && h.device != e.device {
		if h.others == nil {
			h.others = make(map[string]time.Time)
		}
		h.others[h.device] = h.at
	}
	h.device, h.at = e.device, now
	if h.accepted++; h.accepted == 2 {
		s.stats.StoredTwice++
	}
	return false
}

func (h *arrivals) remembers(device string, anyDevice bool, now time.Time) bool {
	if h.accepted == 0 {
		return false
	}
	if (anyDevice || h.device == device) && now.Sub(h.at) < memory {
		return true
	}
	at, ok := h.others[device]
	return ok && now.Sub(at) < memory
}
