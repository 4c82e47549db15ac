package amplitude

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// dispatch watches how far a request got, to tell "certainly not accepted" from "perhaps accepted".
//
// The line is drawn where a connection is handed to the request. From there another goroutine writes, and
// neither the absence of a "headers written" event nor a write error proves that nothing went out.
// The zero value is ready to use for one request.
type dispatch struct {
	traced  atomic.Bool // the transport reports its steps
	handed  atomic.Bool // a connection is in use
	written atomic.Bool // headers were written; never taken back
}

func (d *dispatch) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		// A transport that asks for another connection has written nothing to the one before.
		GetConn:      func(string) { d.traced.Store(true); d.handed.Store(false) },
		GotConn:      func(httptrace.GotConnInfo) { d.handed.Store(true) },
		WroteHeaders: func() { d.written.Store(true) },
	}
}

// failure classifies a round trip that ended without an answer.
func (d *dispatch) failure(ctx context.Context, err error) Answer {
	if d.maybeSent(err) {
		return Answer{Verdict: Ambiguous, Reason: failureReason(ctx, err)}
	}
	return Answer{Verdict: Unavailable, Reason: failureReason(ctx, err)}
}

func (d *dispatch) maybeSent(err error) bool {
	if d.handed.Load() || d.written.Load() {
		return true
	}
	// A transport that is not net/http's may report no steps: then only an error that comes before a
	// connection exists proves that nothing left.
	return !d.traced.Load() && !beforeConnection(err)
}

// beforeConnection recognises the errors of resolving, dialling and checking the peer's certificate.
func beforeConnection(err error) bool {
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
	)
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	return errors.As(err, &dns) || errors.As(err, &certificate)
}
