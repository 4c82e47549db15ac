package settings_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/settings"
)

// Every text that Load and Decide can return.
func TestProblems(t *testing.T) {
	t.Parallel()
	const (
		notPlain   = "holds a line break or another invisible character\n    set it again, as one line of text"
		notBare    = "has spaces or quotes around it\n    set the bare value; container env files keep quotes as they are"
		notURL     = "is not an http or https URL\n    set scheme, host and port only; the API's path is appended"
		notBase    = "has more than scheme, host and port\n    set scheme, host and port only; the API's path is appended"
		notSafe    = "would send the key in plain http over a network\n    use https; http is for 127.0.0.1, ::1 and localhost"
		notDSN     = "is neither a Postgres URL nor key=value pairs\n    set postgres://user:password@host:5432/database"
		notAddr    = "is not host:port\n    set for example 127.0.0.1:8080, or :8080 for every interface"
		notNumber  = "is not within 1 to 50000\n    set a whole number, or leave it unset to let the worker tune itself"
		notBoolean = "is neither true nor false\n    set true or false; 1, t, 0 and f are read too"
		keyUnused  = "is a sandbox, but a live key is set\n    set production to deliver, or unset AMPLITUDE_API_KEY in a sandbox"
		envUnset   = "is not set, but a live key is\n    set production to deliver; outside it use AMPLITUDE_SANDBOX_API_KEY"
		noSandbox  = "is not set, but ANALYTICS_MODE is deliver\n    set it; a sandbox never uses the live key"
		remove     = "is not a setting of Waybill\n    remove it; -h lists what is read"
	)
	for _, test := range []struct{ environ, want string }{
		{"AMPLITUDE_REGION=fr", `AMPLITUDE_REGION: "fr" is not one of its values` + "\n    set us, eu (default: us)"},
		{"AMPLITUDE_API=v2", `AMPLITUDE_API: "v2" is not one of its values` + "\n    set batch, http (default: batch)"},
		{"ANALYTICS_MODE=Deliver", `ANALYTICS_MODE: "Deliver" is not one of its values` +
			"\n    set deliver, debug, hold, discard (default: by env and key)"},
		{"ANALYTICS_LOG_FORMAT=xml", `ANALYTICS_LOG_FORMAT: "xml" is not one of its values` +
			"\n    set auto, json, text (default: auto)"},
		{"AMPLITUDE_REGION=" + liveKey, "AMPLITUDE_REGION: a value of 32 characters is not one of its values" +
			"\n    set us, eu (default: us)"},
		{`AMPLITUDE_REGION="\u`, `AMPLITUDE_REGION: "\"\\u" is not one of its values` + "\n    set us, eu (default: us)"},

		{"ANALYTICS_DEBUG=yes", `ANALYTICS_DEBUG: "yes" ` + notBoolean},
		{"ANALYTICS_ENABLED=on", `ANALYTICS_ENABLED: "on" ` + notBoolean},
		{"ANALYTICS_FORCE_SANDBOX=2", `ANALYTICS_FORCE_SANDBOX: "2" ` + notBoolean},
		{"ANALYTICS_INSTANCE_LEVEL=tRUE", `ANALYTICS_INSTANCE_LEVEL: "tRUE" ` + notBoolean},

		{"ANALYTICS_INSTANCE_LEVEL=exactly-24-characters-xx", `ANALYTICS_INSTANCE_LEVEL: "exactly-24-characters-xx" ` + notBoolean},
		{"ANALYTICS_INSTANCE_LEVEL=some-25-characters-xxxxxx", "ANALYTICS_INSTANCE_LEVEL: a value of 25 characters " + notBoolean},

		{"ANALYTICS_CONCURRENCY=0", `ANALYTICS_CONCURRENCY: "0" ` + notNumber},
		{"ANALYTICS_CONCURRENCY=-1", `ANALYTICS_CONCURRENCY: "-1" ` + notNumber},
		{"ANALYTICS_CONCURRENCY=50001", `ANALYTICS_CONCURRENCY: "50001" ` + notNumber},
		{"ANALYTICS_CONCURRENCY=1e3", `ANALYTICS_CONCURRENCY: "1e3" ` + notNumber},
		{"ANALYTICS_CONCURRENCY=99999999999999999999", `ANALYTICS_CONCURRENCY: "99999999999999999999" ` + notNumber},

		{"ANALYTICS_HTTP_ADDR=8080", `ANALYTICS_HTTP_ADDR: "8080" ` + notAddr},
		{"ANALYTICS_HTTP_ADDR=host:http", `ANALYTICS_HTTP_ADDR: "host:http" ` + notAddr},
		{"ANALYTICS_HTTP_ADDR=host:", `ANALYTICS_HTTP_ADDR: "host:" ` + notAddr},
		{"ANALYTICS_HTTP_ADDR=:65536", `ANALYTICS_HTTP_ADDR: ":65536" ` + notAddr},
		{"ANALYTICS_HTTP_ADDR=::1:8080", `ANALYTICS_HTTP_ADDR: "::1:8080" ` + notAddr},
		{"ANALYTICS_HTTP_ADDR=a b:80", `ANALYTICS_HTTP_ADDR: "a b:80" ` + notAddr},
		{"ANALYTICS_HTTP_ADDR=http://host:80", `ANALYTICS_HTTP_ADDR: "http://host:80" ` + notAddr},

		{"AMPLITUDE_ENDPOINT=api2.amplitude.com", "AMPLITUDE_ENDPOINT: " + notURL},
		{"AMPLITUDE_ENDPOINT=ftp://host", "AMPLITUDE_ENDPOINT: " + notURL},
		{"AMPLITUDE_ENDPOINT=https://", "AMPLITUDE_ENDPOINT: " + notURL},
		{"AMPLITUDE_ENDPOINT=https://:443", "AMPLITUDE_ENDPOINT: " + notURL},
		{"AMPLITUDE_ENDPOINT=https://host:", "AMPLITUDE_ENDPOINT: " + notURL},
		{"AMPLITUDE_ENDPOINT=https://host:0", "AMPLITUDE_ENDPOINT: " + notURL},
		{"AMPLITUDE_ENDPOINT=https://host:65536", "AMPLITUDE_ENDPOINT: " + notURL},
		{"AMPLITUDE_ENDPOINT=https://ho st", "AMPLITUDE_ENDPOINT: " + notURL},
		{"AMPLITUDE_ENDPOINT=https://host/batch", "AMPLITUDE_ENDPOINT: " + notBase},
		{"AMPLITUDE_ENDPOINT=https://host//", "AMPLITUDE_ENDPOINT: " + notBase},
		{"AMPLITUDE_ENDPOINT=https://host?", "AMPLITUDE_ENDPOINT: " + notBase},
		{"AMPLITUDE_ENDPOINT=https://host?a=b", "AMPLITUDE_ENDPOINT: " + notBase},
		{"AMPLITUDE_ENDPOINT=https://host#a", "AMPLITUDE_ENDPOINT: " + notBase},
		{"AMPLITUDE_ENDPOINT=https://user@host", "AMPLITUDE_ENDPOINT: " + notBase},
		{"AMPLITUDE_ENDPOINT=http://user:pw@127.0.0.1", "AMPLITUDE_ENDPOINT: " + notBase},
		{"AMPLITUDE_ENDPOINT=http://api2.amplitude.com", "AMPLITUDE_ENDPOINT: " + notSafe},
		{"AMPLITUDE_ENDPOINT=http://10.0.0.1", "AMPLITUDE_ENDPOINT: " + notSafe},
		{"AMPLITUDE_ENDPOINT=http://0.0.0.0", "AMPLITUDE_ENDPOINT: " + notSafe},
		{"AMPLITUDE_ENDPOINT=http://127.0.0.1.example.com", "AMPLITUDE_ENDPOINT: " + notSafe},
		{"AMPLITUDE_ENDPOINT=http://localhost.example.com", "AMPLITUDE_ENDPOINT: " + notSafe},

		{"DATABASE_URL=mysql://u:p@h/db?x=y", "DATABASE_URL: " + notDSN},
		{"DATABASE_URL=localhost:5432/db", "DATABASE_URL: " + notDSN},
		{"DATABASE_URL=postgres:/db", "DATABASE_URL: " + notDSN},

		{"AMPLITUDE_API_KEY=abc\n\x00ANALYTICS_ENV=production", "AMPLITUDE_API_KEY: " + notPlain},
		{"ANALYTICS_API_KEY=abc\r\x00ANALYTICS_ENV=production", "ANALYTICS_API_KEY: " + notPlain},
		{"AMPLITUDE_SANDBOX_API_KEY=a\u00a0b", "AMPLITUDE_SANDBOX_API_KEY: " + notPlain},
		{"AMPLITUDE_SANDBOX_API_KEY=\ufeffab", "AMPLITUDE_SANDBOX_API_KEY: " + notPlain},
		{"AMPLITUDE_SANDBOX_API_KEY=ab\u200b", "AMPLITUDE_SANDBOX_API_KEY: " + notPlain},
		{"AMPLITUDE_SECRET_KEY=a\u0085b", "AMPLITUDE_SECRET_KEY: " + notPlain},
		{"ANALYTICS_HASH_KEY=short", "ANALYTICS_HASH_KEY: is shorter than 16 bytes\n    set a long random value; openssl rand -hex 32 prints one"},
		{"ANALYTICS_HASH_KEY=\xff", "ANALYTICS_HASH_KEY: " + notPlain},
		{"AMPLITUDE_REGION=us\n", "AMPLITUDE_REGION: " + notPlain},
		{`AMPLITUDE_SANDBOX_API_KEY="abc"`, "AMPLITUDE_SANDBOX_API_KEY: " + notBare},
		{"ANALYTICS_UI_TOKEN='abc'", "ANALYTICS_UI_TOKEN: " + notBare},
		{"DATABASE_URL= postgres://db", "DATABASE_URL: " + notBare},
		{"ANALYTICS_PLAN=plan.json ", "ANALYTICS_PLAN: " + notBare},

		{"AMPLITUDE_API_KEY=a\x00ANALYTICS_API_KEY=b\x00ANALYTICS_ENV=production",
			"AMPLITUDE_API_KEY: differs from ANALYTICS_API_KEY, its other name\n    unset one of the two"},
		{"AMPLITUDE_API_KEY=a", "ANALYTICS_ENV: " + envUnset},
		{"ANALYTICS_API_KEY=a\x00ANALYTICS_ENV=\x00ANALYTICS_DEBUG=true", "ANALYTICS_ENV: " + envUnset},
		{"AMPLITUDE_API_KEY=a\x00ANALYTICS_ENV=PROD", `ANALYTICS_ENV: "PROD" ` + keyUnused},
		{"AMPLITUDE_API_KEY=a\x00ANALYTICS_ENV=Production", `ANALYTICS_ENV: "Production" ` + keyUnused},
		{"AMPLITUDE_API_KEY=a\x00ANALYTICS_ENV=live", `ANALYTICS_ENV: "live" ` + keyUnused},
		{"AMPLITUDE_API_KEY=a\x00ANALYTICS_ENV=prod-eu-central-1-shop-4", `ANALYTICS_ENV: "prod-eu-central-1-shop-4" ` + keyUnused},
		{"AMPLITUDE_API_KEY=a\x00ANALYTICS_ENV=prod-eu-central-1-shop-42", `ANALYTICS_ENV: a value of 25 characters ` + keyUnused},
		{"AMPLITUDE_API_KEY=a\x00AMPLITUDE_SANDBOX_API_KEY=a\x00ANALYTICS_ENV=staging",
			"AMPLITUDE_SANDBOX_API_KEY: is the live key\n    set the key of a separate Amplitude project"},
		{"ANALYTICS_DEBUG=true\x00ANALYTICS_MODE=deliver\x00AMPLITUDE_SANDBOX_API_KEY=a",
			"ANALYTICS_DEBUG: asks for debug, but ANALYTICS_MODE is deliver\n    unset one of the two"},
		{"ANALYTICS_DEBUG=true\x00ANALYTICS_MODE=hold",
			"ANALYTICS_DEBUG: asks for debug, but ANALYTICS_MODE is hold\n    unset one of the two"},

		{"ANALYTICS_MODE=deliver\x00ANALYTICS_ENV=production", "AMPLITUDE_API_KEY: is not set, but ANALYTICS_MODE is deliver" +
			"\n    set the key, or unset ANALYTICS_MODE to hold until there is one"},
		{"ANALYTICS_MODE=deliver", "AMPLITUDE_SANDBOX_API_KEY: " + noSandbox},
		{"ANALYTICS_MODE=deliver\x00ANALYTICS_ENV=staging\x00AMPLITUDE_API_KEY=a", "AMPLITUDE_SANDBOX_API_KEY: " + noSandbox},
		{"ANALYTICS_MODE=deliver\x00ANALYTICS_ENV=production\x00AMPLITUDE_API_KEY=a\x00ANALYTICS_FORCE_SANDBOX=true",
			"AMPLITUDE_SANDBOX_API_KEY: " + noSandbox},

		{"ANALYTICS_FLUSH_INTERVAL=5s", "ANALYTICS_FLUSH_INTERVAL: " + remove},
		{"AMPLITUDE_=1", "AMPLITUDE_: " + remove},
		{"ANALYTICS_" + strings.Repeat("X", 60) + "=1", "ANALYTICS_" + strings.Repeat("X", 29) + "…: " + remove},
		{"ANALYTICS_\x1b[31m=1", `ANALYTICS_\x1b[31m: ` + remove},
	} {
		t.Run(test.environ, func(t *testing.T) {
			t.Parallel()
			s, err := settings.Load(strings.Split(test.environ, "\x00"))
			if err == nil {
				_, err = s.Decide()
			}
			var wrong *settings.Error
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, test.want, wrong.Error())
			require.Len(t, wrong.Problems, 1)
			for line := range strings.Lines(wrong.Error()) {
				require.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), 80, line)
			}
		})
	}
}

