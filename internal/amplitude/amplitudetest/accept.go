package amplitudetest

import "time"

// stored is an event that was taken, with the state of its user at that moment.
type stored struct {
	event
	raw        string
	user       *user
	userID     string // resolved
	properties map[string]any
	groups     map[string][]string
	at         time.Time // event time
	receivedAt time.Time
	request    int
	api        string
	project    string
	sequence   int // over all projects, in the order of taking effect
}

// accept takes all events of a request. Events take effect in their order, but for the documented race.
func (f *Fake) accept(r *request, p *project, now time.Time) {
	late := func(e *event) bool {
		return f.cfg.ReorderIdentify && r.upload.api.name == httpAPI.name && e.eventType == identifyType && e.deviceID == ""
	}
	for i := range r.events {
		if !late(&r.events[i]) {
			f.acceptOne(r, p, &r.events[i], now)
		}
	}
	for i := range r.events {
		if late(&r.events[i]) {
			f.acceptOne(r, p, &r.events[i], now)
		}
	}
}

func (f *Fake) acceptOne(r *request, p *project, e *event, now time.Time) {
	stats := &f.state.stats
	if p.repeated(f.state, f.cfg, e, now) {
		stats.Duplicates++
		return
	}
	if f.state.blocked[e.eventType] {
		stats.Blocked++
		return
	}
	stats.Accepted++
	stats.EventTypes[e.eventType]++
	stats.Projects[p.label]++

	person := f.state.person(p, e)
	at := eventTime(r.upload, e, now)
	if !e.isProperty() {
		stats.Counted++
		person.events++
		p.perDay[dayKey{e.eventType, p.days.day(at)}]++
	}
	if f.cfg.CountsOnly {
		return
	}

	if e.eventType == groupIdentifyType {
		f.state.updateGroup(p, e)
	} else {
		f.updateUser(person, e, now)
	}
	p.events.add(&stored{
		event:      *e,
		raw:        r.upload.events[e.index].Raw,
		user:       person,
		userID:     person.id,
		properties: snapshot(person, e),
		groups:     eventGroups(person, e),
		at:         at,
		receivedAt: now,
		request:    r.n,
		api:        r.upload.api.name,
		project:    p.label,
		sequence:   stats.Accepted,
	})
}

// snapshot is the user properties that charts show for the event: the user's own now, or those of the event
// alone if it asked not to touch the user.
func snapshot(u *user, e *event) map[string]any {
	switch {
	case e.eventType == groupIdentifyType:
		return nil
	case e.skipSync:
		return decodeObject(e.userProperties)
	default:
		return u.properties
	}
}

func eventGroups(u *user, e *event) map[string][]string {
	own := cutGroups(e.groups)
	if e.isProperty() {
		return own
	}
	return overlay(u.groups, own)
}

// eventTime is the time of the event in charts: its own, the moment of receipt without one, moved by the client's
// clock error if the client told its upload time and is more than a minute off.
func eventTime(u *upload, e *event, now time.Time) time.Time {
	if !e.hasTime {
		return now
	}
	at := time.UnixMilli(e.time)
	if u.clientUploadTime.IsZero() {
		return at
	}
	if skew := now.Sub(u.clientUploadTime); skew.Abs() > time.Minute {
		return at.Add(skew)
	}
	return at
}
