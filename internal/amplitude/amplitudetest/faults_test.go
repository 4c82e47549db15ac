package amplitudetest

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// send posts over a real connection; a status of 0 means that no complete answer came.
func send(t *testing.T, f *Fake, path, body string) (status int, text string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { _ = resp.Body.Close() }()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), resp.Header
	}
	return resp.StatusCode, string(all), resp.Header
}

func TestEveryFaultAnswersAndStoresAsItSays(t *testing.T) {
	t.Parallel()
	cases := map[Kind]struct {
		status int
		text   string // contained in the answer
		stored int
	}{
		None:            {200, `"events_ingested":1`, 1},
		TooManyRequests: {429, `{"code":429,"error":"Too many requests"}`, 0},
		Throttle:        {429, `"throttled_users":{"usr_42":1001}`, 0},
		DailyQuota:      {429, `"exceeded_daily_quota_users":{"usr_42":500001}`, 0},
		InternalError:   {500, `"code":500`, 0},
		BadGateway:      {502, `<h1>502 Bad Gateway</h1>`, 0},
		Unavailable:     {503, `"code":503`, 0},
		GatewayTimeout:  {504, "", 0},
		StoredLost:      {0, "", 1},
		StoredLate:      {504, "", 0},
		Reset:           {0, "", 0},
		HTMLPage:        {400, "<html>", 0},
		PayloadTooLarge: {413, `{"code":413,"error":"Payload too large"}`, 0},
		FirstIndex:      {200, `"code":200`, 1},
		BadRequest:      {400, `{"code":400,"error":"Invalid event JSON"}`, 0},
		Forbidden:       {403, `{"code":403,"error":"Forbidden"}`, 0},
		InvalidKey:      {400, `{"code":400,"error":"Invalid API key: the-key"}`, 0},
		OtherShape:      {200, `{"status":"ok"}`, 0},
		Redirect:        {307, "307 Temporary Redirect", 0},
	}
	require.Len(t, cases, len(Kinds()), "every kind but Trickle, and None")
	for kind, c := range cases {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f := Start(t, Config{})
			f.Inject(Rule{Fault: Fault{Kind: kind}, Times: 1})
			status, text, _ := send(t, f, "/batch", body(t, track(object{"insert_id": "i"})))
			require.Equal(t, c.status, status, text)
			if status != 0 {
				require.Contains(t, text, c.text)
			}
			require.Equal(t, c.stored, f.Total())
			require.Equal(t, Request{
				N: 1, API: "batch", At: f.Requests()[0].At, Status: c.status, Fault: kind, Project: Project(key), Events: 1,
				Bytes: f.Requests()[0].Bytes, WireBytes: f.Requests()[0].WireBytes,
			}, f.Requests()[0])
			require.Equal(t, 1, f.Arrivals("i").Arrived)

			status, _, _ = send(t, f, "/batch", body(t, track(object{"insert_id": "i"})))
			require.Equal(t, 200, status, "the retry")
			f.Settle()
			require.Equal(t, 1, f.Total())
			require.Zero(t, f.Stats().StoredTwice)
		})
	}
}

func TestStoredTakesTheEventsBeforeAnAmbiguousAnswer(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{InternalError, BadGateway, GatewayTimeout, HTMLPage, OtherShape, Redirect} {
		f := New(Config{})
		f.Inject(Rule{Fault: Fault{Kind: kind, Stored: true}})
		require.NotContains(t, post(f, "/batch", body(t, track())).text, "events_ingested")
		require.Equal(t, 1, f.Total(), kind)
	}
	for _, kind := range []Kind{Unavailable, BadRequest, Forbidden, TooManyRequests, PayloadTooLarge, InvalidKey} {
		f := New(Config{})
		f.Inject(Rule{Fault: Fault{Kind: kind, Stored: true}})
		post(f, "/batch", body(t, track()))
		require.Zero(t, f.Total(), "%s promises that nothing was taken", kind)
	}
}

