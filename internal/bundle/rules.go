package bundle

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxRefusals bounds what one bundle can have against it: enough to mend it.
const maxRefusals = 20

// ahead is how far in the future a bundle may claim to have happened.
const ahead = 24 * time.Hour

// Refusals lists why b cannot be delivered, in the order of its fields; none
// means that it can. now bounds occurred_at. The rules are those of the stored
// form and of Amplitude: https://amplitude.com/docs/apis/analytics/http-v2
func (b *Bundle) Refusals(now time.Time) []Refusal {
	var r refusals
	r.key(b.Key)
	r.identity(b)
	r.time(b.OccurredAt, now)
	r.traits(b)
	r.groups(b.Groups)
	if b.Track != nil {
		r.track(b.Track)
	}
	if b.Context != nil {
		r.context(b.Context)
	}
	r.origin(b)
	if b.saysNothing() {
		r.add("bundle", "says nothing; give identify, increment, groups or track")
	}
	return r.list
}

func (b *Bundle) saysNothing() bool {
	id := b.Identify
	return b.Track == nil && len(b.Groups) == 0 && len(b.Increment) == 0 &&
		(id == nil || len(id.Set)+len(id.SetOnce)+len(id.Unset) == 0)
}

type refusals struct{ list []Refusal }

func (r *refusals) add(field, problem string) {
	if len(r.list) < maxRefusals {
		r.list = append(r.list, Refusal{field, problem})
	}
}

func (r *refusals) key(key string) {
	switch {
	case key == "":
		r.add("key", "is missing; name the business action, e.g. order:8412:completed")
	case len(key) > MaxKeyBytes:
		r.add("key", "is longer than 256 bytes; shorten it")
	default:
		r.text("key", key)
	}
}

func (r *refusals) identity(b *Bundle) {
	if b.UserID == "" && b.DeviceID == "" {
		r.add("user_id", "is missing, and so is device_id; say who did it")
	}
	for field, id := range b.ids() {
		if id == "" {
			continue
		}
		r.text(field, id)
		if strings.TrimSpace(id) != id {
			r.add(field, "starts or ends with a space; trim it")
		}
		if slices.Contains(forbiddenIDs, id) {
			r.add(field, "is one of the ids Amplitude refuses as a placeholder; send the real one or none")
		}
	}
}

// ids yields the identities of b under their field names.
func (b *Bundle) ids() func(yield func(field, id string) bool) {
	return func(yield func(field, id string) bool) {
		_ = yield("user_id", b.UserID) && yield("device_id", b.DeviceID)
	}
}

// forbiddenIDs are the ids for which Amplitude refuses a whole request:
// https://amplitude.com/docs/apis/analytics/http-v2
var forbiddenIDs = []string{
	"anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "lmy47d", "0", "-1", "{}",
	"00000000-0000-0000-0000-000000000000",
}

func (r *refusals) time(at, now time.Time) {
	switch {
	case at.IsZero():
	case at.UnixMilli() <= 0:
		r.add("occurred_at", "is before 1970; send the time of the action")
	case at.Sub(now) > ahead:
		r.add("occurred_at", "is more than a day ahead; check the clock that set it")
	}
}

func (r *refusals) traits(b *Bundle) {
	id := b.Identify
	if id == nil {
		id = &Identify{}
	}
	taken := newTraitNames(len(id.Set), len(id.SetOnce), len(id.Unset), len(b.Increment))
	once := func(field, name string) {
		r.name(field, name)
		if !taken.add(name) {
			r.add(Member(field, name), "is changed in two ways at once; keep one of set, set_once, unset and increment")
		}
	}
	r.values("identify.set", id.Set, levelInner, once)
	r.values("identify.set_once", id.SetOnce, levelInner, once)
	r.count("identify.unset", len(id.Unset))
	for _, name := range id.Unset {
		once("identify.unset", name)
	}
	r.increment(b.Increment, once)
}

func (r *refusals) increment(deltas map[string]json.Number, once func(field, name string)) {
	r.count("increment", len(deltas))
	defer r.sorted()()
	for name, delta := range deltas {
		once("increment", name)
		if !isFinite(delta) {
			r.add(Member("increment", name), "is not a finite number within 2^53; correct it")
		}
	}
}

// traitNames finds a trait that is changed twice.
type traitNames map[string]struct{}

// newTraitNames returns nil, which finds nothing, where there is nothing to
// find: all names in one map.
func newTraitNames(set, setOnce, unset, increment int) traitNames {
	if total := set + setOnce + unset + increment; unset <= 1 && max(set, setOnce, unset, increment) == total {
		return nil
	}
	return make(traitNames)
}

func (t traitNames) add(name string) bool {
	if t == nil {
		return true
	}
	_, seen := t[name]
	t[name] = struct{}{}
	return !seen
}

