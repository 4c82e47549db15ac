package waybill_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill"
)

// setenv clears both variables and sets those given. It keeps its tests serial.
func setenv(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range []string{"ANALYTICS_ENABLED", "ANALYTICS_HASH_KEY"} {
		t.Setenv(name, env[name])
	}
}

func TestConfigFromEnv(t *testing.T) {
	for name, tc := range map[string]struct {
		env      map[string]string
		disabled bool
		hashes   bool
	}{
		"nothing set": {},
		"empty":       {env: map[string]string{"ANALYTICS_ENABLED": "", "ANALYTICS_HASH_KEY": ""}},
		"on":          {env: map[string]string{"ANALYTICS_ENABLED": "1"}},
		"off":         {env: map[string]string{"ANALYTICS_ENABLED": "false"}, disabled: true},
		"with a key":  {env: map[string]string{"ANALYTICS_HASH_KEY": hashKey}, hashes: true},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, tc.env)
			config, err := waybill.ConfigFromEnv()
			require.NoError(t, err)
			require.Equal(t, tc.disabled, config.Disabled)
			require.Equal(t, tc.hashes, config.Hasher != nil)
		})
	}
}

func TestConfigFromEnvNamesEveryMistake(t *testing.T) {
	setenv(t, map[string]string{"ANALYTICS_ENABLED": "nope", "ANALYTICS_HASH_KEY": "secret"})
	config, err := waybill.ConfigFromEnv()
	require.EqualError(t, err, `waybill: ANALYTICS_ENABLED: "nope" is not a boolean; set it to true or false
waybill: ANALYTICS_HASH_KEY: the key is shorter than 16 bytes; make one with: openssl rand -hex 32`)
	require.Equal(t, waybill.Config{}, config)
}