func TestLateEventsAreStoredAfterFurtherRequests(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Inject(Rule{Fault: Fault{Kind: StoredLate, AfterRequests: 2}, Times: 1})
	require.Equal(t, 504, post(f, "/batch", body(t, track(object{"insert_id": "late"}))).status)
	require.Equal(t, 1, f.Stats().Late)

	batch(t, f, track())
	require.Zero(t, f.Arrivals("late").Accepted)
	batch(t, f, track(object{"insert_id": "late", "event_properties": object{"retry": true}}))
	require.Equal(t, Arrivals{Arrived: 2, Accepted: 1, Absorbed: 1}, f.Arrivals("late"), "the retry came first")
	require.Equal(t, object{"retry": true}, f.Events(Filter{InsertID: "late"})[0].EventProperties)
	require.Zero(t, f.Stats().Late)
}

func TestLateEventsAreStoredWhenTheirTimeComes(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Inject(Rule{Fault: Fault{Kind: StoredLate, After: time.Minute}, Times: 1})
	require.Equal(t, 504, post(f, "/batch", body(t, track())).status)
	batch(t, f, track())
	require.Equal(t, 1, f.Total(), "no number of requests brings it forward")
	f.Advance(time.Minute)
	require.Equal(t, 2, f.Total())
}

func TestLateRequestThatIsInvalidIsNeverStored(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Inject(Rule{Fault: Fault{Kind: StoredLate}})
	require.Equal(t, 504, post(f, "/batch", body(t, track(object{"time": "x"}))).status)
	f.Settle()
	require.Zero(t, f.Stats().Accepted)
}

func TestLateRequestOfASilencedDeviceIsNeverStored(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Silence("loud")
	f.Inject(Rule{Fault: Fault{Kind: StoredLate}})
	require.Equal(t, 504, post(f, "/batch", body(t, track(object{"device_id": "loud"}), track(object{"device_id": "quiet"}))).status)
	f.Settle()
	require.Zero(t, f.Stats().Accepted)
}

func TestTrickleTakesTheEventsAndOutlastsTheClient(t *testing.T) {
	t.Parallel()
	f := Start(t, Config{})
	f.Inject(Rule{Fault: Fault{Kind: Trickle, Interval: time.Hour}, Times: 1}, Rule{Fault: Fault{Kind: Trickle, Interval: time.Nanosecond}})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+"/batch", strings.NewReader(body(t, track())))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	first := make([]byte, 2)
	n, err := resp.Body.Read(first)
	require.NoError(t, err)
	require.Equal(t, "{", string(first[:n]))
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 1, f.Total())

	status, text, _ := send(t, f, "/batch", body(t, track()))
	require.Equal(t, 200, status)
	require.Contains(t, text, `"code":200`)
}

func TestThrottleFaultConcernsOnlyItsUsers(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Inject(Rule{Fault: Fault{Kind: Throttle, Users: []string{"a"}, Devices: []string{"d3"}}})
	batch(t, f, of("b", "d1")(0))
	a := post(f, "/batch", body(t, of("b", "d1")(0), of("a", "d2")(0), of("c", "d3")(0)))
	require.Equal(t, 429, a.status)
	require.Equal(t, object{"a": 1001.0}, a.json["throttled_users"])
	require.Equal(t, object{"d3": 1001.0}, a.json["throttled_devices"])
	require.Equal(t, []int{1, 2}, integers(a.json["throttled_events"]))

	f.Heal()
	f.Inject(Rule{Fault: Fault{Kind: DailyQuota}})
	a = post(f, "/batch", body(t, of("b", "d1")(0), of("a", "d2")(0), of("b", "d1")(0)))
	require.Equal(t, object{"b": 500001.0}, a.json["exceeded_daily_quota_users"], "by default that of the first event")
	require.Equal(t, []int{0, 2}, integers(a.json["throttled_events"]))
}

