package amplitude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer. The longest honest one names 2,000 users and 2,000 devices of
// 1,024 characters each.
const maxAnswer = 8 << 20

// Client uploads events to one Amplitude project. It is safe for concurrent use and holds nothing but idle
// connections. Printing it by any means shows the address and never the key.
type Client struct {
	url       string
	limits    Limits
	timeout   time.Duration
	transport http.RoundTripper
	public    Config // without the key
	// key is a function because fmt prints the unexported strings of a struct, but not what a function returns.
	key func() string
}

// New checks the configuration and returns a Client. It opens no connection.
func New(cfg Config) (*Client, error) {
	address, err := cfg.url()
	if err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport()
	}

	key := cfg.APIKey
	cfg.APIKey = ""
	return &Client{
		url:       address,
		limits:    cfg.API.Limits(),
		timeout:   cfg.Timeout,
		transport: cfg.Transport,
		public:    cfg,
		key:       func() string { return key },
	}, nil
}

// Limits are what one Upload may hold.
func (c *Client) Limits() Limits { return c.limits }

// CloseIdleConnections closes the connections that no upload is using.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Upload sends the events in one POST, in their order, and says what became of them. Every event must be one
// valid JSON object; it is sent byte for byte. Without events, or with more than Limits allows, nothing is sent.
//
// It returns when Amplitude has answered, when Config.Timeout is over, or when ctx ends, and it never sends the
// request twice. A ctx that ends after the request started to leave makes the Answer Ambiguous.
func (c *Client) Upload(ctx context.Context, events []json.RawMessage) Answer {
	start := time.Now()
	answer := c.upload(ctx, events)
	answer.Elapsed = time.Since(start)
	return answer
}

func (c *Client) upload(ctx context.Context, events []json.RawMessage) Answer {
	envelope := newEnvelope(c.key())
	size := envelope.size(events)
	switch {
	case len(events) == 0:
		return Answer{Verdict: Refused, Reason: "not sent: there are no events"}
	case len(events) > c.limits.MaxEvents:
		reason := fmt.Sprintf("not sent: %d events, at most %d fit in a request", len(events), c.limits.MaxEvents)
		return Answer{Verdict: TooLarge, Reason: reason, Bytes: size}
	case size > c.limits.MaxBytes:
		reason := fmt.Sprintf("not sent: %d bytes, at most %d fit in a request", size, c.limits.MaxBytes)
		return Answer{Verdict: TooLarge, Reason: reason, Bytes: size}
	case ctx.Err() != nil:
		return Answer{Verdict: Unavailable, Reason: "not sent: the caller had given up", Bytes: size}
	}

	body := envelope.compress(events)
	wireBytes := body.size()
	answer := c.post(ctx, body, len(events))
	answer.Bytes, answer.WireBytes = size, wireBytes

	scrub := newScrubber(c.key(), events)
	own := foreignPrefix(answer.Status)
	if rest, found := strings.CutPrefix(answer.Reason, own); found {
		answer.Reason = own + scrub.clean(rest)
	} else {
		answer.Reason = scrub.clean(answer.Reason)
	}
	for i, reason := range answer.Rejected {
		answer.Rejected[i] = scrub.clean(reason)
	}
	return answer
}

// post makes the one round trip. It talks to the transport directly, because an http.Client follows redirects.
func (c *Client) post(ctx context.Context, body *compressed, n int) Answer {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, timeoutError(c.timeout))
	defer cancel()

	var sent dispatch
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, sent.trace()), http.MethodPost, c.url, body)
	if err != nil {
		_ = body.Close()
		return Answer{Verdict: Unavailable, Reason: err.Error()}
	}
	// Without GetBody a transport cannot rewind the body, and so cannot repeat a request that has begun to leave.
	req.GetBody = nil
	req.ContentLength = int64(body.size())
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "waybill")

	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return sent.failure(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()

	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	var answer Answer
	if err != nil {
		answer = classifyCut(resp.StatusCode, failureReason(ctx, err))
	} else {
		answer = classify(resp.StatusCode, resp.Header, text, n)
	}
	answer.RetryAfter = retryAfter(resp.Header, time.Now())
	return answer
}

// timeoutError is the cause of a context that Config.Timeout ended.
type timeoutError time.Duration

func (t timeoutError) Error() string {
	return fmt.Sprintf("no complete answer within %v", time.Duration(t))
}

// failureReason says why a round trip failed: our deadline, the caller, or the network.
func failureReason(ctx context.Context, err error) string {
	var timeout timeoutError
	switch {
	case errors.As(context.Cause(ctx), &timeout):
		return timeout.Error()
	case ctx.Err() != nil:
		return "the caller gave up waiting for the answer"
	default:
		return err.Error()
	}
}

// String shows the API and the address. The key is not shown.
func (c *Client) String() string { return c.public.String() }

// GoString is String, so that %#v shows no more than %v.
func (c *Client) GoString() string { return c.public.String() }

// Format writes String for every verb.
func (c *Client) Format(s fmt.State, verb rune) { c.public.Format(s, verb) }

// LogValue makes a logged Client a group of API and endpoint.
func (c *Client) LogValue() slog.Value { return c.public.LogValue() }
