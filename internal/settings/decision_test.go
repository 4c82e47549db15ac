package settings_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/settings"
)

const (
	live    = " AMPLITUDE_API_KEY=" + liveKey
	sandbox = " AMPLITUDE_SANDBOX_API_KEY=" + sandboxKey
	prod    = " ANALYTICS_ENV=production"
	staging = " ANALYTICS_ENV=staging"
	forced  = " ANALYTICS_FORCE_SANDBOX=true"
	debug   = " ANALYTICS_DEBUG=true"
)

// Every environment that a worker can find itself in: where do its events go, and what does it say about it?
func TestDecide(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ environ, mode, destination, key, reason string }{
		{"", "debug", "none", "", `ANALYTICS_ENV is "development", but AMPLITUDE_SANDBOX_API_KEY is not set`},
		{sandbox, "deliver", "sandbox", sandboxKey, `ANALYTICS_ENV is "development"`},
		{prod, "hold", "none", "", "ANALYTICS_ENV is production, but AMPLITUDE_API_KEY is not set"},
		{prod + sandbox, "hold", "none", "", "ANALYTICS_ENV is production, but AMPLITUDE_API_KEY is not set"},
		{prod + live, "deliver", "live", liveKey, "ANALYTICS_ENV is production"},
		{prod + live + sandbox, "deliver", "live", liveKey, "ANALYTICS_ENV is production"},
		{staging, "debug", "none", "", `ANALYTICS_ENV is "staging", but AMPLITUDE_SANDBOX_API_KEY is not set`},
		{staging + live, "debug", "none", "", `ANALYTICS_ENV is "staging", but AMPLITUDE_SANDBOX_API_KEY is not set`},
		{staging + sandbox, "deliver", "sandbox", sandboxKey, `ANALYTICS_ENV is "staging"`},
		{staging + live + sandbox, "deliver", "sandbox", sandboxKey, `ANALYTICS_ENV is "staging"`},
		{" ANALYTICS_ENV=Production", "debug", "none", "",
			`ANALYTICS_ENV is "Production", but AMPLITUDE_SANDBOX_API_KEY is not set`},
		{" ANALYTICS_ENV=" + liveKey, "debug", "none", "",
			`ANALYTICS_ENV is a value of 32 characters, but AMPLITUDE_SANDBOX_API_KEY is not set`},

		{forced, "debug", "none", "", "ANALYTICS_FORCE_SANDBOX is on, but AMPLITUDE_SANDBOX_API_KEY is not set"},
		{forced + prod, "debug", "none", "", "ANALYTICS_FORCE_SANDBOX is on, but AMPLITUDE_SANDBOX_API_KEY is not set"},
		{forced + prod + live, "debug", "none", "", "ANALYTICS_FORCE_SANDBOX is on, but AMPLITUDE_SANDBOX_API_KEY is not set"},
		{forced + prod + live + sandbox, "deliver", "sandbox", sandboxKey, "ANALYTICS_FORCE_SANDBOX is on"},
		{forced + staging + sandbox, "deliver", "sandbox", sandboxKey, "ANALYTICS_FORCE_SANDBOX is on"},

		{debug, "debug", "none", "", "ANALYTICS_DEBUG is on"},
		{debug + prod + live, "debug", "none", "", "ANALYTICS_DEBUG is on"},
		{debug + prod, "debug", "none", "", "ANALYTICS_DEBUG is on"},
		{debug + sandbox, "debug", "none", "", "ANALYTICS_DEBUG is on"},
		{debug + " ANALYTICS_MODE=debug", "debug", "none", "", "ANALYTICS_MODE is debug"},

		{prod + live + " ANALYTICS_MODE=deliver", "deliver", "live", liveKey,
			"ANALYTICS_MODE is deliver; ANALYTICS_ENV is production"},
		{staging + sandbox + " ANALYTICS_MODE=deliver", "deliver", "sandbox", sandboxKey,
			`ANALYTICS_MODE is deliver; ANALYTICS_ENV is "staging"`},
		{prod + live + sandbox + forced + " ANALYTICS_MODE=deliver", "deliver", "sandbox", sandboxKey,
			"ANALYTICS_MODE is deliver; ANALYTICS_FORCE_SANDBOX is on"},
		{prod + live + " ANALYTICS_MODE=hold", "hold", "live", liveKey, "ANALYTICS_MODE is hold"},
		{prod + " ANALYTICS_MODE=hold", "hold", "none", "", "ANALYTICS_MODE is hold"},
		{sandbox + " ANALYTICS_MODE=hold", "hold", "sandbox", sandboxKey, "ANALYTICS_MODE is hold"},
		{" ANALYTICS_MODE=hold", "hold", "none", "", "ANALYTICS_MODE is hold"},
		{prod + live + " ANALYTICS_MODE=discard", "discard", "none", "", "ANALYTICS_MODE is discard"},
		{prod + " ANALYTICS_MODE=discard", "discard", "none", "", "ANALYTICS_MODE is discard"},
		{sandbox + " ANALYTICS_MODE=discard", "discard", "none", "", "ANALYTICS_MODE is discard"},
		{prod + live + " ANALYTICS_MODE=debug", "debug", "none", "", "ANALYTICS_MODE is debug"},
		{prod + " ANALYTICS_MODE=debug", "debug", "none", "", "ANALYTICS_MODE is debug"},
		{prod + live + " ANALYTICS_ENABLED=false", "deliver", "live", liveKey, "ANALYTICS_ENV is production"},
	} {
		t.Run(test.environ, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, settings.Decision{
				Mode:        settings.Mode(test.mode),
				Destination: settings.Destination(test.destination),
				Reason:      test.reason,
				APIKey:      settings.NewSecret(test.key),
				Region:      "us",
				Endpoint:    "https://api2.amplitude.com",
				API:         "batch",
			}, decide(t, test.environ))
		})
	}
}

func TestDecideFindsTheEndpoint(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"AMPLITUDE_REGION=us": "https://api2.amplitude.com",
		"AMPLITUDE_REGION=eu": "https://api.eu.amplitude.com",
		"AMPLITUDE_REGION=eu AMPLITUDE_ENDPOINT=http://localhost:9700/": "http://localhost:9700",
	} {
		require.Equal(t, want, decide(t, environ).Endpoint, environ)
	}
	require.Equal(t, "http", decide(t, "AMPLITUDE_API=http").API)
}

// The fingerprints are stored in databases; a change here would make every worker forget what it told Amplitude.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"":                                   "none",
		prod:                                 "none",
		prod + live + debug:                  "none",
		prod + live:                          "4af31756b60f10d5",
		prod + live + " ANALYTICS_MODE=hold": "4af31756b60f10d5",
		prod + live + " AMPLITUDE_REGION=eu": "a35f29d7786fe54c",
		sandbox:                              "2def22b87872434d",
		prod + live + " AMPLITUDE_ENDPOINT=https://proxy.example": "4af31756b60f10d5",
	} {
		require.Equal(t, want, decide(t, environ).Fingerprint(), environ)
	}
}

func decide(t *testing.T, environ string) settings.Decision {
	t.Helper()
	s, err := settings.Load(strings.Fields(environ))
	require.NoError(t, err)
	d, err := s.Decide()
	require.NoError(t, err)
	return d
}
