package amplitudetest

import (
	"io"
	"mime"
	"net/http"

	"github.com/tidwall/gjson"
)

const (
	formBytes = 1_000_000
	formItems = 1_024
	// longestURL is where GET requests of the form APIs end in a 414.
	longestURL = 8_192
)

// identify answers the Identify API (https://amplitude.com/docs/apis/analytics/identify): forms, plain text, no
// deduplication.
func (f *Fake) identify(w http.ResponseWriter, r *http.Request) {
	f.form(w, r, identification, func(p *project, e *event) {
		f.updateUser(f.state.person(p, e), e, f.now())
	})
}

// groupIdentify answers the Group Identify API (https://amplitude.com/docs/apis/analytics/group-identify).
func (f *Fake) groupIdentify(w http.ResponseWriter, r *http.Request) {
	f.form(w, r, groupIdentification, func(p *project, e *event) { f.state.updateGroup(p, e) })
}

// form reads api_key and identification, one object or an array of them, and applies all or none.
func (f *Fake) form(w http.ResponseWriter, r *http.Request, read func(gjson.Result) (event, bool), apply func(*project, *event)) {
	refuse := func(status int, text string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	r.Body = http.MaxBytesReader(w, r.Body, formBytes)
	if len(r.RequestURI) > longestURL {
		refuse(http.StatusRequestURITooLong, "uri_too_long")
		return
	}
	err := r.ParseForm()
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == "multipart/form-data" {
		err = r.ParseMultipartForm(formBytes) //nolint:gosec // the body is bounded above
	}
	if err != nil {
		refuse(http.StatusRequestEntityTooLarge, "request_too_large")
		return
	}
	key, text := r.Form.Get("api_key"), r.Form.Get("identification")
	if !f.knows(key) {
		refuse(http.StatusBadRequest, "invalid_api_key")
		return
	}
	items := gjson.Parse(text).Array() // a single object counts as an array of one
	if !gjson.Valid(text) || len(items) == 0 || len(items) > formItems {
		refuse(http.StatusBadRequest, "missing_event")
		return
	}
	events := make([]event, len(items))
	for i, item := range items {
		var ok bool
		if events[i], ok = read(item); !ok {
			refuse(http.StatusBadRequest, "missing_event")
			return
		}
	}
	f.ask(func(s *state) {
		p := s.project(key, f.cfg)
		for i := range events {
			apply(p, &events[i])
		}
	})
	_, _ = io.WriteString(w, "success")
}

// identification reads one object of /identify. It knows neither time nor insert_id nor session.
func identification(item gjson.Result) (event, bool) {
	ok := fits(item, map[string]check{
		"user_id": isNonEmpty, "device_id": isNonEmpty, "user_properties": isProperties, "groups": isGroups,
		"app_version": isString, "platform": isString, "os_name": isString, "os_version": isString,
		"device_brand": isString, "device_manufacturer": isString, "device_model": isString, "carrier": isString,
		"country": isString, "region": isString, "city": isString, "dma": isString, "language": isString,
		"paying": isString, "start_version": isString,
	})
	e := event{eventType: identifyType, userProperties: item.Get("user_properties"), groups: item.Get("groups")}
	e.userID, e.deviceID = cut(item.Get("user_id").Str), cut(item.Get("device_id").Str)
	if e.device = e.deviceID; e.device == "" {
		e.device = deviceOf(e.userID)
	}
	return e, ok && e.userID+e.deviceID != "" && !invalidIDs[item.Get("user_id").Str+item.Get("device_id").Str] &&
		validUserOperators(e.userProperties)
}

// groupIdentification reads one object of /groupidentify.
func groupIdentification(item gjson.Result) (event, bool) {
	ok := fits(item, map[string]check{
		"group_type": isNonEmpty, "group_value": isNonEmpty, "group_properties": isProperties,
	})
	e := event{
		eventType:       groupIdentifyType,
		groupProperties: item.Get("group_properties"),
		groups:          gjson.Parse("{" + item.Get("group_type").Raw + ":" + item.Get("group_value").Raw + "}"),
	}
	return e, ok && item.Get("group_type").Exists() && item.Get("group_value").Exists() &&
		validGroupOperators(e.groupProperties)
}

// fits says whether the item is an object of known fields, each of its type.
func fits(item gjson.Result, known map[string]check) bool {
	ok := item.IsObject()
	item.ForEach(func(name, value gjson.Result) bool {
		check, exists := known[name.String()]
		ok = ok && exists && check(value)
		return ok
	})
	return ok
}
