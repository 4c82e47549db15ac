package amplitudetest

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	identifyType      = "$identify"
	groupIdentifyType = "$groupidentify"
)

// event is one valid event of a request, its strings cut to what Amplitude keeps.
type event struct {
	index                                 int
	eventType, userID, deviceID, insertID string
	device                                string    // deviceID, or what Amplitude makes up without one
	history                               *arrivals // of the insertID, once the request has arrived

	eventID, sessionID, time int64
	hasEventID, hasTime      bool
	skipSync                 bool
	bought                   purchase

	sentUser, sentDevice                                     gjson.Result // the ids, valid or not
	eventProperties, userProperties, groups, groupProperties gjson.Result
}

func (e *event) isProperty() bool {
	return e.eventType == identifyType || e.eventType == groupIdentifyType
}

// read takes the fields out of the JSON. An unknown field, a repeated one or a wrong type is a problem.
func (e *event) read(raw gjson.Result, found *problems) {
	var buffer [64]string
	seen := buffer[:0]
	raw.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		check, documented := fields[name]
		if documented && !slices.Contains(seen, name) && check(value) {
			e.set(name, value)
		} else {
			note(&found.invalid, name, e.index)
		}
		e.sees(name, value)
		seen = append(seen, name)
		return true
	})
	if e.bought.incomplete() {
		note(&found.invalid, e.bought.detail, e.index)
	}
}

// sees keeps what the checks of identity need of fields that may be invalid.
func (e *event) sees(name string, value gjson.Result) {
	switch name {
	case "user_id":
		e.sentUser = value
	case "device_id":
		e.sentDevice = value
	}
}

// set keeps a valid field, if the fake has a use for it.
func (e *event) set(name string, value gjson.Result) {
	switch name {
	case "event_type":
		e.eventType = cut(value.Str)
	case "user_id":
		e.userID = cut(value.Str)
	case "device_id":
		e.deviceID = cut(value.Str)
	case "insert_id":
		e.insertID = cut(value.Str)
	case "time":
		e.time, e.hasTime = value.Int(), true
	case "event_id":
		e.eventID, e.hasEventID = value.Int(), true
	case "session_id":
		e.sessionID = value.Int()
	case "event_properties":
		e.eventProperties = value
	case "user_properties":
		e.userProperties = value
	case "groups":
		e.groups = value
	case "group_properties":
		e.groupProperties = value
	case "$skip_user_properties_sync":
		e.skipSync = value.Bool()
	default:
		e.bought.set(name, value)
	}
}

// purchase is the fields of an event that make its revenue.
type purchase struct {
	price, revenue       float64
	quantity             int64
	hasPrice, hasRevenue bool
	hasQuantity          bool
	detail               string // a field that means nothing without a price or revenue
}

func (p *purchase) set(name string, value gjson.Result) {
	switch name {
	case "price":
		p.price, p.hasPrice = value.Num, true
	case "quantity":
		p.quantity, p.hasQuantity = value.Int(), true
	case "revenue":
		p.revenue, p.hasRevenue = value.Num, true
	case "productId", "revenueType", "currency":
		p.detail = name
	}
}

func (p *purchase) incomplete() bool { return p.detail != "" && !p.hasPrice && !p.hasRevenue }

// amount lets price times quantity win over revenue; the quantity is 1 unless given.
func (p *purchase) amount() float64 {
	switch {
	case !p.hasPrice:
		return p.revenue
	case !p.hasQuantity:
		return p.price
	default:
		return p.price * float64(p.quantity)
	}
}

// maxText is the length in characters beyond which Amplitude cuts a string
// (https://amplitude.com/docs/faq/limits).
const maxText = 1_024

// cut returns the string as Amplitude keeps it, without holding on to the request it came in.
func cut(text string) string {
	if len(text) > maxText && utf8.RuneCountInString(text) > maxText {
		text = string([]rune(text)[:maxText])
	}
	return strings.Clone(text)
}
