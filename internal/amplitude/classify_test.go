package amplitude

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// statusVerdict is the rule for an answer that says nothing but its status, written down a second time, by status.
func statusVerdict(status int) Verdict {
	exceptions := map[int]Verdict{
		401: KeyRefused, 404: WrongEndpoint, 405: WrongEndpoint, 408: Ambiguous, 413: TooLarge, 429: SlowDown, 503: Unavailable,
	}
	if verdict, ok := exceptions[status]; ok {
		return verdict
	}
	return map[int]Verdict{1: WrongEndpoint, 2: WrongEndpoint, 3: WrongEndpoint, 4: Refused, 5: Ambiguous}[status/100]
}

func TestEveryStatusHasAVerdict(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"empty":          "",
		"html":           "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
		"json error":     `{"error":"Some error"}`,
		"json array":     `[1,2,3]`,
		"json null":      `null`,
		"truncated json": `{"code":200,"events_inge`,
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for status := 100; status <= 599; status++ {
				answer := classify(status, nil, []byte(body), 3)
				require.Equal(t, statusVerdict(status), answer.Verdict, "status %d", status)
				require.Equal(t, status, answer.Status)
				require.NotEmpty(t, answer.Reason, "status %d", status)
				require.Empty(t, answer.Rejected)
				require.NotEqual(t, "unknown", answer.Verdict.String())
			}
		})
	}
}

func TestOnlyAmplitudesOwn200IsDelivered(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body string
		want Verdict
	}{
		"documented":      {`{"code":200,"events_ingested":50,"payload_size_bytes":50,"server_upload_time":1396381378123}`, Delivered},
		"with space":      {"\n {\"code\": 200}\n", Delivered},
		"odd other field": {`{"code":200,"events_ingested":"fifty"}`, Delivered},
		"no code":         {`{"status":"ok"}`, WrongEndpoint},
		"another code":    {`{"code":400,"error":"Invalid API key"}`, WrongEndpoint},
		"code as text":    {`{"code":"200"}`, WrongEndpoint},
		"plain text":      {`success`, WrongEndpoint},
		"html":            {`<html>Sign in to the guest network</html>`, WrongEndpoint},
		"something after": {`{"code":200}{"code":200}`, WrongEndpoint},
		"inside an array": {`[{"code":200}]`, WrongEndpoint},
		"empty":           {``, WrongEndpoint},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := classify(http.StatusOK, nil, []byte(c.body), 1)
			require.Equal(t, c.want, answer.Verdict)
			require.True(t, answer.MaybeAccepted())
			require.Equal(t, c.want == Delivered, answer.Reason == "")
		})
	}
}

func TestRejectedNamesTheEventsAtFault(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body string
		want map[int]string
	}{
		"invalid fields": {
			`{"code":400,"error":"Invalid field values on some events","events_with_invalid_fields":{"time":[1,3]}}`,
			map[int]string{1: "time: invalid field", 3: "time: invalid field"},
		},
		"missing fields": {
			`{"code":400,"error":"Request missing required field","events_with_missing_fields":{"event_type":[0]}}`,
			map[int]string{0: "event_type: missing field"},
		},
		"id lengths, which the documentation leaves out": {
			`{"code":400,"events_with_invalid_id_lengths":{"user_id":[2]},"error":"Invalid id length for user_id or device_id"}`,
			map[int]string{2: "user_id: invalid id length"},
		},
		"silenced device": {
			`{"code":400,"error":"Events silenced for device_id","eps_threshold":10,"silenced_devices":["C8F9E604"],"silenced_events":[3,4]}`,
			map[int]string{3: "silenced device", 4: "silenced device"},
		},
		"one event with several faults": {
			`{"code":400,"events_with_invalid_fields":{"time":[1],"ip":[1]},"events_with_missing_fields":{"event_type":[1]},"silenced_events":[1]}`,
			map[int]string{1: "event_type: missing field; ip: invalid field; time: invalid field; silenced device"},
		},
		"several events share a fault after one of them had another": {
			`{"events_with_missing_fields":{"event_type":[0]},"events_with_invalid_fields":{"time":[0,1,2]}}`,
			map[int]string{0: "event_type: missing field; time: invalid field", 1: "time: invalid field", 2: "time: invalid field"},
		},
		"repeated and out of range": {
			`{"code":400,"events_with_invalid_fields":{"time":[4,4,5,-1,99999999999]}}`,
			map[int]string{4: "time: invalid field"},
		},
		"whatever is no index is left out, and never taken for 0": {
			`{"code":400,"events_with_invalid_fields":{"time":["x",null,1.5,{},3],"ip":"all","adid":7}}`,
			map[int]string{3: "time: invalid field"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := classify(http.StatusBadRequest, nil, []byte(c.body), 5)
			require.Equal(t, Rejected, answer.Verdict)
			require.Equal(t, c.want, answer.Rejected)
			require.False(t, answer.MaybeAccepted())
		})
	}
}

