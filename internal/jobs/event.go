package jobs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"waybill/internal/bundle"
)

// The writers here put Amplitude's events together from raw JSON, without decoding
// what they only pass on. Their output is the same for the same input, byte for byte,
// so that a request that is repeated is the same request.
// Fields: https://amplitude.com/docs/apis/analytics/http-v2

// eventWriter writes the events of one bundle.
type eventWriter struct {
	install string
	it      *item
}

// open starts an event with what every event of the bundle carries.
func (w eventWriter) open(eventType, part string) []byte {
	b := w.it.bundle
	dst := make([]byte, 0, 512)
	dst = append(dst, `{"event_type":`...)
	dst = appendString(dst, eventType)
	if b.UserID != "" {
		dst = append(dst, `,"user_id":`...)
		dst = appendString(dst, b.UserID)
	}
	dst = append(dst, `,"device_id":`...)
	dst = appendString(dst, b.EffectiveDeviceID())
	dst = append(dst, `,"time":`...)
	dst = strconv.AppendInt(dst, w.it.at.UnixMilli(), 10)
	dst = append(dst, `,"insert_id":`...)
	return appendString(dst, bundle.InsertID(w.install, b.Key, part))
}

// identify is a $identify event. It carries no groups: a membership that is set on a
// user can never be removed.
func (w eventWriter) identify(set, setOnce members, unset []string) json.RawMessage {
	dst := w.open("$identify", bundle.PartIdentify)
	dst = append(dst, `,"user_properties":{`...)
	var comma bool
	next := func(operator string) {
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = append(dst, operator...)
	}
	if len(set) > 0 {
		next(`"$set":`)
		dst = appendObject(dst, set)
	}
	if len(setOnce) > 0 {
		next(`"$setOnce":`)
		dst = appendObject(dst, setOnce)
	}
	if len(unset) > 0 {
		next(`"$unset":`)
		var dash members
		for _, name := range unset {
			dash.add(name, json.RawMessage(`"-"`))
		}
		dst = appendObject(dst, dash)
	}
	return append(dst, `}}`...)
}

func (w eventWriter) group(g bundle.Group, set members) json.RawMessage {
	dst := w.open("$groupidentify", bundle.PartGroup(g.Type))
	dst = append(dst, `,"groups":{`...)
	dst = appendString(dst, g.Type)
	dst = append(dst, ':')
	dst = appendString(dst, g.ID)
	dst = append(dst, `},"group_properties":{"$set":`...)
	dst = appendObject(dst, set)
	return append(dst, `}}`...)
}

// track is the bundle's own event. properties are plain user properties to carry along;
// detached keeps Amplitude from reading or writing the stored ones, for an event that
// is older than what Amplitude already knows.
func (w eventWriter) track(properties members, detached bool) json.RawMessage {
	b := w.it.bundle
	dst := w.open(b.Track.Event, bundle.PartTrack)
	dst = append(dst, `,"event_id":`...)
	dst = strconv.AppendInt(dst, w.it.id, 10)
	if len(b.Track.Properties) > 0 {
		dst = append(dst, `,"event_properties":`...)
		dst = append(dst, b.Track.Properties...)
	}
	if len(properties) > 0 {
		dst = append(dst, `,"user_properties":`...)
		dst = appendObject(dst, properties)
	}
	if detached {
		dst = append(dst, `,"$skip_user_properties_sync":true`...)
	}
	for i, g := range b.Groups {
		if i == 0 {
			dst = append(dst, `,"groups":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, g.Type)
		dst = append(dst, ':')
		dst = appendString(dst, g.ID)
		if i == len(b.Groups)-1 {
			dst = append(dst, '}')
		}
	}
	if r := b.Track.Revenue; r != nil {
		dst = append(dst, `,"revenue":`...)
		dst = append(dst, r.Amount...)
		dst = append(dst, `,"currency":`...)
		dst = appendString(dst, r.Currency)
	}
	dst = w.it.plan.appendStamp(dst)
	return append(appendContext(dst, b.Context), '}')
}

func appendContext(dst []byte, c *bundle.Context) []byte {
	if c == nil {
		return dst
	}
	for _, field := range [...]struct{ name, value string }{
		{`,"platform":`, c.Platform},
		{`,"app_version":`, c.AppVersion},
		{`,"language":`, c.Language},
		{`,"ip":`, c.IP},
	} {
		if field.value != "" {
			dst = append(dst, field.name...)
			dst = appendString(dst, field.value)
		}
	}
	if c.SessionID != 0 {
		dst = append(dst, `,"session_id":`...)
		dst = strconv.AppendInt(dst, c.SessionID, 10)
	}
	return dst
}

// members are those of a JSON object. Of those with one name the last one counts.
type members []member

type member struct {
	name  string
	value json.RawMessage
}

func (m *members) add(name string, value json.RawMessage) { *m = append(*m, member{name, value}) }

// appendObject writes members sorted by name.
func appendObject(dst []byte, all members) []byte {
	slices.SortStableFunc(all, func(a, b member) int { return strings.Compare(a.name, b.name) })
	dst = append(dst, '{')
	var comma bool
	for i, one := range all {
		if i+1 < len(all) && all[i+1].name == one.name {
			continue
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = appendString(dst, one.name)
		dst = append(dst, ':')
		dst = append(dst, one.value...)
	}
	return append(dst, '}')
}

// appendString writes a JSON string; most need no escape and are copied.
func appendString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return appendEscaped(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func jsonString(s string) json.RawMessage { return appendString(make([]byte, 0, len(s)+2), s) }

func appendEscaped(dst []byte, s string) []byte {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
