package ops

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"waybill/internal/settings"
)

// endpointTimeout bounds the look at Amplitude's address.
const endpointTimeout = 5 * time.Second

// checkEndpoint connects to where a worker would send, as far as TLS, and says nothing.
func (e *examination) checkEndpoint(ctx context.Context) ([]Finding, error) {
	if e.Decision.Mode != settings.ModeDeliver {
		return ok("not needed in mode %s", e.Decision.Mode), nil
	}
	base, err := url.Parse(e.Decision.Endpoint)
	if err != nil {
		return nil, errors.New("the endpoint is not a URL")
	}
	target, proxied := base, ""
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base}); err == nil && proxy != nil {
		target, proxied = proxy, ", through the proxy of this environment"
	}
	ctx, cancel := context.WithTimeout(ctx, endpointTimeout)
	defer cancel()
	if err := e.greet(ctx, target); err != nil {
		return fail("check DNS, the firewall and HTTPS_PROXY on this host, and AMPLITUDE_ENDPOINT",
			"%s cannot be reached: %s", target.Host, greetProblem(err)), nil
	}
	return ok("%s can be reached%s", target.Host, proxied), nil
}

func (e *examination) greet(ctx context.Context, target *url.URL) error {
	port := target.Port()
	switch {
	case port != "":
	case target.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	conn, err := e.Dial(ctx, "tcp", net.JoinHostPort(target.Hostname(), port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing was written
	if target.Scheme != "https" {
		return nil
	}
	secured := tls.Client(conn, &tls.Config{ServerName: target.Hostname(), MinVersion: tls.VersionTLS12})
	return secured.HandshakeContext(ctx)
}

func greetProblem(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + span(endpointTimeout)
	}
	return err.Error()
}
