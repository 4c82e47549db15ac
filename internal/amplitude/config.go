package amplitude

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const defaultTimeout = 30 * time.Second

// Config is what New needs. Printing or logging it shows the address and never the key. In another struct keep it
// in an exported field or behind a pointer: fmt cannot call the methods of a value in an unexported field.
type Config struct {
	// APIKey is the project's ingestion key. Required.
	APIKey string `json:"-"`
	// Endpoint is the base URL, as BaseURL gives it. Required. Plain http is refused unless the host is
	// loopback: the key travels in the body.
	Endpoint string
	// API is the ingestion API below Endpoint.
	API API
	// Transport makes the connections. Nil gives each Client its own: HTTP/1.1, TLS 1.2 or newer, proxies
	// from the environment, few idle connections. Redirects are never followed, whatever the transport.
	Transport http.RoundTripper
	// Timeout bounds a whole request, from the dial to the last byte of the answer. 0 means 30 seconds.
	Timeout time.Duration
}

// url checks the configuration and returns the address to post to.
func (c Config) url() (string, error) {
	switch {
	case c.APIKey == "":
		return "", errors.New("amplitude: the API key is empty: set it to the project's ingestion key")
	case strings.ContainsFunc(c.APIKey, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return "", errors.New("amplitude: the API key contains a space or a control character: check how it was copied")
	case c.Timeout < 0:
		return "", fmt.Errorf("amplitude: timeout %v is negative: use 0 for the default of %v", c.Timeout, defaultTimeout)
	case c.API != Batch && c.API != HTTP:
		return "", fmt.Errorf("amplitude: API %d does not exist: use Batch or HTTP", c.API)
	}

	base, err := url.Parse(c.Endpoint)
	if err != nil {
		return "", errors.New("amplitude: the endpoint is not a URL: use one like https://api2.amplitude.com")
	}
	if err := checkBase(base); err != nil {
		return "", fmt.Errorf("amplitude: endpoint %s: %w", c.redactedEndpoint(), err)
	}
	return base.JoinPath(c.API.Path()).String(), nil
}

func checkBase(base *url.URL) error {
	path := strings.TrimRight(base.Path, "/")
	switch {
	case base.Scheme != "https" && base.Scheme != "http":
		return errors.New("the scheme is not https: use a base URL like https://api2.amplitude.com")
	case base.Hostname() == "":
		return errors.New("the host is missing: use a base URL like https://api2.amplitude.com")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return errors.New("user, query and fragment are not allowed: leave only scheme, host and path")
	case strings.HasSuffix(path, Batch.Path()) || strings.HasSuffix(path, HTTP.Path()):
		return errors.New("this is the address of one API: give the base URL and choose the API separately")
	case base.Scheme == "http" && !loopback(base.Hostname()):
		return errors.New("plain http would show the API key to the network: use https")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// String shows the API and the address. The key is not shown.
func (c Config) String() string {
	return fmt.Sprintf("amplitude %s at %s", c.API, c.redactedEndpoint())
}

// GoString is String, so that %#v shows no more than %v.
func (c Config) GoString() string { return c.String() }

// Format writes String for every verb: a field such as the key cannot be reached through %x or %+v.
func (c Config) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// LogValue makes a logged Config a group of API and endpoint.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("api", c.API.String()), slog.String("endpoint", c.redactedEndpoint()))
}

func (c Config) redactedEndpoint() string {
	base, err := url.Parse(c.Endpoint)
	if err != nil {
		return "an invalid URL"
	}
	// A key pasted into the query belongs in no log either.
	base.RawQuery, base.Fragment = "", ""
	return base.Redacted()
}
