package settings_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"waybill/internal/settings"
)

// FuzzLoad reads any environment, given as the entries of /proc/<pid>/environ. Whatever is in it, Load explains itself,
// prints no secret, and never lets the live key out of production.
func FuzzLoad(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		environ := strings.Split(text, "\x00")
		for i, entry := range environ {
			environ[i] = hideCanary(entry)
		}

		s, err := settings.Load(environ)
		require.NotContains(t, fmt.Sprintf("%+v %#v", s, s), canary)
		require.NotContains(t, s.RedactedDatabaseURL(), canary)
		if err != nil {
			requireExplained(t, err)
			return
		}

		d, err := s.Decide()
		if err != nil {
			require.Equal(t, settings.ModeDeliver, s.Mode)
			requireExplained(t, err)
			return
		}
		require.NotContains(t, fmt.Sprintf("%+v %v", d, d.LogValue()), canary)
		require.NotEmpty(t, d.Reason)
		isLive := s.Env == "production" && !s.ForceSandbox
		require.Equal(t, d.Destination == settings.DestinationLive, isLive && d.APIKey.IsSet())
		require.Equal(t, d.Destination == settings.DestinationNone, !d.APIKey.IsSet())
		if !isLive && d.APIKey.IsSet() {
			require.Equal(t, s.SandboxAPIKey, d.APIKey)
			require.NotEqual(t, s.APIKey, d.APIKey)
		}
		if d.Mode == settings.ModeDeliver {
			require.True(t, d.APIKey.IsSet())
		}
		require.True(t, strings.HasPrefix(d.Endpoint, "https://") || strings.HasPrefix(d.Endpoint, "http://"))
		require.False(t, strings.HasSuffix(d.Endpoint, "/"))

		again, err := settings.Load(environ)
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}

// hideCanary puts the canary into the value of a secret, in the place of a database's password.
func hideCanary(entry string) string {
	name, value, _ := strings.Cut(entry, "=")
	switch {
	case name == "DATABASE_URL" && strings.HasPrefix(value, "postgres://"):
		return name + "=postgres://app:" + canary + strings.TrimPrefix(value, "postgres://")
	case name == "DATABASE_URL":
		return name + "=host=db password=" + canary + value
	case slices.Contains(secretVariables, name) || name == "ANALYTICS_API_KEY":
		return name + "=" + canary + value
	}
	return strings.ReplaceAll(entry, canary, "")
}

func requireExplained(t *testing.T, err error) {
	t.Helper()
	var wrong *settings.Error
	require.ErrorAs(t, err, &wrong)
	require.NotEmpty(t, wrong.Problems)
	for _, p := range wrong.Problems {
		require.NotEmpty(t, p.Variable)
		require.NotEmpty(t, p.What)
		require.NotEmpty(t, p.Fix)
	}
	require.NotContains(t, err.Error(), canary)
	for line := range strings.Lines(err.Error()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
}