func TestPayloadTooLargeFaultSparesSmallRequests(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Inject(Rule{Fault: Fault{Kind: PayloadTooLarge, MaxEvents: 2}}, Rule{Fault: Fault{Kind: PayloadTooLarge, MaxBytes: 1_000}})
	batch(t, f, track(), track())
	require.Equal(t, 413, post(f, "/batch", body(t, track(), track(), track())).status)
	require.Equal(t, 413, post(f, "/batch", body(t, track(object{"library": strings.Repeat("x", 1_000)}))).status)
}

func TestFirstIndexFaultNamesOneOffender(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Inject(Rule{Fault: Fault{Kind: FirstIndex}, Nth: 1})
	text := body(t, track(object{"time": "x"}), track(object{"time": "y"}))
	require.Equal(t, []int{0}, post(f, "/batch", text).named("events_with_invalid_fields", "time"))
	require.Equal(t, []int{0, 1}, post(f, "/batch", text).named("events_with_invalid_fields", "time"))
}

func TestFaultHeaders(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Inject(Rule{Fault: Fault{Kind: Unavailable, RetryAfter: "7"}, Nth: 1}, Rule{Fault: Fault{Kind: Redirect, Status: 308}, Nth: 1},
		Rule{Fault: Fault{Kind: HTMLPage, Status: 504}, Nth: 1})
	a := post(f, "/batch", body(t, track()))
	require.Equal(t, 503, a.status)
	require.Equal(t, "7", a.header.Get("Retry-After"))
	a = post(f, "/batch", body(t, track()))
	require.Equal(t, 308, a.status)
	require.Equal(t, "https://elsewhere.invalid/batch", a.header.Get("Location"))
	a = post(f, "/batch", body(t, track()))
	require.Equal(t, 504, a.status)
	require.Equal(t, "text/html", a.header.Get("Content-Type"))
}

func TestRulesActOnWhatTheyName(t *testing.T) {
	t.Parallel()
	poison := track(object{
		"user_id": "u1", "device_id": "d1", "event_type": "Poison", "insert_id": "i1", "event_properties": object{"colour": "red"},
	})
	fitting := map[string]Rule{
		"user":     {User: "u1"},
		"device":   {Device: "d1"},
		"type":     {EventType: "Poison"},
		"insert":   {InsertID: "i1"},
		"property": {Property: "colour"},
		"value":    {Property: "colour=red"},
		"body":     {Body: `"red"`},
		"several":  {User: "u1", Property: "colour", Body: "Poison"},
		"when":     {When: func(n int, events []Event) bool { return n == 2 && events[1].InsertID == "i1" }},
	}
	for name, rule := range fitting {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(Config{})
			rule.Fault = Fault{Kind: BadRequest}
			f.Inject(rule)
			batch(t, f, track())
			require.Equal(t, 400, post(f, "/batch", body(t, track(), poison)).status)
		})
	}
	sparing := map[string]Rule{
		"another value":         {Property: "colour=blue"},
		"two different events":  {User: "u1", Device: "srv:usr_42"},
		"a string that is not":  {Body: "green"},
		"a number out of reach": {Nth: 3},
	}
	for name, rule := range sparing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(Config{})
			rule.Fault = Fault{Kind: BadRequest}
			f.Inject(rule)
			batch(t, f, track())
			batch(t, f, track(), poison)
		})
	}
}

func TestRulesEnd(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	f.Inject(Rule{Fault: Fault{Kind: InvalidKey}, For: time.Minute}, Rule{Fault: Fault{Kind: Unavailable}, Times: 2})
	statuses := func(n int) (got []int) {
		for range n {
			got = append(got, post(f, "/batch", body(t, track())).status)
		}
		return got
	}
	require.Equal(t, []int{400, 400}, statuses(2))
	clock.advance(time.Minute)
	require.Equal(t, []int{503, 503, 200}, statuses(3))

	f.Inject(Rule{Fault: Fault{Kind: Forbidden}})
	require.Equal(t, []int{403}, statuses(1))
	f.Heal()
	require.Equal(t, []int{200}, statuses(1))
}

