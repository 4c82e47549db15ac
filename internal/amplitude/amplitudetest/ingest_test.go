package amplitudetest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestA200TakesAllEvents(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	text := body(t, track(), track(object{"user_id": "usr_43"}))
	a := post(f, "/batch", text)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, object{
		"code": 200.0, "events_ingested": 2.0, "payload_size_bytes": float64(len(text)),
		"server_upload_time": float64(clock.now().UnixMilli()),
	}, a.json)
	require.Equal(t, 2, f.Total())
}

// TestRequestIsAllOrNothing sends a good event beside a cause of every refusal.
func TestRequestIsAllOrNothing(t *testing.T) {
	t.Parallel()
	good := track(object{"insert_id": "good"})
	hot := func(int) object { return track(object{"user_id": "hot", "device_id": "hot"}) }
	cases := map[string]struct {
		cfg    Config
		events []object
		status int
	}{
		"400": {Config{}, []object{good, track(object{"time": "now"})}, 400},
		"413": {Config{MaxEvents: 1}, []object{good, track()}, 413},
		"429": {Config{EPS: 1}, append(many(31, hot), good), 429},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(c.cfg)
			require.Equal(t, c.status, post(f, "/batch", body(t, c.events...)).status)
			require.Zero(t, f.Stats().Accepted)
			require.Empty(t, f.Events(Filter{}))
			require.Zero(t, f.Arrivals("good").Accepted)
		})
	}
}

