package amplitude

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// listen runs a raw TCP server: handle owns each connection and its number, from 1.
func listen(t *testing.T, handle func(n int, conn net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			handle(n, conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}

func readRequest(conn net.Conn, r *bufio.Reader) error {
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	request, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, request.Body)
	return err
}

// nobodyListens is an address below those that the system hands out, so that no parallel test can get it.
const nobodyListens = "127.0.0.1:1"

func TestRefusedConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	answer := newClient(t, Config{Endpoint: "http://" + nobodyListens}).Upload(t.Context(), oneEvent)
	require.Equal(t, Unavailable, answer.Verdict)
	require.Zero(t, answer.Status)
	require.Contains(t, answer.Reason, "connection refused")
	require.False(t, answer.MaybeAccepted())
}

func TestFailedTLSHandshakeIsUnavailable(t *testing.T) {
	t.Parallel()
	start := func(config *tls.Config) string {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Error("no request may arrive")
		}))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = config
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	for name, url := range map[string]string{
		"unknown authority": start(nil),
		"TLS 1.1":           start(&tls.Config{MaxVersion: tls.VersionTLS11}),
		"no TLS":            strings.Replace(listen(t, func(_ int, conn net.Conn) { _, _ = io.WriteString(conn, "220 mail\r\n") }), "http", "https", 1),
	} {
		answer := newClient(t, Config{Endpoint: url}).Upload(t.Context(), oneEvent)
		require.Equal(t, Unavailable, answer.Verdict, "%s: %s", name, answer.Reason)
		require.NotEmpty(t, answer.Reason)
	}
}

func TestDialThatNeverEndsIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		answer := newClient(t, Config{Endpoint: "http://127.0.0.1", Transport: transport}).Upload(t.Context(), oneEvent)
		require.Equal(t, Unavailable, answer.Verdict)
		require.Equal(t, 30*time.Second, answer.Elapsed)
		require.Equal(t, "no complete answer within 30s", answer.Reason)
	})
}

func TestWaitForAConnectionThatNeverComesFreeIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := inMemory(t, neverAnswer)
		transport.MaxConnsPerHost = 1
		client := newClient(t, Config{Endpoint: "http://127.0.0.1", Transport: transport})

		first, cancel := context.WithCancel(t.Context())
		occupied := make(chan Answer)
		go func() { occupied <- client.Upload(first, oneEvent) }()
		synctest.Wait()

		second, cancelSecond := context.WithTimeout(t.Context(), time.Second)
		defer cancelSecond()
		require.Equal(t, Unavailable, client.Upload(second, oneEvent).Verdict)
		cancel()
		require.Equal(t, Ambiguous, (<-occupied).Verdict)
	})
}

func TestResetWithoutAnAnswerIsAmbiguous(t *testing.T) {
	t.Parallel()
	reset := func(conn net.Conn) {
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
	servers := map[string]func(int, net.Conn){
		"after the whole request": func(_ int, conn net.Conn) {
			_ = readRequest(conn, bufio.NewReader(conn))
			reset(conn)
		},
		"after the first byte": func(_ int, conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1))
			reset(conn)
		},
		"before reading anything": func(int, net.Conn) {},
		"in the middle of the answer": func(_ int, conn net.Conn) {
			_ = readRequest(conn, bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"code\":2")
		},
		"in the middle of the status": func(_ int, conn net.Conn) {
			_ = readRequest(conn, bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 20")
		},
	}
	for name, handle := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := newClient(t, Config{Endpoint: listen(t, handle)}).Upload(t.Context(), oneEvent)
			require.Equal(t, Ambiguous, answer.Verdict, answer.Reason)
			require.True(t, answer.MaybeAccepted())
			require.NotEmpty(t, answer.Reason)
		})
	}
}

// TestReusedConnectionThatBreaksNeverSendsTwice is about net/http's habit of repeating a request when a kept-alive
// connection turns out dead: the server reads the second request whole and closes, and must not see it again.
func TestReusedConnectionThatBreaksNeverSendsTwice(t *testing.T) {
	t.Parallel()
	var requests, connections atomic.Int32
	url := listen(t, func(_ int, conn net.Conn) {
		connections.Add(1)
		for r := bufio.NewReader(conn); readRequest(conn, r) == nil; {
			if requests.Add(1) == 2 {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+"12\r\n\r\n"+`{"code":200}`)
		}
	})
	client := newClient(t, Config{Endpoint: url})

	require.Equal(t, Delivered, client.Upload(t.Context(), oneEvent).Verdict)
	answer := client.Upload(t.Context(), oneEvent)
	require.Equal(t, Ambiguous, answer.Verdict, answer.Reason)
	require.EqualValues(t, 2, requests.Load(), "the second request arrived once")
	require.EqualValues(t, 1, connections.Load(), "on the connection of the first")

	require.Equal(t, Delivered, client.Upload(t.Context(), oneEvent).Verdict)
}

