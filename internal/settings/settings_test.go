package settings_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/settings"
)

const (
	liveKey    = "11112222333344445555666677778888"
	sandboxKey = "aaaabbbbccccddddeeeeffff00009999"
)

// everyVariable sets every variable to something that is not its default.
var everyVariable = map[string]string{
	"DATABASE_URL":              "postgres://app:pw@db:5432/shop",
	"AMPLITUDE_API_KEY":         liveKey,
	"AMPLITUDE_SANDBOX_API_KEY": sandboxKey,
	"AMPLITUDE_SECRET_KEY":      "secret",
	"AMPLITUDE_REGION":          "eu",
	"AMPLITUDE_ENDPOINT":        "http://127.0.0.1:9700/",
	"AMPLITUDE_API":             "http",
	"ANALYTICS_ENV":             "production",
	"ANALYTICS_MODE":            "hold",
	"ANALYTICS_FORCE_SANDBOX":   "true",
	"ANALYTICS_ENABLED":         "false",
	"ANALYTICS_DEBUG":           "false",
	"ANALYTICS_INSTANCE_LEVEL":  "1",
	"ANALYTICS_PLAN":            "plan.json",
	"ANALYTICS_HASH_KEY":        "hash-key-of-sixteen",
	"ANALYTICS_CONCURRENCY":     "5000",
	"ANALYTICS_HTTP_ADDR":       ":9090",
	"ANALYTICS_UI_TOKEN":        "token",
	"ANALYTICS_LOG_FORMAT":      "json",
}

// environ turns a map into what os.Environ returns.
func environ(env map[string]string) []string {
	list := []string{"PATH=/usr/bin", "HOME=/root"}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

func TestLoadReadsEveryVariable(t *testing.T) {
	t.Parallel()

	got, err := settings.Load(environ(everyVariable))
	require.NoError(t, err)
	require.Equal(t, settings.Settings{
		DatabaseURL:   settings.NewSecret("postgres://app:pw@db:5432/shop"),
		APIKey:        settings.NewSecret(liveKey),
		SandboxAPIKey: settings.NewSecret(sandboxKey),
		SecretKey:     settings.NewSecret("secret"),
		Region:        "eu",
		Endpoint:      "http://127.0.0.1:9700",
		API:           "http",
		Env:           "production",
		Mode:          settings.ModeHold,
		ForceSandbox:  true,
		InstanceLevel: true,
		Plan:          "plan.json",
		HashKey:       settings.NewSecret("hash-key-of-sixteen"),
		Concurrency:   5000,
		HTTPAddr:      ":9090",
		UIToken:       settings.NewSecret("token"),
		LogFormat:     "json",
	}, got)

	debug, err := settings.Load([]string{"ANALYTICS_DEBUG=true"})
	require.NoError(t, err)
	require.True(t, debug.Debug)
}

func TestLoadTakesEmptyAsUnset(t *testing.T) {
	t.Parallel()
	defaults := settings.Settings{
		Region: "us", API: "batch", Env: "development", Enabled: true, HTTPAddr: settings.DefaultHTTPAddr, LogFormat: "auto",
	}

	unset, err := settings.Load(nil)
	require.NoError(t, err)
	require.Equal(t, defaults, unset)

	env := map[string]string{"ANALYTICS_API_KEY": "", "ANALYTICS_NOBODY_READS": ""}
	for name := range everyVariable {
		env[name] = ""
	}
	empty, err := settings.Load(environ(env))
	require.NoError(t, err)
	require.Equal(t, defaults, empty)
}

func TestLoadReadsTheListAsTheSystemDoes(t *testing.T) {
	t.Parallel()

	s, err := settings.Load([]string{
		"AMPLITUDE_REGION=eu", "AMPLITUDE_REGION=us", // the first counts
		"=C:=C:\\somewhere", "NOVALUE", "", "=",
		"ANALYTICS_PLAN=a=b", // only the first = separates
	})
	require.NoError(t, err)
	require.Equal(t, "eu", s.Region)
	require.Equal(t, "a=b", s.Plan)
	require.False(t, s.APIKey.IsSet(), "a nameless entry is not another name of anything")
}

func TestLoadReadsTheKeyByEitherName(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"its own":            {"AMPLITUDE_API_KEY": liveKey},
		"the other":          {"ANALYTICS_API_KEY": liveKey},
		"the other, alone":   {"ANALYTICS_API_KEY": liveKey, "AMPLITUDE_API_KEY": ""},
		"both, in agreement": {"ANALYTICS_API_KEY": liveKey, "AMPLITUDE_API_KEY": liveKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env["ANALYTICS_ENV"] = "production"
			s, err := settings.Load(environ(env))
			require.NoError(t, err)
			require.Equal(t, liveKey, s.APIKey.Reveal())
		})
	}
}

