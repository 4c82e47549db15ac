package amplitudetest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func ask(t *testing.T, f *Fake, path string, into any) int {
	t.Helper()
	a := serve(f, httptest.NewRequest(http.MethodGet, path, nil))
	require.NoError(t, json.Unmarshal([]byte(a.text), into), a.text)
	return a.status
}

func order(f *Fake, method, path, body string) answer {
	return serve(f, httptest.NewRequest(method, path, strings.NewReader(body)))
}

func TestQuestionsOverHTTP(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	batch(t, f, identify(object{"plan": "pro"}), track(object{"insert_id": "a", "event_properties": object{"n": 1}}),
		track(object{"event_type": "$groupidentify", "groups": object{"account": "acc"}, "group_properties": object{"$set": object{"n": 1}}}))
	batch(t, f, track(object{"insert_id": "a"}), track(object{"user_id": "usr_43", "event_type": "Signed_Up"}))

	var stats Stats
	require.Equal(t, 200, ask(t, f, "/_fake/stats", &stats))
	require.Equal(t, f.Stats(), stats)
	require.Equal(t, Stats{
		Requests: 2, Statuses: map[int]int{200: 2}, Faults: map[Kind]int{}, Received: 5, Accepted: 4, Counted: 2, Duplicates: 1,
		Users: 2, Groups: 1, EventTypes: map[string]int{"$identify": 1, "$groupidentify": 1, "Order_Completed": 1, "Signed_Up": 1},
		Projects: map[string]int{Project(key): 4}, EventsPerRequest: map[int]int{2: 1, 3: 1}, Bytes: stats.Bytes, WireBytes: stats.Bytes,
	}, stats)

	var events []Event
	ask(t, f, "/_fake/events", &events)
	require.Len(t, events, 4)
	ask(t, f, "/_fake/events?user=usr_42&type=Order_Completed&limit=1", &events)
	require.Len(t, events, 1)
	require.Equal(t, object{"n": 1.0}, events[0].EventProperties)
	require.Equal(t, object{"plan": "pro"}, events[0].UserProperties)
	ask(t, f, "/_fake/events?limit=1", &events)
	require.Equal(t, "Signed_Up", events[0].Type, "the newest")
	ask(t, f, "/_fake/events?user=nobody", &events)
	require.Empty(t, events)

	var user User
	require.Equal(t, 200, ask(t, f, "/_fake/user?id=usr_42", &user))
	require.Equal(t, object{"plan": "pro"}, user.Properties)
	require.Equal(t, 404, ask(t, f, "/_fake/user?id=nobody", &user))
	var group object
	require.Equal(t, 200, ask(t, f, "/_fake/group?type=account&id=acc", &group))
	require.Equal(t, object{"n": 1.0}, group)

	var arrivals Arrivals
	require.Equal(t, 200, ask(t, f, "/_fake/insert?id=a", &arrivals))
	require.Equal(t, Arrivals{Arrived: 2, Accepted: 1, Absorbed: 1}, arrivals)
	require.Equal(t, 404, ask(t, f, "/_fake/insert?id=b", &arrivals))
	var duplicates map[string]Arrivals
	ask(t, f, "/_fake/duplicates", &duplicates)
	require.Equal(t, f.Duplicated(), duplicates)
	var requests []Request
	ask(t, f, "/_fake/requests", &requests)
	require.Equal(t, f.Requests(), requests)
}

func TestFaultsOverHTTP(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	a := order(f, http.MethodPost, "/_fake/faults", `{"fault":{"kind":"429","retry_after":"3"},"times":1}`)
	require.Equal(t, 200, a.status, a.text)
	a = order(f, http.MethodPost, "/_fake/faults", `[{"fault":{"kind":"late","after":"1m30s","after_requests":9},"event_type":"Order_Completed","for":"1h","probability":1}]`)
	require.Equal(t, 200, a.status, a.text)
	require.Equal(t, Rule{
		Fault: Fault{Kind: StoredLate, After: 90 * time.Second, AfterRequests: 9}, EventType: "Order_Completed", For: time.Hour, Probability: 1,
	}, f.rules[1].Rule)
	require.Equal(t, 429, post(f, "/batch", body(t, track())).status)
	require.Equal(t, 504, post(f, "/batch", body(t, track())).status)
	require.Equal(t, 200, order(f, http.MethodPost, "/_fake/settle", "").status)
	require.Equal(t, 1, f.Total())
	require.Equal(t, 200, order(f, http.MethodDelete, "/_fake/faults", "").status)
	batch(t, f, track())

	for _, body := range []string{
		"", "{", `{"fault":{"kind":"teapot"}}`, `{"fault":{}}`, `{"fault":{"kind":"503"},"tmies":1}`, `{"fault":{"kind":"late","after":90}}`,
		`{"fault":{"kind":"503","extra":1}}`, `{"fault":{"kind":"503"},"for":"soon"}`,
	} {
		require.Equal(t, 400, order(f, http.MethodPost, "/_fake/faults", body).status, body)
	}
	require.Empty(t, f.rules, "a refused order changes nothing")
}

