package amplitude

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// wireAnswer is the JSON of Amplitude's answers, all statuses together
// (https://amplitude.com/docs/apis/analytics/http-v2, "Responses"; the id lengths are undocumented).
type wireAnswer struct {
	Code         int    `json:"code"`
	Error        string `json:"error"`
	MissingField string `json:"missing_field"`

	InvalidFields    map[string]indexes `json:"events_with_invalid_fields"`
	MissingFields    map[string]indexes `json:"events_with_missing_fields"`
	InvalidIDLengths map[string]indexes `json:"events_with_invalid_id_lengths"`
	SilencedEvents   indexes            `json:"silenced_events"`

	EPSThreshold     int                        `json:"eps_threshold"`
	ThrottledUsers   map[string]json.RawMessage `json:"throttled_users"`
	ThrottledDevices map[string]json.RawMessage `json:"throttled_devices"`
	ThrottledEvents  indexes                    `json:"throttled_events"`
	QuotaUsers       map[string]json.RawMessage `json:"exceeded_daily_quota_users"`
	QuotaDevices     map[string]json.RawMessage `json:"exceeded_daily_quota_devices"`
}

// indexes are positions in the request. Whatever is not an integer is left out: encoding/json would read it as 0,
// and an innocent first event would be rejected.
type indexes []int

func (x *indexes) UnmarshalJSON(text []byte) error {
	var elements []json.RawMessage
	if json.Unmarshal(text, &elements) != nil {
		return nil
	}
	for _, element := range elements {
		if i, err := strconv.Atoi(string(element)); err == nil {
			*x = append(*x, i)
		}
	}
	return nil
}

// parseAnswer reports whether the body is a JSON object. A field of an unexpected type is left out, so that
// one surprise does not hide the rest.
func parseAnswer(body []byte) (wireAnswer, bool) {
	var w wireAnswer
	err := json.Unmarshal(body, &w)
	var mismatch *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &mismatch) {
		return wireAnswer{}, false
	}
	return w, bytes.HasPrefix(bytes.TrimSpace(body), []byte("{"))
}

// classify decides what a complete answer to a request of n events means. It is a pure function. The reasons are
// as Amplitude gave them: they may still echo the request.
func classify(status int, header http.Header, body []byte, n int) Answer {
	answer := Answer{Status: status}
	wire, isJSON := parseAnswer(body)
	if status == http.StatusOK && isJSON && wire.Code == http.StatusOK {
		answer.Verdict = Delivered
		return answer
	}

	answer.Reason = wire.Error
	if !isJSON || wire.Error == "" {
		answer.Reason = foreignReason(status, header, body)
	} else if wire.MissingField != "" {
		answer.Reason += ": " + wire.MissingField
	}
	switch {
	case status < 400 || status > 599 || status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		answer.Verdict = WrongEndpoint
	case status == http.StatusServiceUnavailable:
		answer.Verdict = Unavailable
	case status >= 500 || status == http.StatusRequestTimeout:
		answer.Verdict = Ambiguous
	case status == http.StatusRequestEntityTooLarge:
		answer.Verdict = TooLarge
	case status == http.StatusTooManyRequests:
		answer.throttle(wire, n)
	case status == http.StatusUnauthorized || refusesKey(wire):
		answer.Verdict = KeyRefused
	default:
		answer.reject(wire, n)
	}
	return answer
}

// classifyCut decides what an answer means whose body did not arrive whole. Where the body would have said who is
// at fault it is not known, but the status alone proves that nothing was taken: the same request may go again.
func classifyCut(status int, reason string) Answer {
	answer := classify(status, nil, nil, 0)
	switch {
	case status == http.StatusOK:
		answer.Verdict = Ambiguous
	case answer.Verdict == Refused || answer.Verdict == SlowDown:
		answer.Verdict = Unavailable
	}
	answer.Reason = "the answer broke off: " + reason
	return answer
}

// refusesKey recognises a complaint about the key. The text ends with the key itself.
func refusesKey(w wireAnswer) bool {
	const text = "invalid api key"
	return w.MissingField == "api_key" || strings.HasPrefix(strings.ToLower(w.Error), text)
}

// throttle fills in who must wait. Names without events, events without names: either is enough.
func (a *Answer) throttle(w wireAnswer, n int) {
	a.ThrottledUsers = throttled(w.ThrottledUsers, w.QuotaUsers)
	a.ThrottledDevices = throttled(w.ThrottledDevices, w.QuotaDevices)
	a.ThrottledEvents = inRange(w.ThrottledEvents, n)
	a.EPSThreshold = max(w.EPSThreshold, 0)
	a.Verdict = Throttled
	if len(a.ThrottledUsers)+len(a.ThrottledDevices)+len(a.ThrottledEvents) == 0 {
		a.Verdict = SlowDown
	}
}

// throttled joins the ids over their rate with those over their daily quota, which are true.
func throttled(rate, quota map[string]json.RawMessage) map[string]bool {
	if len(rate)+len(quota) == 0 {
		return nil
	}
	ids := make(map[string]bool, len(rate)+len(quota))
	for id := range rate {
		ids[id] = false
	}
	for id := range quota {
		ids[id] = true
	}
	return ids
}

// reject fills in the events that are named. An answer that names none of ours is a refusal of all.
func (a *Answer) reject(w wireAnswer, n int) {
	rejected := make(map[int]string)
	add := func(named indexes, reason string) {
		for _, i := range inRange(named, n) {
			if earlier := rejected[i]; earlier != "" {
				rejected[i] = earlier + "; " + reason
			} else {
				rejected[i] = reason
			}
		}
	}
	addFields := func(fields map[string]indexes, what string) {
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			add(fields[field], field+": "+what)
		}
	}
	addFields(w.MissingFields, "missing field")
	addFields(w.InvalidFields, "invalid field")
	addFields(w.InvalidIDLengths, "invalid id length")
	add(w.SilencedEvents, "silenced device")

	if len(rejected) == 0 {
		a.Verdict = Refused
		return
	}
	a.Verdict, a.Rejected = Rejected, rejected
}

// inRange sorts the indexes, and drops repeated ones and those outside of 0…n-1.
func inRange(named indexes, n int) []int {
	kept := make([]int, 0, min(len(named), n))
	for _, i := range named {
		if i >= 0 && i < n {
			kept = append(kept, i)
		}
	}
	slices.Sort(kept)
	if kept = slices.Compact(kept); len(kept) == 0 {
		return nil
	}
	return kept
}