func TestRejectionThatNamesNoneOfOursIsARefusal(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"code":400,"error":"Invalid JSON request body"}`,
		`{"code":400,"error":"Request missing required field","missing_field":"events"}`,
		`{"code":400,"error":"Invalid field values on some events","events_with_invalid_fields":{"time":[5]}}`,
		`{"code":400,"error":"Invalid field values on some events","events_with_invalid_fields":{"time":[]}}`,
		`{"code":400,"error":"Events silenced for device_id","silenced_devices":["C8F9E604"]}`,
		`{"code":400,"error":"Too many requests","throttled_users":{"u":31}}`,
		`<html><h1>400 Bad Request</h1></html>`,
		`{"code":403,"error":"Forbidden"}`,
	} {
		answer := classify(http.StatusBadRequest, nil, []byte(body), 5)
		require.Equal(t, Refused, answer.Verdict, body)
		require.Nil(t, answer.Rejected, body)
		require.Nil(t, answer.ThrottledUsers, body)
	}
}

func TestComplaintAboutTheKeyIsNotTheEventsFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
	}{
		{400, `{"code":400,"error":"Invalid API key"}`},
		{400, `{"code":400,"error":"Invalid API key: 5a1f0c"}`},
		{400, `{"code":400,"error":"invalid api key: 5a1f0c","events_with_invalid_fields":{"time":[0]}}`},
		{403, `{"code":403,"error":"Invalid API key: 5a1f0c"}`},
		{400, `{"code":400,"error":"Request missing required field","missing_field":"api_key"}`},
		{401, `<html>Unauthorized</html>`},
	} {
		require.Equal(t, KeyRefused, classify(c.status, nil, []byte(c.body), 5).Verdict, c.body)
	}
}

func TestThrottledNamesWhoMustWait(t *testing.T) {
	t.Parallel()
	answer := classify(http.StatusTooManyRequests, nil, []byte(`{
		"code":429,"error":"Too many requests for some devices and users","eps_threshold":30,
		"throttled_devices":{"d1":31,"d2":40},"throttled_users":{"u1":32,"u2":33},
		"exceeded_daily_quota_devices":{"d2":500001},"exceeded_daily_quota_users":{"u3":500200},
		"throttled_events":[4,0,4,17]}`), 5)

	require.Equal(t, Throttled, answer.Verdict)
	require.Equal(t, map[string]bool{"u1": false, "u2": false, "u3": true}, answer.ThrottledUsers)
	require.Equal(t, map[string]bool{"d1": false, "d2": true}, answer.ThrottledDevices)
	require.Equal(t, []int{0, 4}, answer.ThrottledEvents)
	require.Equal(t, 30, answer.EPSThreshold)
	require.False(t, answer.MaybeAccepted())
}

func TestThrottledByAnyOneKindOfName(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"throttled_users":{"u":31}}`,
		`{"throttled_devices":{"d":"31"}}`,
		`{"exceeded_daily_quota_users":{"u":500000}}`,
		`{"exceeded_daily_quota_devices":{"d":null}}`,
		`{"throttled_events":[0]}`,
	} {
		require.Equal(t, Throttled, classify(429, nil, []byte(body), 1).Verdict, body)
	}
	for _, body := range []string{
		`{"code":429,"error":"Too many requests"}`,
		`{"code":429,"throttled_users":{},"throttled_devices":{},"throttled_events":[]}`,
		`{"code":429,"throttled_events":[1]}`,
		`rate limited`,
	} {
		answer := classify(429, nil, []byte(body), 1)
		require.Equal(t, SlowDown, answer.Verdict, body)
		require.Empty(t, answer.ThrottledUsers, body)
		require.Nil(t, answer.ThrottledEvents, body)
	}
}

func TestAnswerThatBreaksOffProvesOnlyItsStatus(t *testing.T) {
	t.Parallel()
	want := map[int]Verdict{
		200: Ambiguous, 204: WrongEndpoint, 301: WrongEndpoint, 404: WrongEndpoint,
		400: Unavailable, 403: Unavailable, 422: Unavailable, 429: Unavailable, 503: Unavailable,
		401: KeyRefused, 413: TooLarge, 408: Ambiguous, 500: Ambiguous, 502: Ambiguous, 504: Ambiguous,
	}
	for status, verdict := range want {
		answer := classifyCut(status, "unexpected EOF")
		require.Equal(t, verdict, answer.Verdict, "status %d", status)
		require.Equal(t, status, answer.Status)
		require.Equal(t, "the answer broke off: unexpected EOF", answer.Reason)
	}
}

