package amplitudetest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// problems are the indexes of events at fault, by field.
type problems struct {
	missing, invalid, lengths map[string][]int
}

func note(m *map[string][]int, field string, index int) {
	if *m == nil {
		*m = make(map[string][]int)
	}
	if named := (*m)[field]; len(named) == 0 || named[len(named)-1] != index {
		(*m)[field] = append(named, index)
	}
}

// reply is the 400 that names them, nil when there are none.
func (p *problems) reply(firstOnly bool) *reply {
	answer := map[string]any{}
	add := func(name, text string, fields map[string][]int) {
		if len(fields) == 0 {
			return
		}
		if firstOnly {
			first := make(map[string][]int, len(fields))
			for field, indexes := range fields {
				first[field] = indexes[:1]
			}
			fields = first
		}
		answer[name], answer["error"] = fields, text
	}
	add("events_with_invalid_id_lengths", "Invalid id length for user_id or device_id", p.lengths)
	add("events_with_invalid_fields", "Invalid field values on some events", p.invalid)
	add("events_with_missing_fields", errorMissingField, p.missing)
	if len(answer) == 0 {
		return nil
	}
	return jsonReply(http.StatusBadRequest, answer)
}

// validate checks every event of the upload. Events with problems are read as far as they make sense.
func validate(u *upload) ([]event, problems) {
	events := make([]event, len(u.events))
	var found problems
	for i, raw := range u.events {
		events[i].index = i
		events[i].read(raw, &found)
		events[i].checkIdentity(u, &found)
		events[i].checkKind(&found)
	}
	return events, found
}

// invalidIDs are refused letter by letter as the documents list them.
var invalidIDs = map[string]bool{
	"anonymous": true, "nil": true, "none": true, "null": true, "n/a": true, "na": true, "undefined": true,
	"unknown": true, "": true, "00000000-0000-0000-0000-000000000000": true, "{}": true, "lmy47d": true, "0": true,
	"-1": true,
}

// checkIdentity wants at least one usable id. A short id fails the event on /2/httpapi, even beside a good one; on
// /batch it is stripped, and fails the event only if nothing is left.
func (e *event) checkIdentity(u *upload, found *problems) {
	given, stripped := 0, ""
	for _, id := range [...]struct {
		name  string
		sent  gjson.Result
		value *string
	}{{"user_id", e.sentUser, &e.userID}, {"device_id", e.sentDevice, &e.deviceID}} {
		if !id.sent.Exists() {
			continue
		}
		given++
		switch {
		case id.sent.Type != gjson.String: // named already
		case invalidIDs[*id.value]:
			note(&found.invalid, id.name, e.index)
		case utf8.RuneCountInString(*id.value) >= u.minIDLength:
		case u.api.name == httpAPI.name:
			note(&found.lengths, id.name, e.index)
		default:
			given--
			stripped, *id.value = id.name, ""
		}
	}
	if given == 0 && stripped != "" {
		note(&found.lengths, stripped, e.index)
	} else if given == 0 {
		note(&found.missing, "user_id", e.index)
	}
	if e.device = e.deviceID; e.device == "" {
		e.device = deviceOf(e.userID)
	}
}

// deviceOf is the device_id that Amplitude derives from a user_id.
func deviceOf(userID string) string {
	sum := sha256.Sum256([]byte(userID))
	return hex.EncodeToString(sum[:16]) + "R"
}

// checkKind wants what the event's type needs, and refuses what would be ignored or stored oddly.
func (e *event) checkKind(found *problems) {
	want := func(ok bool, field string) {
		if !ok {
			note(&found.invalid, field, e.index)
		}
	}
	switch e.eventType {
	case "":
		note(&found.missing, "event_type", e.index)
	case identifyType:
		if !e.userProperties.Exists() && !e.groups.Exists() {
			note(&found.missing, "user_properties", e.index)
		}
		want(validUserOperators(e.userProperties), "user_properties")
		want(!e.groupProperties.Exists(), "group_properties")
	case groupIdentifyType:
		if !e.groupProperties.Exists() {
			note(&found.missing, "group_properties", e.index)
		} else {
			want(validGroupOperators(e.groupProperties), "group_properties")
		}
		if !e.groups.Exists() {
			note(&found.missing, "groups", e.index)
		} else {
			want(oneGroup(e.groups), "groups")
		}
		want(!e.userProperties.Exists(), "user_properties")
	default:
		want(!hasOperator(e.userProperties), "user_properties")
		want(!e.groupProperties.Exists(), "group_properties")
	}
}

// oneGroup says whether the groups of a $groupidentify are one type with one value.
func oneGroup(groups gjson.Result) bool {
	n, single := 0, true
	groups.ForEach(func(_, value gjson.Result) bool {
		n++
		single = single && value.Type == gjson.String
		return true
	})
	return n == 1 && single
}
