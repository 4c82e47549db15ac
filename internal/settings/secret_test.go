package settings_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/settings"
)

// canary stands in every secret, and must stand in nothing that is printed.
const canary = "canary4711"

// secretVariables are those whose values nobody may print.
var secretVariables = []string{
	"DATABASE_URL", "AMPLITUDE_API_KEY", "AMPLITUDE_SANDBOX_API_KEY", "AMPLITUDE_SECRET_KEY",
	"ANALYTICS_HASH_KEY", "ANALYTICS_UI_TOKEN",
}

// printed returns value as every printer shows it.
func printed(t *testing.T, value any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%p", "%10.3s", "%-9v", "%w"} {
		_, _ = fmt.Fprintf(&out, verb+"\n", value)
	}
	fmt.Fprintln(&out, value)

	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, options), slog.NewJSONHandler(&out, options)} {
		slog.New(handler).With("with", value).Info("text", "value", value, "list", []any{value}, slog.Group("group", "in", value))
	}
	encoded, err := json.Marshal(map[string]any{"value": value})
	require.NoError(t, err)
	out.Write(encoded)
	return out.String()
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URL=postgres://app:" + canary + "@db/shop", "ANALYTICS_ENV=production"}
	for i, name := range secretVariables[1:] {
		environ = append(environ, fmt.Sprintf("%s=%s%d-and-so-on", name, canary, i))
	}
	s, err := settings.Load(environ)
	require.NoError(t, err)
	d, err := s.Decide()
	require.NoError(t, err)
	require.Contains(t, d.APIKey.Reveal(), canary)

	// A client keeps its key in a field that fmt may not call methods on.
	type client struct {
		key      settings.Secret
		decision settings.Decision
		settings *settings.Settings
	}
	for name, value := range map[string]any{
		"secret":                d.APIKey,
		"pointer to secret":     &d.APIKey,
		"settings":              s,
		"pointer to settings":   &s,
		"decision":              d,
		"pointer to decision":   &d,
		"unexported fields":     client{d.APIKey, d, &s},
		"pointer to unexported": &client{d.APIKey, d, &s},
		"map and slice":         map[string][]settings.Secret{"keys": {d.APIKey}},
		"error about it":        fmt.Errorf("client %v of %+v", d.APIKey, s),
		"for people":            s.RedactedDatabaseURL(),
		"fingerprint":           d.Fingerprint(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotContains(t, printed(t, value), canary)
			require.NotContains(t, printed(t, value), fmt.Sprintf("%x", canary), "in hex")
		})
	}
	asXML, err := xml.Marshal(d)
	require.NoError(t, err)
	require.NotContains(t, string(asXML), canary)
}

func TestWrongSecretsAreNotQuoted(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{
		canary + "\n", "\t" + canary, canary + "\xff", `"` + canary + `"`, " " + canary, "mysql://u:" + canary + "@db",
		"postgres://u:" + canary + "@db ",
	} {
		var environ []string
		for _, name := range append([]string{"ANALYTICS_API_KEY"}, secretVariables...) {
			environ = append(environ, name+"="+wrong)
		}
		s, err := settings.Load(append(environ, "AMPLITUDE_KEY="+wrong, "AMPLITUDE_ENDPOINT=http://u:"+canary+"@127.0.0.1/"))
		require.ErrorContains(t, err, "DATABASE_URL: ")
		require.ErrorContains(t, err, "AMPLITUDE_ENDPOINT: ")
		require.NotContains(t, printed(t, err), canary)
		require.NotContains(t, printed(t, s), canary)
		require.NotContains(t, s.RedactedDatabaseURL(), canary)
	}
}

func TestSecretSaysWhetherItIsSet(t *testing.T) {
	t.Parallel()
	unset, set := settings.NewSecret(""), settings.NewSecret("text")

	require.Equal(t, settings.Secret{}, unset)
	require.False(t, unset.IsSet())
	require.Empty(t, unset.Reveal())
	require.Equal(t, "<>", fmt.Sprintf("<%v>", unset))

	require.True(t, set.IsSet())
	require.Equal(t, "text", set.Reveal())
	require.Equal(t, "[set]", set.String())
	require.Equal(t, "[set] [set] [set]", fmt.Sprintf("%s %q %x", set, set, set))

	encoded, err := json.Marshal([]settings.Secret{set, unset})
	require.NoError(t, err)
	require.JSONEq(t, `["[set]", ""]`, string(encoded))

	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("", "key", set)
	require.Contains(t, out.String(), "key=[set]")

	require.NoError(t, unset.UnmarshalText([]byte("text")))
	require.Equal(t, set, unset)
}

func TestDecisionIsLoggedInFull(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	}))
	logger.Info("", "d", decide(t, prod+live))
	require.Equal(t, `d.mode=deliver d.destination=live d.reason="ANALYTICS_ENV is production" `+
		"d.dest=4af31756b60f10d5 d.region=us d.endpoint=https://api2.amplitude.com d.api=batch\n", out.String())
}
