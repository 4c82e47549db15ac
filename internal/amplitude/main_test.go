package amplitude

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes sure that no test can post to the real Amplitude, and that none leaves a goroutine behind.
func TestMain(m *testing.M) {
	dial = onlyLoopback(dial)
	http.DefaultTransport = newTransport()
	goleak.VerifyTestMain(m)
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

func onlyLoopback(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil || !loopback(host) {
			return nil, fmt.Errorf("tests stay on this machine: refused to dial %s", address)
		}
		return dial(ctx, network, address)
	}
}
