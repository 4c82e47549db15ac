package amplitude

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const success = `{"code":200,"events_ingested":1,"payload_size_bytes":50,"server_upload_time":1396381378123}`

var oneEvent = []json.RawMessage{[]byte(`{"event_type":"Order_Completed","user_id":"usr_42","insert_id":"i:1:track"}`)}

// serve answers every request with the handler, on this machine.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// newClient is a Client that the test closes. A config without an endpoint gets a key as well.
func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.APIKey == "" {
		cfg.APIKey = testKey
	}
	client, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func TestUploadSendsOneCompressedRequest(t *testing.T) {
	t.Parallel()
	for _, api := range []API{Batch, HTTP} {
		t.Run(api.String(), func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				body := gunzip(t, r.Body)
				header := r.Header.Clone()
				header.Del("Content-Length")
				if r.Method != http.MethodPost || r.URL.Path != api.Path() || r.URL.RawQuery != "" ||
					body != `{"api_key":"`+testKey+`","events":[`+string(oneEvent[0])+`],"options":{"min_id_length":1}}` {
					t.Errorf("unexpected request: %s %s %s", r.Method, r.URL, body)
				}
				if r.ContentLength <= 0 || len(header) != 4 || header.Get("Content-Type") != "application/json" ||
					header.Get("Content-Encoding") != "gzip" || header.Get("Accept") != "application/json" ||
					header.Get("User-Agent") != "waybill" {
					t.Errorf("unexpected header: %v", r.Header)
				}
				_, _ = io.WriteString(w, success)
			})

			answer := newClient(t, Config{Endpoint: url, API: api}).Upload(t.Context(), oneEvent)
			require.Equal(t, Delivered, answer.Verdict)
			require.Equal(t, 200, answer.Status)
			require.Empty(t, answer.Reason)
			require.Equal(t, newEnvelope(testKey).size(oneEvent), answer.Bytes)
			require.Positive(t, answer.WireBytes)
			require.Positive(t, answer.Elapsed)
			require.EqualValues(t, 1, requests.Load())
		})
	}
}

func TestUploadOverTheLimitsIsNotSent(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing may be sent") })
	client := newClient(t, Config{Endpoint: url, API: HTTP})

	many := make([]json.RawMessage, 2_001)
	for i := range many {
		many[i] = []byte(`{}`)
	}
	answer := client.Upload(t.Context(), many)
	require.Equal(t, TooLarge, answer.Verdict)
	require.Equal(t, "not sent: 2001 events, at most 2000 fit in a request", answer.Reason)

	big := []json.RawMessage{[]byte(`{"a":"` + strings.Repeat("x", 1_000_000) + `"}`)}
	answer = client.Upload(t.Context(), big)
	require.Equal(t, TooLarge, answer.Verdict)
	require.Zero(t, answer.Status)
	require.Zero(t, answer.WireBytes)
	require.Greater(t, answer.Bytes, 1_000_000)

	answer = client.Upload(t.Context(), nil)
	require.Equal(t, Refused, answer.Verdict)
	require.False(t, answer.MaybeAccepted())
}

func TestUploadAtTheLimitsIsSent(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, success) })
	client := newClient(t, Config{Endpoint: url, API: HTTP})

	many := make([]json.RawMessage, 2_000)
	for i := range many {
		many[i] = []byte(`{}`)
	}
	require.Equal(t, Delivered, client.Upload(t.Context(), many).Verdict)

	fill := 1_000_000 - newEnvelope(testKey).size([]json.RawMessage{[]byte(`""`)})
	exact := []json.RawMessage{[]byte(`"` + strings.Repeat("x", fill) + `"`)}
	answer := client.Upload(t.Context(), exact)
	require.Equal(t, Delivered, answer.Verdict)
	require.Equal(t, 1_000_000, answer.Bytes)
}

func TestUploadFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the key went to another address") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, status) })
		answer := newClient(t, Config{Endpoint: url}).Upload(t.Context(), oneEvent)
		require.Equal(t, WrongEndpoint, answer.Verdict)
		require.Equal(t, status, answer.Status)
		require.True(t, answer.MaybeAccepted())
	}
}

func TestUploadReportsWhatTheAnswerNames(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"code":400,"error":"Invalid value usr_42","events_with_invalid_fields":{"usr_42":[0]}}`)
	})
	answer := newClient(t, Config{Endpoint: url}).Upload(t.Context(), oneEvent)
	require.Equal(t, Rejected, answer.Verdict)
	require.Equal(t, "Invalid value [removed]", answer.Reason)
	require.Equal(t, map[int]string{0: "[removed]: invalid field"}, answer.Rejected)
	require.Equal(t, 17*time.Second, answer.RetryAfter)
}

func TestUploadReadsABoundedAnswer(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := strings.Repeat(" ", 1<<20)
		_, _ = io.WriteString(w, `{"code":200,"pad":"`)
		for range 2 * maxAnswer >> 20 {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, `"}`)
	})
	answer := newClient(t, Config{Endpoint: url}).Upload(t.Context(), oneEvent)
	require.Equal(t, WrongEndpoint, answer.Verdict, "half a JSON object is not Amplitude's")
}

// inMemory is a server reachable only through the returned transport, so that a synctest bubble can own its time.
func inMemory(t *testing.T, handler http.HandlerFunc) *http.Transport {
	t.Helper()
	listener := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case listener.conns <- server:
			return client, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return transport
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// neverAnswer reads the request, without which a server does not notice that its client has left.
func neverAnswer(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestUploadEndsWhenTheAnswerNeverStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := inMemory(t, neverAnswer)
		answer := newClient(t, Config{Endpoint: "http://127.0.0.1", Transport: transport}).Upload(t.Context(), oneEvent)
		require.Equal(t, Ambiguous, answer.Verdict)
		require.Equal(t, "no complete answer within 30s", answer.Reason)
		require.Equal(t, 30*time.Second, answer.Elapsed, "the default timeout")
	})
}

func TestUploadEndsWhenTheAnswerTrickles(t *testing.T) {
	t.Parallel()
	cases := map[int]Verdict{200: Ambiguous, 400: Unavailable, 429: Unavailable, 500: Ambiguous, 503: Unavailable}
	for status, want := range cases {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				transport := inMemory(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					w.WriteHeader(status)
					for ticker := time.NewTicker(time.Second); ; {
						_, _ = io.WriteString(w, " ")
						_ = http.NewResponseController(w).Flush()
						select {
						case <-ticker.C:
						case <-r.Context().Done():
							ticker.Stop()
							return
						}
					}
				})
				cfg := Config{Endpoint: "http://127.0.0.1", Transport: transport, Timeout: 7 * time.Second}
				answer := newClient(t, cfg).Upload(t.Context(), oneEvent)
				require.Equal(t, want, answer.Verdict)
				require.Equal(t, status, answer.Status)
				require.Equal(t, "the answer broke off: no complete answer within 7s", answer.Reason)
				require.Equal(t, 7*time.Second, answer.Elapsed)
			})
		})
	}
}
