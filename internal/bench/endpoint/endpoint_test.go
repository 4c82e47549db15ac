package endpoint

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func send(t *testing.T, s *Server, body string, zipped bool) *httptest.ResponseRecorder {
	t.Helper()
	var b bytes.Buffer
	if zipped {
		w := gzip.NewWriter(&b)
		_, err := w.Write([]byte(body))
		require.NoError(t, err)
		require.NoError(t, w.Close())
	} else {
		b.WriteString(body)
	}
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/batch", &b))
	return answer
}

const good = `{"api_key":"k","events":[
	{"event_type":"$groupidentify","device_id":"d","insert_id":"i:1:group:account"},
	{"event_type":"A","device_id":"d","insert_id":"i:1:track"}]}`

func TestCountsEventsAndRepeats(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(New(Behaviour{}))
	defer server.Close()
	client := Client{server.URL}
	for range 2 {
		require.Equal(t, http.StatusOK, send(t, server.Config.Handler.(*Server), good, true).Code)
	}
	counts, err := client.Counts(t.Context())
	require.NoError(t, err)
	require.Equal(t, Counts{Requests: 2, Events: 4, Tracks: 2, Distinct: 2, Bytes: 2 * len(good)}, counts)

	arrivals, err := client.Arrivals(t.Context())
	require.NoError(t, err)
	require.Len(t, arrivals, 2, "only the first time")
	require.Equal(t, "i:1:track", arrivals[1].InsertID)

	require.NoError(t, client.Reset(t.Context()))
	counts, err = client.Counts(t.Context())
	require.NoError(t, err)
	require.Zero(t, counts)
}

func counts(t *testing.T, s *Server) (c Counts) {
	t.Helper()
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/counts", nil))
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &c))
	return c
}

func TestCountsWhatAmplitudeWouldNotTake(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"not JSON":     `{"api_key":"k","events":[`,
		"no key":       `{"events":[{"event_type":"A","device_id":"d","insert_id":"i"}]}`,
		"no events":    `{"api_key":"k","events":[]}`,
		"no insert_id": `{"api_key":"k","events":[{"event_type":"A","device_id":"d"}]}`,
		"no device":    `{"api_key":"k","events":[{"event_type":"A","insert_id":"i"}]}`,
	} {
		s := New(Behaviour{})
		send(t, s, body, true)
		require.Equal(t, Counts{Malformed: 1}, counts(t, s), name)
	}
	s := New(Behaviour{})
	send(t, s, good, false)
	require.Equal(t, Counts{Malformed: 1}, counts(t, s), "not compressed")
}

func TestRefusesTheSameBundlesEachTimeAndNamesThem(t *testing.T) {
	t.Parallel()
	s := New(Behaviour{Refuse: 20})
	var refused int
	for i := range 500 {
		id := fmt.Sprintf("i:order:%d:track", i)
		body := fmt.Sprintf(`{"api_key":"k","events":[{"event_type":"$identify","device_id":"d","insert_id":"i:order:%d:identify"},
			{"event_type":"A","device_id":"d","insert_id":%q}]}`, i, id)
		first, second := send(t, s, body, true), send(t, s, body, true)
		require.Equal(t, first.Code, second.Code)
		require.Equal(t, Refuses(id, 20), first.Code == http.StatusBadRequest)
		if first.Code == http.StatusBadRequest {
			refused++
			require.Contains(t, first.Body.String(), `"events_with_invalid_fields":{"event_properties":[1]}`)
		}
	}
	require.InDelta(t, 100, refused, 40)
	require.Equal(t, 2*refused, counts(t, s).Turned)
	require.Equal(t, 2*(500-refused), counts(t, s).Requests)
}

func TestTurnsEverythingAwayWhileDown(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(New(Behaviour{}))
	defer server.Close()
	client, s := Client{server.URL}, server.Config.Handler.(*Server)
	require.NoError(t, client.Behave(t.Context(), Behaviour{Down: true}))
	require.Equal(t, http.StatusServiceUnavailable, send(t, s, good, true).Code)
	require.NoError(t, client.Behave(t.Context(), Behaviour{}))
	require.Equal(t, http.StatusOK, send(t, s, good, true).Code)
	require.Equal(t, Counts{Requests: 1, Events: 2, Tracks: 1, Distinct: 2, Bytes: len(good), Turned: 1}, counts(t, s))
}

func TestAnswersAfterItsLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		require.Equal(t, http.StatusOK, send(t, New(Behaviour{Latency: 50 * time.Millisecond}), good, true).Code)
		require.Equal(t, 50*time.Millisecond, time.Since(begin))
	})
}
