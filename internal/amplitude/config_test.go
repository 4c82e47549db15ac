package amplitude

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNewRefusesWhatCannotWorkAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const us = "https://api2.amplitude.com"
	cases := map[string]struct {
		cfg  Config
		says string
	}{
		"no key":            {Config{Endpoint: us}, "the API key is empty"},
		"key with newline":  {Config{APIKey: "k\n", Endpoint: us}, "contains a space or a control character"},
		"key with NUL":      {Config{APIKey: "k\x00", Endpoint: us}, "contains a space or a control character"},
		"no endpoint":       {Config{APIKey: "k"}, "the scheme is not https"},
		"no scheme":         {Config{APIKey: "k", Endpoint: "api2.amplitude.com"}, "the scheme is not https"},
		"other scheme":      {Config{APIKey: "k", Endpoint: "ftp://api2.amplitude.com"}, "the scheme is not https"},
		"no host":           {Config{APIKey: "k", Endpoint: "https:///batch"}, "the host is missing"},
		"no URL":            {Config{APIKey: "k", Endpoint: "https://[::1"}, "not a URL"},
		"plain http":        {Config{APIKey: "k", Endpoint: "http://api2.amplitude.com"}, "plain http would show the API key"},
		"plain http by IP":  {Config{APIKey: "k", Endpoint: "http://10.0.0.1:9700"}, "plain http would show the API key"},
		"looks like local":  {Config{APIKey: "k", Endpoint: "http://localhost.example.com"}, "plain http would show the API key"},
		"credentials":       {Config{APIKey: "k", Endpoint: "https://u:p@api2.amplitude.com"}, "leave only scheme, host and path"},
		"query":             {Config{APIKey: "k", Endpoint: us + "?a=b"}, "leave only scheme, host and path"},
		"address of an API": {Config{APIKey: "k", Endpoint: us + "/2/httpapi/"}, "give the base URL"},
		"negative timeout":  {Config{APIKey: "k", Endpoint: us, Timeout: -time.Second}, "is negative"},
		"unknown API":       {Config{APIKey: "k", Endpoint: us, API: 7}, "API 7 does not exist"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := New(c.cfg)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "amplitude: ")
			require.Nil(t, client)
		})
	}
}

func TestNewBuildsTheAddress(t *testing.T) {
	t.Parallel()
	cases := []struct {
		endpoint string
		api      API
		want     string
	}{
		{"https://api2.amplitude.com", Batch, "https://api2.amplitude.com/batch"},
		{"https://api2.amplitude.com/", HTTP, "https://api2.amplitude.com/2/httpapi"},
		{"https://proxy.example.com/amplitude", Batch, "https://proxy.example.com/amplitude/batch"},
		{"http://127.0.0.1:9700", Batch, "http://127.0.0.1:9700/batch"},
		{"http://[::1]:9700", HTTP, "http://[::1]:9700/2/httpapi"},
		{"http://localhost:9700", Batch, "http://localhost:9700/batch"},
	}
	for _, c := range cases {
		client, err := New(Config{APIKey: "k", Endpoint: c.endpoint, API: c.api})
		require.NoError(t, err)
		require.Equal(t, c.want, client.url)
		require.Equal(t, c.api.Limits(), client.Limits())
	}
}

func TestDefaultTransportIsCareful(t *testing.T) {
	t.Parallel()
	transport := newTransport()
	require.EqualValues(t, 0x0303, transport.TLSClientConfig.MinVersion, "TLS 1.2")
	require.True(t, transport.Protocols.HTTP1())
	require.False(t, transport.Protocols.HTTP2(), "HTTP/2 repeats some requests by itself")
	require.Positive(t, transport.MaxIdleConns)
	require.Less(t, transport.IdleConnTimeout, time.Minute, "shorter than a load balancer's")
}

func TestLimitsFollowTheAPI(t *testing.T) {
	t.Parallel()
	require.Equal(t, Limits{MaxEvents: 2_000, MaxBytes: 20_000_000, ThrottlePause: 15 * time.Second, PerIdentity: 1_000}, Batch.Limits())
	require.Equal(t, Limits{MaxEvents: 2_000, MaxBytes: 1_000_000, ThrottlePause: 30 * time.Second, PerIdentity: 30}, HTTP.Limits())
}

func TestNamesOfAPIsAndRegions(t *testing.T) {
	t.Parallel()
	for _, api := range []API{Batch, HTTP} {
		parsed, err := ParseAPI(api.String())
		require.NoError(t, err)
		require.Equal(t, api, parsed)
	}
	_, err := ParseAPI("httpapi")
	require.EqualError(t, err, `unknown Amplitude API "httpapi": use "batch" or "http"`)

	us, err := BaseURL("us")
	require.NoError(t, err)
	require.Equal(t, "https://api2.amplitude.com", us)
	eu, err := BaseURL("eu")
	require.NoError(t, err)
	require.Equal(t, "https://api.eu.amplitude.com", eu)
	_, err = BaseURL("mars")
	require.EqualError(t, err, `unknown Amplitude region "mars": use "us" or "eu"`)
}