func TestCallerWhoGivesUp(t *testing.T) {
	t.Parallel()
	t.Run("before the request is not sent", func(t *testing.T) {
		t.Parallel()
		url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing may be sent") })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		answer := newClient(t, Config{Endpoint: url}).Upload(ctx, oneEvent)
		require.Equal(t, Unavailable, answer.Verdict)
		require.Equal(t, "not sent: the caller had given up", answer.Reason)
	})
	t.Run("after bytes went out leaves doubt", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			cancel()
			neverAnswer(w, r)
		})
		answer := newClient(t, Config{Endpoint: url}).Upload(ctx, oneEvent)
		require.Equal(t, Ambiguous, answer.Verdict)
		require.Equal(t, "the caller gave up waiting for the answer", answer.Reason)
	})
	t.Run("by a deadline shorter than the client's", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			transport := inMemory(t, neverAnswer)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			answer := newClient(t, Config{Endpoint: "http://127.0.0.1", Transport: transport}).Upload(ctx, oneEvent)
			require.Equal(t, Ambiguous, answer.Verdict)
			require.Equal(t, time.Second, answer.Elapsed)
		})
	})
}

func TestDoubtBeginsWhereAConnectionIsHandedOver(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		steps string
		want  bool
	}{
		"waiting for a connection":               {"get", false},
		"connected, headers not seen to go":      {"get got", true},
		"headers gone":                           {"get got wrote", true},
		"another connection, nothing written":    {"get got get", false},
		"another connection, after bytes":        {"get got wrote get", true},
		"a second connection, handed over again": {"get got get got", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d dispatch
			trace := d.trace()
			steps := map[string]func(){
				"get":   func() { trace.GetConn("127.0.0.1:443") },
				"got":   func() { trace.GotConn(httptrace.GotConnInfo{}) },
				"wrote": trace.WroteHeaders,
			}
			for step := range strings.FieldsSeq(c.steps) {
				steps[step]()
			}
			require.Equal(t, c.want, d.maybeSent(io.ErrUnexpectedEOF))
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTransportThatReportsNothing covers transports other than net/http's: without their word for it only an error
// that precedes every connection is harmless.
func TestTransportThatReportsNothing(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err  error
		want Verdict
	}{
		"dns":         {&net.DNSError{Err: "no such host", Name: "api2.amplitude.com", IsNotFound: true}, Unavailable},
		"dial":        {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, Unavailable},
		"certificate": {&tls.CertificateVerificationError{Err: errors.New("expired")}, Unavailable},
		"read":        {&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, Ambiguous},
		"write":       {&net.OpError{Op: "write", Err: errors.New("broken pipe")}, Ambiguous},
		"eof":         {io.ErrUnexpectedEOF, Ambiguous},
		"unknown":     {errors.New("something"), Ambiguous},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				_ = r.Body.Close()
				return nil, c.err
			})
			answer := newClient(t, Config{Endpoint: "https://api2.amplitude.com", Transport: transport}).Upload(t.Context(), oneEvent)
			require.Equal(t, c.want, answer.Verdict)
			require.Equal(t, c.err.Error(), answer.Reason)
		})
	}
}

// TestTransportThatRepeatsOnItsOwn shows that a dial which fails later does not clear the doubt of bytes sent earlier.
func TestTransportThatRepeatsOnItsOwn(t *testing.T) {
	t.Parallel()
	url := listen(t, func(_ int, conn net.Conn) { _ = readRequest(conn, bufio.NewReader(conn)) })
	inner := newTransport()
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		if _, err := inner.RoundTrip(r); err == nil {
			return nil, errors.New("the first try was meant to fail")
		}
		inner.CloseIdleConnections()
		again := r.Clone(r.Context())
		again.URL.Host = nobodyListens
		again.Body, again.ContentLength = nil, 0
		return inner.RoundTrip(again)
	})
	answer := newClient(t, Config{Endpoint: url, Transport: transport}).Upload(t.Context(), oneEvent)
	require.Contains(t, answer.Reason, "connection refused")
	require.Equal(t, Ambiguous, answer.Verdict)
}
