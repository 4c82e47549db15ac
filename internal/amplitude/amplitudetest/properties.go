package amplitudetest

import (
	"maps"
	"time"

	"github.com/tidwall/gjson"
)

// user is one person of a project. The property map is replaced at every change, never modified: stored events share
// the one of their moment.
type user struct {
	id          string
	amplitudeID int64
	events      int
	properties  map[string]any
	groups      map[string][]string // of $identify: they last and can only be overwritten
	updates     window
}

// person finds or makes the user of an event. A known user id wins; an anonymous event belongs to the last user
// known on its device.
func (s *state) person(p *project, e *event) *user {
	id := e.userID
	if id == "" {
		id = p.deviceUsers[e.device]
	} else if p.deviceUsers[e.device] != id {
		p.deviceUsers[e.device] = id
		s.remembered++
	}
	key := id
	if id == "" {
		key = "device:" + e.device
	}
	u, ok := p.users[key]
	if !ok {
		u = &user{id: id, amplitudeID: s.nextAmplitude, updates: window{step: time.Minute, span: 60}}
		s.nextAmplitude++
		p.users[key] = u
		s.remembered++
	}
	return u
}

// updateUser writes the properties and lasting groups that an event carries. Beyond the hourly bound it does not, and
// says so nowhere but in the statistics: Amplitude answers 200.
func (f *Fake) updateUser(u *user, e *event, now time.Time) {
	if e.skipSync {
		return
	}
	if e.eventType == identifyType && e.groups.Exists() {
		u.groups = overlay(u.groups, cutGroups(e.groups))
	}
	if !e.userProperties.Exists() {
		return
	}
	if u.updates.sum(now) >= f.cfg.PropertyUpdates {
		f.state.stats.PropertyUpdatesDropped++
		return
	}
	u.updates.add(now, 1)
	u.properties = apply(u.properties, e.userProperties)
}

func (s *state) updateGroup(p *project, e *event) {
	for groupType, ids := range cutGroups(e.groups) {
		key := groupKey{groupType, ids[0]}
		if _, ok := p.groups[key]; !ok {
			s.remembered++
		}
		p.groups[key] = apply(p.groups[key], e.groupProperties)
	}
}

// cutGroups keeps the first 5 group types and the first 10 values, as they are written; the rest vanishes silently
// (https://amplitude.com/docs/apis/analytics/http-v2, key "groups").
func cutGroups(groups gjson.Result) map[string][]string {
	const mostTypes, mostValues = 5, 10
	kept := make(map[string][]string)
	values := 0
	groups.ForEach(func(groupType, value gjson.Result) bool {
		if len(kept) == mostTypes {
			return false
		}
		var ids []string
		for _, id := range value.Array() {
			if values < mostValues {
				ids = append(ids, cut(id.Str))
				values++
			}
		}
		if len(ids) > 0 {
			kept[groupType.String()] = ids
		}
		return true
	})
	return kept
}

// overlay is the lasting groups with those of one event above them.
func overlay(lasting, own map[string][]string) map[string][]string {
	if len(lasting) == 0 {
		return own
	}
	joined := maps.Clone(lasting)
	maps.Copy(joined, own)
	return joined
}
