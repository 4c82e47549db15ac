package amplitude

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// dial is a variable so that the tests of this package can refuse to leave the machine.
var dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext

// newTransport is the transport of a Client that was given none.
//
// HTTP/1.1 on purpose: uploads are few and large, so one connection each beats sharing one, and an HTTP/2
// transport repeats some requests by itself after they have left.
func newTransport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dial,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second,
		Protocols:           &protocols,
		DisableCompression:  true, // answers are a few hundred bytes
		MaxIdleConns:        32,
		MaxIdleConnsPerHost: 32,
		// Shorter than the 60 seconds usual at load balancers: a connection that the other side closes while
		// we write to it turns a harmless failure into an ambiguous one.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        64 << 10,
	}
}