func TestRequestHoldsAtMost2000EventsCountedAfterGunzip(t *testing.T) {
	t.Parallel()
	one := func(int) object { return track(object{"time": nil}) }
	for _, path := range []string{"/batch", "/2/httpapi"} {
		f := New(Config{EPS: -1})
		require.Equal(t, 200, post(f, path, body(t, many(2_000, one)...)).status)

		r := httptest.NewRequest(http.MethodPost, path, gzipped(body(t, many(2_001, one)...)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Encoding", "gzip")
		a := serve(f, r)
		require.Equal(t, 413, a.status)
		require.Equal(t, object{"code": 413.0, "error": "Payload too large"}, a.json)
	}
}

func TestRequestBytesAreCountedAfterGunzip(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	padded := func(size int) string {
		text := body(t, track(object{"library": "x"}))
		return strings.Replace(text, `"x"`, `"`+strings.Repeat("x", size-len(text)+1)+`"`, 1)
	}
	require.Len(t, padded(1_000_000), 1_000_000)

	require.Equal(t, 200, post(f, "/2/httpapi", padded(1_000_000)).status)
	require.Equal(t, 413, post(f, "/2/httpapi", padded(1_000_001)).status)
	require.Equal(t, 200, post(f, "/batch", padded(1_000_001)).status)
	require.Equal(t, 413, post(f, "/batch", padded(20_000_001)).status)
	require.Equal(t, 413, post(New(Config{MaxBytes: 100}), "/batch", padded(200)).status)

	bomb := httptest.NewRequest(http.MethodPost, "/2/httpapi", gzipped(padded(1_000_001)))
	bomb.Header.Set("Content-Type", "application/json")
	bomb.Header.Set("Content-Encoding", "gzip")
	require.Equal(t, 413, serve(f, bomb).status)
}

func TestGzipIsAccepted(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	text := body(t, track())
	for range 2 { // the second time with a reader that was used before
		compressed := gzipped(text)
		size := compressed.Len()
		r := httptest.NewRequest(http.MethodPost, "/batch", compressed)
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		r.Header.Set("Content-Encoding", "gzip")
		require.Equal(t, 200, serve(f, r).status)
		require.Equal(t, size, f.Requests()[0].WireBytes)
		require.Equal(t, len(text), f.Requests()[0].Bytes)
	}
}

func TestUnreadableBodyIsRefused(t *testing.T) {
	t.Parallel()
	good := body(t, track())
	cases := map[string]struct {
		body, encoding, media, says string
	}{
		"empty":               {"", "", "application/json", "Missing request body"},
		"no json":             {"{", "", "application/json", "Invalid JSON request body"},
		"something after":     {good + "x", "", "application/json", "Invalid JSON request body"},
		"array":               {"[" + good + "]", "", "application/json", "Invalid JSON request body"},
		"not gzip":            {good, "gzip", "application/json", "Invalid JSON request body"},
		"half a gzip":         {gzipped(good).String()[:40], "gzip", "application/json", "Invalid JSON request body"},
		"unknown encoding":    {good, "br", "application/json", "Invalid JSON request body"},
		"not UTF-8":           {strings.Replace(good, "usr_42", "usr_\xff", 1), "", "application/json", "Invalid JSON request body"},
		"lone high surrogate": {strings.Replace(good, "usr_42", `\ud83d`, 1), "", "application/json", "Invalid JSON request body"},
		"lone low surrogate":  {strings.Replace(good, "usr_42", `\\\uDE00`, 1), "", "application/json", "Invalid JSON request body"},
		"form":                {good, "", "application/x-www-form-urlencoded", "Invalid JSON request body"},
		"no content type":     {good, "", "", "Invalid JSON request body"},
		"unknown top level":   {`{"extra":1,` + good[1:], "", "application/json", "Invalid JSON request body"},
		"unknown option":      {strings.Replace(good, "min_id_length", "max_id_length", 1), "", "application/json", "Invalid JSON request body"},
		"option of a type":    {strings.Replace(good, `"min_id_length":1`, `"min_id_length":"1"`, 1), "", "application/json", "Invalid JSON request body"},
		"events no array":     {`{"api_key":"k","events":{}}`, "", "application/json", "Invalid JSON request body"},
		"event no object":     {`{"api_key":"k","events":["e"]}`, "", "application/json", "Invalid event JSON"},
		"no events":           {`{"api_key":"k","events":[]}`, "", "application/json", "Request missing required field"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(Config{})
			r := httptest.NewRequest(http.MethodPost, "/batch", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.media)
			r.Header.Set("Content-Encoding", c.encoding)
			a := serve(f, r)
			require.Equal(t, 400, a.status, a.text)
			require.Equal(t, c.says, a.error())
			require.Zero(t, f.Stats().Accepted)
		})
	}
}

func TestSurrogatePairsAreText(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	text := strings.Replace(body(t, track(object{"event_properties": object{"p": "?"}})), `"?"`, `"\ud83d\ude00 \\ud83d \n"`, 1)
	require.Equal(t, 200, post(f, "/batch", text).status)
	require.Equal(t, "😀 \\ud83d \n", f.Events(Filter{})[0].EventProperties["p"])
}

func TestAPIKeyIsCheckedAndRepeatedInTheError(t *testing.T) {
	t.Parallel()
	f := New(Config{APIKeys: []string{"the-other-key", key}})
	batch(t, f, track())

	wrong := strings.Replace(body(t, track()), key, "wrong", 1)
	a := post(f, "/batch", wrong)
	require.Equal(t, 400, a.status)
	require.Equal(t, object{"code": 400.0, "error": "Invalid API key: wrong"}, a.json)

	broken := strings.Replace(body(t, track(object{"time": "x"})), key, "wrong", 1)
	require.Equal(t, "Invalid API key: wrong", post(f, "/batch", broken).error(), "the key goes first")

	open := New(Config{})
	require.Equal(t, 200, post(open, "/batch", wrong).status, "without a list every key is a project")
	require.Equal(t, 400, post(open, "/batch", strings.Replace(wrong, "wrong", "", 1)).status, "but none is none")
}

func TestTopLevelNamesAreCaseSensitive(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	text := body(t, track())
	for name, missing := range map[string]string{"api_key": "api_key", "events": "events"} {
		a := post(f, "/batch", strings.Replace(text, `"`+name+`"`, `"`+strings.ToUpper(name[:1])+name[1:]+`"`, 1))
		require.Equal(t, object{"code": 400.0, "error": "Request missing required field", "missing_field": missing}, a.json)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	require.Equal(t, object{"code": 400.0, "error": "Invalid request path"}, post(f, "/batch/", body(t, track())).json)
	require.Equal(t, "Invalid request path", post(f, "/2/http", body(t, track())).error())
	require.Equal(t, 404, post(f, "/httpapi", body(t, track())).status)
	require.Equal(t, 405, serve(f, httptest.NewRequest(http.MethodGet, "/batch", nil)).status)
}

func TestFullFakeSaysSoInsteadOfForgetting(t *testing.T) {
	t.Parallel()
	f := New(Config{KeepIDs: 10})
	for i := 0; ; i++ {
		require.Less(t, i, 20)
		a := post(f, "/batch", body(t, track(object{"insert_id": string(rune('a' + i))})))
		if a.status == http.StatusServiceUnavailable {
			require.Contains(t, a.json["detail"], "full")
			break
		}
	}
	f.Reset()
	batch(t, f, track())
}

// TestStartListensUntilTheTestEnds leaves it to the leak check in TestMain to notice a server that stays.
func TestStartListensUntilTheTestEnds(t *testing.T) {
	t.Parallel()
	f := Start(t, Config{})
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, f.URL)
	status, text, _ := send(t, f, "/batch", body(t, track()))
	require.Equal(t, 200, status, text)
	require.Equal(t, 1, f.Total())
}