func TestReasonOfAForeignAnswerIsItsText(t *testing.T) {
	t.Parallel()
	page := "<html><head><style>p{color:red}</style><script>alert('x')</script></head>\n<body><!-- edge 7 --><p>Access\tdenied</p> <b>policy</b></body></html>"
	require.Equal(t, "HTTP 403 without Amplitude's error text: Access denied policy", classify(403, nil, []byte(page), 1).Reason)
	require.Equal(t, "Request missing required field: events",
		classify(400, nil, []byte(`{"error":"Request missing required field","missing_field":"events"}`), 1).Reason)
	require.Equal(t, "HTTP 502 without Amplitude's error text: empty", classify(502, nil, nil, 1).Reason)
	require.Equal(t, "HTTP 500 without Amplitude's error text: {\"code\":500}", classify(500, nil, []byte(`{"code":500}`), 1).Reason)

	redirect := classify(307, http.Header{"Location": {"https://elsewhere.example/batch"}}, []byte("Moved"), 1)
	require.Equal(t, "HTTP 307 without Amplitude's error text: a redirect, which is never followed", redirect.Reason)
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	cases := map[string]struct {
		retryAfter, date string
		want             time.Duration
	}{
		"absent":                                 {"", "", 0},
		"seconds":                                {"7", "", 7 * time.Second},
		"spaces":                                 {" 7 ", "", 7 * time.Second},
		"more than five minutes":                 {"86400", "", 5 * time.Minute},
		"more than fits in a duration":           {"18446744073709551615", "", 5 * time.Minute},
		"negative":                               {"-5", "", 0},
		"words":                                  {"soon", "", 0},
		"date":                                   {at(90 * time.Second), "", 90 * time.Second},
		"date in the past":                       {at(-time.Minute), "", 0},
		"date far ahead":                         {at(time.Hour), "", 5 * time.Minute},
		"date counts from the answer's own date": {at(time.Hour), at(time.Hour - 20*time.Second), 20 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			header.Set("Retry-After", c.retryAfter)
			header.Set("Date", c.date)
			require.Equal(t, c.want, retryAfter(header, now))
		})
	}
}

func TestVerdictNamesAreAClosedSet(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, verdict := range Verdicts() {
		name := verdict.String()
		require.Regexp(t, `^[a-z]+(_[a-z]+)*$`, name)
		require.NotEqual(t, "unknown", name)
		require.False(t, seen[name], name)
		seen[name] = true
	}
	require.Len(t, seen, 10)
	require.Equal(t, "unknown", Verdict(0).String(), "the zero value must not read as delivered")
	require.Equal(t, "unknown", Verdict(11).String())
	require.Equal(t, "unknown", Verdict(-1).String())
}

func FuzzClassify(f *testing.F) {
	f.Add(200, []byte(`{"code":200,"events_ingested":1}`), 1)
	f.Add(400, []byte(`{"code":400,"error":"Invalid field values on some events","events_with_invalid_fields":{"time":[0,2]}}`), 3)
	f.Add(429, []byte(`{"code":429,"throttled_users":{"u":31},"throttled_events":[1]}`), 2)
	f.Fuzz(func(t *testing.T, status int, body []byte, n int) {
		const key = "5a1f0c77e2"
		n = min(max(n, 0), 2_000)
		answer := classify(status, nil, body, n)

		require.Contains(t, Verdicts(), answer.Verdict)
		require.Equal(t, answer.Verdict == Rejected, len(answer.Rejected) > 0)
		require.Equal(t, answer.Verdict == Delivered, answer.Reason == "", "only a delivery needs no reason")
		require.Equal(t, answer.Verdict == Throttled, len(answer.ThrottledUsers)+len(answer.ThrottledDevices)+len(answer.ThrottledEvents) > 0)
		for i := range answer.Rejected {
			require.True(t, 0 <= i && i < n, "index %d of %d", i, n)
		}
		for _, i := range answer.ThrottledEvents {
			require.True(t, 0 <= i && i < n, "index %d of %d", i, n)
		}

		reason := newScrubber(key, nil).clean(answer.Reason)
		require.LessOrEqual(t, utf8.RuneCountInString(reason), maxReason)
		require.True(t, utf8.ValidString(reason))
		require.NotContains(t, reason, key)
		require.False(t, strings.ContainsAny(reason, "\r\n\t\x00\x1b"), "%q", reason)
	})
}