func TestCommandsOverHTTP(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	batch(t, f, track(object{"insert_id": "a"}))
	require.Equal(t, 200, order(f, http.MethodPost, "/_fake/clock", `{"advance":"168h"}`).status)
	batch(t, f, track(object{"insert_id": "a"}))
	require.Equal(t, 1, f.Stats().StoredTwice)
	require.Equal(t, 400, order(f, http.MethodPost, "/_fake/clock", `{"advance":168}`).status)
	require.Equal(t, 400, order(f, http.MethodPost, "/_fake/clock", ``).status)

	require.Equal(t, 200, order(f, http.MethodPost, "/_fake/block", `["Order_Completed"]`).status)
	batch(t, f, track())
	require.Equal(t, 1, f.Stats().Blocked)
	require.Equal(t, 200, order(f, http.MethodPost, "/_fake/silence", `["srv:usr_42"]`).status)
	require.Equal(t, 400, post(f, "/batch", body(t, track())).status)
	require.Equal(t, 400, order(f, http.MethodPost, "/_fake/silence", `"srv:usr_42"`).status)

	require.Equal(t, 200, order(f, http.MethodPost, "/_fake/reset", "").status)
	require.Equal(t, New(Config{}).Stats(), f.Stats())
	batch(t, f, track())
}

func TestPageShowsTheNumbersAndEscapesThem(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"event_type": "<script>alert(1)</script>"}))
	a := serve(f, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, 200, a.status)
	require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(t, a.text, "<b>1</b>events counted")
	require.NotContains(t, a.text, "<script>")
	require.NotContains(t, a.text, key)
	require.Equal(t, 404, serve(f, httptest.NewRequest(http.MethodGet, "/nothing", nil)).status)
}

func TestNothingShowsTheKey(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := New(Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	batch(t, f, track(object{"insert_id": "i"}))
	require.Contains(t, log.String(), `"status":200`)
	for _, path := range []string{"/", "/_fake/stats", "/_fake/events", "/_fake/requests", "/_fake/duplicates", "/_fake/user?id=usr_42"} {
		require.NotContains(t, serve(f, httptest.NewRequest(http.MethodGet, path, nil)).text, key, path)
	}
	require.NotContains(t, log.String(), key)
}

func TestCountsOnlyKeepsCountsAndIDs(t *testing.T) {
	t.Parallel()
	f := New(Config{CountsOnly: true})
	batch(t, f, identify(object{"plan": "pro"}), track(object{"insert_id": "a"}), track(object{"insert_id": "b"}))
	batch(t, f, track(object{"insert_id": "a"}))
	require.Equal(t, 2, f.Total())
	require.Equal(t, 2, f.CountByUser("usr_42"))
	require.Equal(t, 1, f.CountByType("$identify"))
	require.Equal(t, Arrivals{Arrived: 2, Accepted: 1, Absorbed: 1}, f.Arrivals("a"))
	require.Equal(t, [][]int{{2}}, series(read(f, orders+"&m=totals&start=20261122&end=20261122", "s")))
	require.Empty(t, f.Events(Filter{}))
	require.Empty(t, propertiesOf(t, f, "usr_42"))
}

func TestOldEventsAndRequestsMakeRoom(t *testing.T) {
	t.Parallel()
	f := New(Config{KeepEvents: 3, KeepRequests: 2})
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		batch(t, f, track(object{"insert_id": id}))
	}
	var ids []string
	for _, event := range f.Events(Filter{}) {
		ids = append(ids, event.InsertID)
	}
	require.Equal(t, []string{"c", "d", "e"}, ids)
	require.Equal(t, 2, f.Stats().Forgotten)
	require.Equal(t, 5, f.Total())
	require.Len(t, f.Requests(), 2)
	require.Equal(t, 5, f.Requests()[1].N)
	require.Equal(t, 1, f.Arrivals("a").Accepted, "insert_ids are not forgotten")
}

func TestFakeIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Inject(Rule{Fault: Fault{Kind: StoredLate}, Probability: 0.2})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 20 {
				post(f, "/batch", body(t, track(object{"insert_id": string(rune('a' + i))}), identify(object{"i": i})))
				_ = f.Stats()
				_ = f.Events(Filter{Limit: 3})
				_, _ = f.User("usr_42")
				_ = f.Duplicated()
			}
		})
	}
	group.Wait()
	f.Settle()
	require.Equal(t, 20, f.Total())
}