func TestLoadAcceptsValues(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"DATABASE_URL": {
			"postgres://", "postgresql://h1:1,h2:2/db?sslmode=require", "host=/run/pg user=app", "user = app",
		},
		"AMPLITUDE_ENDPOINT": {
			"https://proxy.example", "HTTPS://proxy.example:8443", "http://localhost:1", "http://LocalHost", "http://[::1]:9700",
			"http://127.8.9.1", "http://[::ffff:127.0.0.1]",
		},
		"ANALYTICS_HTTP_ADDR":       {":0", "0.0.0.0:8080", "[::]:8080", "[fe80::1%eth0]:8080", "worker-1.internal:80", "localhost:65535"},
		"ANALYTICS_CONCURRENCY":     {"1", "50000"},
		"ANALYTICS_ENABLED":         {"1", "t", "T", "TRUE", "True", "0", "f", "F", "FALSE", "False"},
		"ANALYTICS_ENV":             {"staging", "prod", "live", "Production", "review app 12"},
		"ANALYTICS_HASH_KEY":        {"correct horse battery staple", `a"b-and-so-on-and-on`, "ключ-ключ-ключ", "k2:0123456789abcdef"},
		"ANALYTICS_MODE":            {"debug", "hold", "discard"},
		"AMPLITUDE_SANDBOX_API_KEY": {`"`},
	} {
		for _, value := range values {
			t.Run(name+"="+value, func(t *testing.T) {
				t.Parallel()
				_, err := settings.Load([]string{name + "=" + value})
				require.NoError(t, err)
			})
		}
	}
}

// A Service called analytics or amplitude-proxy puts names like ours into every pod of its namespace.
func TestLoadIgnoresKubernetesServiceLinks(t *testing.T) {
	t.Parallel()
	links := []string{
		"ANALYTICS_SERVICE_HOST=10.0.0.7", "ANALYTICS_SERVICE_PORT=80", "ANALYTICS_SERVICE_PORT_HTTP_ALT=80",
		"ANALYTICS_PORT=tcp://10.0.0.7:80", "ANALYTICS_PORT_80_TCP=tcp://10.0.0.7:80", "ANALYTICS_PORT_80_TCP_PROTO=tcp",
		"ANALYTICS_PORT_80_TCP_PORT=80", "ANALYTICS_PORT_80_TCP_ADDR=10.0.0.7",
		"AMPLITUDE_PROXY_SERVICE_HOST=10.0.0.8", "AMPLITUDE_PROXY_PORT_443_UDP_ADDR=10.0.0.8",
	}
	_, err := settings.Load(links)
	require.NoError(t, err)

	_, err = settings.Load(links[1:])
	require.ErrorContains(t, err, "ANALYTICS_PORT: is not a setting", "without its host it is no link")
}

func TestRequireDatabase(t *testing.T) {
	t.Parallel()

	s, err := settings.Load([]string{"DATABASE_URL=postgres://db"})
	require.NoError(t, err)
	require.NoError(t, s.RequireDatabase())

	var wrong *settings.Error
	require.ErrorAs(t, settings.Settings{}.RequireDatabase(), &wrong)
	require.Equal(t, strings.TrimSpace(`
DATABASE_URL: is not set
    set postgres://user:password@host:5432/database`), wrong.Error())
}
