package amplitudetest

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// read asks one of the APIs that want the secret key.
func read(f *Fake, path, secret string) answer {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if secret != "" {
		r.SetBasicAuth(key, secret)
	}
	return serve(f, r)
}

func series(a answer) (counts [][]int) {
	data, _ := a.json["data"].(map[string]any)
	list, _ := data["series"].([]any)
	for _, s := range list {
		counts = append(counts, integers(s))
	}
	return counts
}

const orders = `/api/2/events/segmentation?e=%7B%22event_type%22%3A%22Order_Completed%22%7D`

func TestBlockedEventTypesAreAnswered200AndAbsentEverywhere(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	f.Block("Order_Completed")
	a := post(f, "/batch", body(t, track(object{"insert_id": "i"}), track(object{"event_type": "Other"})))
	require.Equal(t, 200, a.status)
	require.EqualValues(t, 2, a.json["events_ingested"])
	require.Equal(t, 1, f.Total())
	require.Equal(t, 1, f.Stats().Blocked)
	require.Empty(t, f.Events(Filter{Type: "Order_Completed"}))
	require.Equal(t, [][]int{{0}}, series(read(f, orders+"&m=totals&start=20261122&end=20261122", "s")))
	clock.advance(4 * time.Hour)
	require.NotContains(t, exported(t, f, "20261122T10", "20261122T10"), "i")
}

func TestSegmentationCountsByDayOfTheProjectsTimeZone(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now, TimeZone: time.FixedZone("", 2*60*60)})
	at := func(text, user, id string) object {
		when, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return track(object{"time": when.UnixMilli(), "user_id": user, "insert_id": id})
	}
	batch(t, f,
		at("2026-11-20T21:59:59Z", "usr_1", "a"), // 20th
		at("2026-11-20T22:00:00Z", "usr_1", "b"), // 21st, there
		at("2026-11-21T12:00:00Z", "usr_1", "c"),
		at("2026-11-21T12:00:00Z", "usr_2", "d"),
		at("2026-11-21T12:00:00Z", "usr_2", "d"), // a duplicate
		at("2026-11-22T22:00:00Z", "usr_2", "e"), // 23rd
		identify(object{"a": 1}))

	a := read(f, orders+"&m=totals&start=20261120&end=20261123&i=1", "s")
	require.Equal(t, 200, a.status, a.text)
	require.Equal(t, object{"data": object{
		"series":          []any{[]any{1.0, 3.0, 0.0, 1.0}},
		"seriesLabels":    []any{"Order_Completed"},
		"seriesCollapsed": []any{[]any{object{"value": 5.0}}},
		"xValues":         []any{"2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"},
	}}, a.json)
	require.Equal(t, [][]int{{1, 2, 0, 1}}, series(read(f, orders+"&start=20261120&end=20261123", "s")), "uniques by default")

	two := read(f, orders+"&e2=%7B%22event_type%22%3A%22Nothing%22%7D&m=totals&start=20261121&end=20261121", "s")
	require.Equal(t, [][]int{{3}, {0}}, series(two))
}

func TestSegmentationWantsTheSecretKey(t *testing.T) {
	t.Parallel()
	f := New(Config{APIKeys: []string{key}, SecretKey: "secret"})
	const query = orders + "&m=totals&start=20261120&end=20261120"
	require.Equal(t, 200, read(f, query, "secret").status)
	require.Equal(t, 401, read(f, query, "wrong").status)
	require.Equal(t, 401, read(f, query, "").status)
	require.Equal(t, 401, read(New(Config{APIKeys: []string{"other"}}), query, "secret").status)
}

func TestSegmentationRefusesWhatItWouldHaveToIgnore(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	for _, query := range []string{
		"&start=20261120", "&end=20261120", "&start=2026-11-20&end=20261120", "&start=20261121&end=20261120",
		"&start=20251120&end=20261120", "&start=20261120&end=20261120&m=pct_dau", "&start=20261120&end=20261120&i=7",
		"&start=20261120&end=20261120&s=x", "&start=20261120&end=20261120&e=x", "&start=20261120&end=20261120&e2=x",
		`&start=20261120&end=20261120&e2={"event_type":"_all"}`, `&start=20261120&end=20261120&e2={"event_type":"a","filters":[]}`,
	} {
		require.Equal(t, 400, read(f, orders+query, "s").status, query)
	}
	require.Equal(t, 400, read(New(Config{CountsOnly: true}), orders+"&start=20261120&end=20261120", "s").status)
}

func TestSegmentationCosts(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	const month = orders + "&m=totals&start=20261101&end=20261130"
	for range 33 {
		require.Equal(t, 200, read(f, month, "s").status)
	}
	a := read(f, month, "s")
	require.Equal(t, 429, a.status, "34 times 30 days is more than 1,000")
	require.Contains(t, a.text, "cost")
	clock.advance(5 * time.Minute)
	require.Equal(t, 200, read(f, month, "s").status)

	var budget queryBudget
	for range 108 {
		budget.fiveMinutes = window{}
		require.True(t, budget.spend(1_000, clock.now()))
	}
	budget.fiveMinutes = window{}
	require.False(t, budget.spend(1, clock.now()), "108,000 within the hour")
	clock.advance(time.Hour)
	require.True(t, budget.spend(1, clock.now()))
}

