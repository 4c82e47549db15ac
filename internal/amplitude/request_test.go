package amplitude

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func gunzip(tb testing.TB, r io.Reader) string {
	tb.Helper()
	z, err := gzip.NewReader(r)
	require.NoError(tb, err)
	text, err := io.ReadAll(z)
	require.NoError(tb, err)
	return string(text)
}

func TestBodyIsTheEventsByteForByte(t *testing.T) {
	t.Parallel()
	events := []json.RawMessage{[]byte(`{"b": 1.0, "a":"<\u00e9>"}`), []byte(`{"event_type":"$identify"}`)}
	envelope := newEnvelope(`k"ey`)
	body := envelope.compress(events)
	require.Positive(t, body.size())

	want := `{"api_key":"k\"ey","events":[{"b": 1.0, "a":"<\u00e9>"},{"event_type":"$identify"}],"options":{"min_id_length":1}}`
	require.Equal(t, want, gunzip(t, body))
	require.Equal(t, len(want), envelope.size(events))
	require.Equal(t, len(`{"api_key":"k\"ey","events":[],"options":{"min_id_length":1}}`), envelope.size(nil))
}

func TestClosedBodyCannotBeRead(t *testing.T) {
	t.Parallel()
	body := newEnvelope("k").compress([]json.RawMessage{[]byte(`{}`)})
	require.NoError(t, body.Close())
	require.NoError(t, body.Close(), "a transport may close twice")

	n, err := body.Read(make([]byte, 10))
	require.Zero(t, n)
	require.ErrorIs(t, err, errBodyClosed)
}

// TestBuffersAreNeverSharedByTwoRequests compresses from many goroutines while others read and close, as a transport
// that was interrupted does. Run with -race it also shows that Read and Close may meet.
func TestBuffersAreNeverSharedByTwoRequests(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 50 {
				event := fmt.Appendf(nil, `{"worker":%d,"i":%d,"fill":"%s"}`, worker, i, bytes.Repeat([]byte("x"), i*10))
				body := newEnvelope("k").compress([]json.RawMessage{event})

				interrupted := newEnvelope("k").compress([]json.RawMessage{event})
				read := make(chan struct{})
				go func() {
					_, _ = io.Copy(io.Discard, io.LimitReader(interrupted, 20))
					close(read)
				}()
				_ = interrupted.Close()

				if got := gunzip(t, body); !bytes.Contains([]byte(got), event) {
					t.Errorf("worker %d, request %d: the body holds something else: %s", worker, i, got)
				}
				_ = body.Close()
				<-read
			}
		})
	}
	group.Wait()
}