func (r *refusals) groups(groups []Group) {
	if len(groups) > MaxGroups {
		r.add("groups", "are more than five, the group types of an Amplitude project; send fewer")
		return
	}
	for i, g := range groups {
		start := len(r.list)
		r.group(g, groups[:i])
		for j := range r.list[start:] {
			r.list[start+j] = r.list[start+j].In("groups" + index(i))
		}
	}
}

func (r *refusals) group(g Group, earlier []Group) {
	r.groupType(g.Type, earlier)
	if strings.TrimSpace(g.ID) == "" {
		r.add("id", "is missing; give the id of the "+Name(g.Type))
	}
	r.text("id", g.ID)
	if g.Parent != "" && !slices.ContainsFunc(earlier, func(e Group) bool { return e.ID == g.Parent }) {
		r.add("parent", "is not the id of an earlier group; list groups from root to leaf")
	}
	r.values("set", g.Set, levelGroup, r.groupTrait)
}

func (r *refusals) groupType(groupType string, earlier []Group) {
	const field = "type"
	switch {
	case groupType == "" || strings.Trim(groupType, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		r.add(field, "is not a group type; use a-z, 0-9 and _")
	case groupType == PartIdentify || groupType == PartTrack:
		r.add(field, "is taken by another part of the bundle; choose another name")
	case slices.ContainsFunc(earlier, func(e Group) bool { return e.Type == groupType }):
		r.add(field, "stands twice; keep one group of each type")
	}
	r.text(field, groupType)
}

func (r *refusals) groupTrait(field, name string) {
	r.name(field, name)
	if name == "parent_group_id" || name == "group_type" {
		r.add(Member(field, name), "is set from the hierarchy; leave it out")
	}
}

func (r *refusals) track(t *Track) {
	switch {
	case strings.TrimSpace(t.Event) == "":
		r.add("track.event", "is missing; name the event")
	case strings.HasPrefix(t.Event, "$"), strings.HasPrefix(t.Event, "[Amplitude]"), t.Event == "revenue_amount":
		r.add("track.event", "is a name Amplitude keeps for itself; choose another")
	default:
		r.text("track.event", t.Event)
	}
	r.text("track.version", t.Version)
	r.properties(t.Properties)
	if t.Revenue == nil {
		return
	}
	if !isFinite(t.Revenue.Amount) {
		r.add("track.revenue.amount", "is not a finite number within 2^53; correct it")
	}
	if !isCurrency(t.Revenue.Currency) {
		r.add("track.revenue.currency", "is not an ISO 4217 code; send three letters like EUR")
	}
}

// properties reads the names of one JSON object.
func (r *refusals) properties(raw json.RawMessage) {
	const field = "track.properties"
	if len(raw) == 0 {
		return
	}
	p := parser{scanner{data: raw}}
	err := p.fields(levelInner, func(name []byte) error {
		if len(name) == 0 || name[0] == '$' || !isShortASCII(name) { // others are not worth a string
			r.name(field, string(name))
		}
		return p.value(levelInner)
	})
	if err == nil {
		err = p.end()
	}
	r.refusal(field, err)
}

func (r *refusals) context(c *Context) {
	r.text("context.platform", c.Platform)
	r.text("context.app_version", c.AppVersion)
	r.text("context.language", c.Language)
	if c.SessionID < -1 {
		r.add("context.session_id", "is negative; send the session's start in ms, or -1 for none")
	}
	if c.IP != "" {
		if _, err := netip.ParseAddr(c.IP); err != nil {
			r.add("context.ip", "is not an IP address; send it without port, or leave it out")
		}
	}
}

func (r *refusals) origin(b *Bundle) {
	if b.Source != "" && b.Source != "server" && b.Source != "client" {
		r.add("source", "is neither server nor client; leave it out")
	}
	defer r.sorted()()
	for name, value := range b.Trace {
		if name != "traceparent" && name != "tracestate" {
			r.add(Member("trace", name), "is unknown; keep traceparent and tracestate")
		}
		r.text("trace", value)
	}
}

// values checks an object of JSON values, each inside depth levels.
func (r *refusals) values(field string, values Values, depth int, checkName func(field, name string)) {
	r.count(field, len(values))
	defer r.sorted()()
	for _, one := range values {
		checkName(field, one.Name)
		s := scanner{data: one.Value}
		err := s.value(depth)
		if err == nil {
			err = s.end()
		}
		if err != nil {
			r.refusal(Member(field, one.Name), err)
		}
	}
}

// sorted returns a function that puts what was added since into order, so that
// a walk over a map refuses alike each time.
func (r *refusals) sorted() func() {
	start := len(r.list)
	return func() {
		slices.SortFunc(r.list[start:], func(a, b Refusal) int { return strings.Compare(a.Error(), b.Error()) })
	}
}