func TestUnknownNamesAreHinted(t *testing.T) {
	t.Parallel()
	for name, meant := range map[string]string{
		"AMPLITUDE_KEY":         "AMPLITUDE_API_KEY",
		"AMPLITUDE_APIKEY":      "AMPLITUDE_API_KEY",
		"AMPLITUDE_SANDBOX_KEY": "AMPLITUDE_SANDBOX_API_KEY",
		"AMPLITUDE_SECRET":      "AMPLITUDE_SECRET_KEY",
		"AMPLITUDE_MODE":        "ANALYTICS_MODE",
		"AMPLITUDE_ENV":         "ANALYTICS_ENV",
		"ANALYTICS_REGION":      "AMPLITUDE_REGION",
		"ANALYTICS_ENDPOINT":    "AMPLITUDE_ENDPOINT",
		"ANALYTICS_EVN":         "ANALYTICS_ENV",
		"ANALYTICS_ENVIRONMENT": "ANALYTICS_ENV",
		"ANALYTICS_SANDBOX":     "ANALYTICS_FORCE_SANDBOX",
		"ANALYTICS_TOKEN":       "ANALYTICS_UI_TOKEN",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := settings.Load([]string{name + "=secret-value"})
			require.EqualError(t, err,
				name+": is not a setting of Waybill\n    did you mean "+meant+"? Otherwise remove it")
		})
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	t.Parallel()

	s, err := settings.Load([]string{
		"ANALYTICS_ZZZ=1", "ANALYTICS_HTTP_ADDR=8080", "ANALYTICS_DEBUG=maybe", "AMPLITUDE_API_KEY=a\n", "ANALYTICS_API_KEY=b",
		"ANALYTICS_MODE=deliver", "AMPLITUDE_AAA=1",
	})
	_, undecided := s.Decide()
	err = errors.Join(err, s.RequireDatabase(), undecided)

	var wrong *settings.Error
	require.ErrorAs(t, err, &wrong)
	var names []string
	for line := range strings.Lines(err.Error()) {
		if name, _, found := strings.Cut(line, ": "); found && !strings.HasPrefix(line, " ") {
			names = append(names, name)
		}
	}
	require.Equal(t, []string{
		"AMPLITUDE_API_KEY", "AMPLITUDE_API_KEY", "ANALYTICS_DEBUG", "ANALYTICS_HTTP_ADDR", // in the order of the table
		"ANALYTICS_ENV",                  // what contradicts something else
		"AMPLITUDE_AAA", "ANALYTICS_ZZZ", // what nobody reads
		"DATABASE_URL", "AMPLITUDE_SANDBOX_API_KEY", // what the caller asked besides
	}, names)
}