// exported are the lines of the export by their $insert_id, none when it answers 404.
func exported(t *testing.T, f *Fake, from, to string) map[string]object {
	t.Helper()
	a := read(f, "/api/2/export?start="+from+"&end="+to, "s")
	lines := make(map[string]object)
	if a.status == http.StatusNotFound {
		return lines
	}
	require.Equal(t, 200, a.status, a.text)
	archive, err := zip.NewReader(bytes.NewReader([]byte(a.text)), int64(len(a.text)))
	require.NoError(t, err)
	for _, file := range archive.File {
		r, err := file.Open()
		require.NoError(t, err)
		z, err := gzip.NewReader(r)
		require.NoError(t, err)
		text, err := io.ReadAll(z)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			var event object
			require.NoError(t, json.Unmarshal([]byte(line), &event))
			lines[fmt.Sprint(event["$insert_id"])] = event
		}
	}
	return lines
}

func TestExportIsByHourOfReceiptAndTwoHoursLate(t *testing.T) {
	t.Parallel()
	clock := newClock() // 10:00
	f := New(Config{Now: clock.now})
	batch(t, f, identify(object{"plan": "pro"}, object{"insert_id": "identify"}),
		track(object{"insert_id": "ten", "time": clock.now().Add(-5 * day).UnixMilli(), "groups": object{"account": "a"}}))
	clock.advance(90 * time.Minute)
	batch(t, f, track(object{"insert_id": "half past eleven"}))

	clock.advance(89 * time.Minute)
	require.Empty(t, exported(t, f, "20261122T00", "20261122T23"), "12:59")
	clock.advance(time.Minute)
	all := exported(t, f, "20261122T00", "20261122T23")
	require.Len(t, all, 1, "13:00")
	event := all["ten"]
	require.Equal(t, "2026-11-17 10:00:00.000000", event["event_time"])
	require.Equal(t, "2026-11-22 10:00:00.000000", event["server_upload_time"])
	require.Equal(t, object{"plan": "pro"}, event["user_properties"])
	require.Equal(t, object{"account": []any{"a"}}, event["groups"])

	clock.advance(time.Hour)
	require.Len(t, exported(t, f, "20261122T00", "20261122T23"), 2)
	require.Len(t, exported(t, f, "20261122T11", "20261122T11"), 1)
	require.Equal(t, 404, read(f, "/api/2/export?start=20261101T00&end=20261102T00", "s").status)
	require.Equal(t, 400, read(f, "/api/2/export?start=20261101&end=20261102", "s").status)
	require.Equal(t, 401, read(f, "/api/2/export?start=20261101T00&end=20261102T00", "").status)
}

func TestEventAfterDeletionMakesANewUser(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	remove := func(text string) answer {
		r := httptest.NewRequest(http.MethodPost, "/api/2/deletions/users", strings.NewReader(text))
		r.SetBasicAuth(key, "s")
		return serve(f, r)
	}
	batch(t, f, identify(object{"plan": "pro"}), track(), track(object{"user_id": "usr_43", "device_id": "d"}))
	before, _ := f.User("usr_42")

	a := remove(`{"user_ids":["usr_42"],"requester":"jobs"}`)
	require.Equal(t, 200, a.status, a.text)
	require.Contains(t, a.text, fmt.Sprintf(`"amplitude_ids":[%d]`, before.AmplitudeID))
	_, known := f.User("usr_42")
	require.False(t, known)
	require.Len(t, f.Events(Filter{}), 1)
	const totals = "&m=totals&start=20261122&end=20261122"
	require.Equal(t, [][]int{{1}}, series(read(f, orders+totals, "s")), "charts forget the events")
	identifies := strings.Replace(orders, "Order_Completed", "$identify", 1)
	require.Equal(t, [][]int{{0}}, series(read(f, identifies+totals, "s")))

	batch(t, f, track(object{"user_id": nil}))
	_, known = f.User("usr_42")
	require.False(t, known, "the device has forgotten its user as well")

	batch(t, f, track())
	after, _ := f.User("usr_42")
	require.NotEqual(t, before.AmplitudeID, after.AmplitudeID)
	require.Empty(t, after.Properties)
	require.Equal(t, 1, after.Events)

	require.Equal(t, 400, remove(`{"user_ids":["nobody"]}`).status)
	require.Equal(t, 200, remove(`{"user_ids":["nobody"],"ignore_invalid_id":"true"}`).status)
	require.Equal(t, 400, remove(`{"user_ids":[]}`).status)
	require.Equal(t, 400, remove(`{"users":["usr_42"]}`).status)
	require.Equal(t, 401, postForm(t, f, "/api/2/deletions/users", key, nil).status)
}