func TestProbabilitiesAddUpAndRepeatWithTheSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) map[int]int {
		f := New(Config{Seed: seed})
		f.Inject(Rule{Fault: Fault{Kind: Unavailable}, Probability: 0.5}, Rule{Fault: Fault{Kind: Forbidden}, Probability: 0.25},
			Rule{Fault: Fault{Kind: TooManyRequests}, Probability: 0.25})
		for range 400 {
			post(f, "/batch", body(t, track()))
		}
		return f.Stats().Statuses
	}
	first := run(1)
	require.Zero(t, first[200], "the shares add up to all requests")
	require.InDelta(t, 200, first[503], 40)
	require.InDelta(t, 100, first[403], 40)
	require.Equal(t, first, run(1))
	require.NotEqual(t, first, run(2))
}

func TestOnRequestDecidesBeforeRules(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []int
	f := New(Config{OnRequest: func(n int, events []Event) Fault {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, n)
		if len(events) == 1 && events[0].UserID == "usr_42" && events[0].EventProperties["colour"] == "red" {
			return Fault{Kind: Forbidden}
		}
		return Fault{}
	}})
	f.Inject(Rule{Fault: Fault{Kind: Unavailable}, Times: 2})
	red := track(object{"event_properties": object{"colour": "red"}})
	require.Equal(t, 403, post(f, "/batch", body(t, red)).status)
	require.Equal(t, 503, post(f, "/batch", body(t, track())).status)
	require.Equal(t, 503, post(f, "/batch", "{").status, "an unreadable request has no events")
	require.Equal(t, []int{1, 2, 3}, seen)
}

func TestLatencyDelaysTheAnswerNotTheEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := New(Config{Latency: 50 * time.Millisecond})
		f.Inject(Rule{Fault: Fault{Latency: 200 * time.Millisecond}, Times: 1})
		for _, want := range []time.Duration{250 * time.Millisecond, 50 * time.Millisecond} {
			start, before := time.Now(), f.Total()
			answered := make(chan answer)
			request := body(t, track())
			go func() { answered <- post(f, "/batch", request) }()
			synctest.Wait()
			require.Equal(t, before+1, f.Total(), "taken before it is answered")
			require.Equal(t, 200, (<-answered).status)
			require.Equal(t, want, time.Since(start))
		}
	})
}

func TestCloseEndsWaitingAnswers(t *testing.T) {
	t.Parallel()
	f := New(Config{Latency: time.Hour})
	f.Close()
	f.Close()
	require.Empty(t, post(f, "/batch", body(t, track())).text)
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	rules, err := ParseFaults(" 429=0.02, lost=0.5,late=0.48,")
	require.NoError(t, err)
	require.Equal(t, []Rule{
		{Fault: Fault{Kind: TooManyRequests}, Probability: 0.02},
		{Fault: Fault{Kind: StoredLost}, Probability: 0.5},
		{Fault: Fault{Kind: StoredLate}, Probability: 0.48},
	}, rules)
	rules, err = ParseFaults("")
	require.NoError(t, err)
	require.Empty(t, rules)

	for spec, says := range map[string]string{
		"503":             "has no share",
		"teapot=0.1":      "unknown fault \"teapot\": use one of [429 ",
		"=0.1":            "unknown fault",
		"503=x":           "share must be above 0",
		"503=0":           "share must be above 0",
		"503=-0.1":        "share must be above 0",
		"503=NaN":         "share must be above 0",
		"503=1.1":         "share must be above 0",
		"503=0.6,429=0.5": "add up to 1.1",
	} {
		_, err := ParseFaults(spec)
		require.ErrorContains(t, err, says, spec)
	}
}
