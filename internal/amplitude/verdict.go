package amplitude

// Verdict is what one answer, or the lack of one, says about a request. The set is closed, so that a
// counter for each can exist before the first failure. The zero value is no verdict.
type Verdict int

const (
	// Delivered means that Amplitude took every event: 200 with its own JSON.
	Delivered Verdict = iota + 1
	// Rejected means that nothing was taken and Answer.Rejected names the events at fault.
	Rejected
	// Refused means that nothing was taken and no event was named: 400, 403 and the other 4xx. One event, all
	// of them, or a firewall may be the cause.
	Refused
	// KeyRefused means that the API key is wrong or missing. The events are not at fault.
	KeyRefused
	// WrongEndpoint means that something else than Amplitude answered: 2xx of another shape, 1xx, 3xx, 404, 405.
	WrongEndpoint
	// TooLarge means that the request holds too many events or bytes: 413, or Limits exceeded before sending.
	TooLarge
	// Throttled means that nothing was taken because of the users, devices or events the Answer names.
	Throttled
	// SlowDown means that nothing was taken because the project sends too fast: 429 that names nobody.
	SlowDown
	// Unavailable means that nothing can have been taken: 503, or no byte of the request left this process.
	Unavailable
	// Ambiguous means that the events may have been taken: 408, 500, 502, 504 and other 5xx, a timeout, a
	// cut connection, or a caller who gave up after the request had started to leave.
	Ambiguous
)

var verdictNames = [...]string{
	Delivered:     "delivered",
	Rejected:      "rejected",
	Refused:       "refused",
	KeyRefused:    "key_refused",
	WrongEndpoint: "wrong_endpoint",
	TooLarge:      "too_large",
	Throttled:     "throttled",
	SlowDown:      "slow_down",
	Unavailable:   "unavailable",
	Ambiguous:     "ambiguous",
}

// String is the verdict in snake_case, fit for a metric label. A value outside the set is "unknown".
func (v Verdict) String() string {
	if v < Delivered || int(v) >= len(verdictNames) {
		return "unknown"
	}
	return verdictNames[v]
}

// Verdicts are all verdicts, in the order of their declaration.
func Verdicts() []Verdict {
	all := make([]Verdict, 0, len(verdictNames)-1)
	for v := Delivered; int(v) < len(verdictNames); v++ {
		all = append(all, v)
	}
	return all
}
