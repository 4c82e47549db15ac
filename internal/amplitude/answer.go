package amplitude

import "time"

// Answer is what became of one request.
type Answer struct {
	// Verdict is the one thing to act on; the other fields say more about it.
	Verdict Verdict
	// Status is the HTTP status, 0 when no answer came.
	Status int
	// Reason says why in at most 300 characters, without the API key and without anything echoed from the
	// events. Empty when Delivered.
	Reason string

	// Rejected holds the reason for each event that a Rejected answer names, by its index in the upload.
	// Amplitude may name only the first offender of each kind: resend the rest and expect more.
	Rejected map[int]string

	// ThrottledUsers and ThrottledDevices are the ids that a Throttled answer names. The value is true when the
	// daily quota is exceeded: rest until the next UTC day, not for Limits.ThrottlePause.
	ThrottledUsers, ThrottledDevices map[string]bool
	// ThrottledEvents are the indexes that a Throttled answer names, ascending. It may be all there is.
	ThrottledEvents []int
	// EPSThreshold is the events per second and id that a Throttled answer allows, 0 when it does not say.
	EPSThreshold int

	// RetryAfter is the answer's Retry-After header as a wait from now, at most 5 minutes, 0 without one.
	RetryAfter time.Duration

	// Bytes is the size of the JSON body, WireBytes its size after compression (0 when nothing was sent).
	Bytes, WireBytes int
	// Elapsed is the time from the call of Upload to the answer.
	Elapsed time.Duration
}

// MaybeAccepted says whether Amplitude may hold the events of the request: it does when Delivered, and it may
// when Ambiguous or answered by something else than Amplitude. Such events may be sent again only with the same
// insert_id, user_id and device_id, and only within the 7 days that Amplitude remembers an insert_id
// (https://amplitude.com/docs/apis/analytics/http-v2, "Event deduplication").
func (a Answer) MaybeAccepted() bool {
	return a.Verdict == Delivered || a.Verdict == Ambiguous || a.Verdict == WrongEndpoint
}
