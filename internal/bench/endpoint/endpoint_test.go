package endpoint

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func upload(t *testing.T, s *Server, body string, zipped bool) *httptest.ResponseRecorder {
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
	server := httptest.NewServer(New(0))
	defer server.Close()
	client := Client{server.URL}
	for range 2 {
		require.Equal(t, http.StatusOK, upload(t, server.Config.Handler.(*Server), good, true).Code)
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

func TestRefusesWhatAmplitudeWouldNotTake(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"not JSON":     `{"api_key":"k","events":[`,
		"no key":       `{"events":[{"event_type":"A","device_id":"d","insert_id":"i"}]}`,
		"no events":    `{"api_key":"k","events":[]}`,
		"no insert_id": `{"api_key":"k","events":[{"event_type":"A","device_id":"d"}]}`,
		"no device":    `{"api_key":"k","events":[{"event_type":"A","insert_id":"i"}]}`,
	} {
		s := New(0)
		require.Equal(t, http.StatusBadRequest, upload(t, s, body, true).Code, name)
		require.Equal(t, Counts{Malformed: 1}, s.counts, name)
	}
	require.Equal(t, http.StatusBadRequest, upload(t, New(0), good, false).Code, "not compressed")
}

func TestAnswersAfterItsLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		require.Equal(t, http.StatusOK, upload(t, New(50*time.Millisecond), good, true).Code)
		require.Equal(t, 50*time.Millisecond, time.Since(begin))
	})
}
