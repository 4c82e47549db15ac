package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/settings"
)

// unreachable is a database that nobody serves, with a password to look for.
const unreachable = "postgres://u:" + canary + "@127.0.0.1:1/d"

const canary = "canary0123456789abcdef0123456789"

func TestExitCodes(t *testing.T) {
	t.Parallel()
	migrated, blank := pgtest.New(t).URL, pgtest.Blank(t).URL
	for name, test := range map[string]struct {
		environ []string
		args    string
		code    int
		says    string
	}{
		"version":                  {nil, "version", exitOK, ""},
		"help":                     {nil, "-h", exitOK, ""},
		"status":                   {on(migrated), "status", exitOK, ""},
		"doctor":                   {on(migrated), "doctor", exitOK, ""},
		"unknown key":              {on(migrated), "status --key nothing", exitRuntime, `no bundle has this action key`},
		"unknown command":          {nil, "frobnicate", exitUsage, `worker knows no "frobnicate"`},
		"unknown flag":             {nil, "--frobnicate", exitUsage, "unknown flag: --frobnicate"},
		"flag of another command":  {nil, "status --once", exitUsage, "unknown flag: --once"},
		"a word too many":          {nil, "status now", exitUsage, `worker status knows no "now"`},
		"bad number":               {nil, "retry --limit many", exitUsage, "--limit"},
		"no database":              {nil, "status", exitConfiguration, "DATABASE_URL: is not set\n    set postgres://"},
		"a setting nobody reads":   {on(migrated, "ANALYTICS_MOOD=good"), "status", exitConfiguration, "ANALYTICS_MOOD"},
		"no key for deliver":       {on(migrated, "ANALYTICS_MODE=deliver"), "run", exitConfiguration, "AMPLITUDE_SANDBOX_API_KEY: is not set"},
		"live key, no environment": {on(migrated, "AMPLITUDE_API_KEY="+canary), "run", exitConfiguration, "ANALYTICS_ENV: is not set"},
		"unreadable URL":           {on("postgres://u:p%zz@h/d"), "run", exitConfiguration, "DATABASE_URL: "},
		"database away":            {on(unreachable), "status", exitDatabase, "connection refused\n    check host and port"},
		"database away, retry":     {on(unreachable), "retry --dry-run", exitDatabase, "connection refused"},
		"database away, migrate":   {on(unreachable), "migrate", exitDatabase, "connection refused"},
		"unmigrated":               {on(blank), "status", exitDatabase, "run: worker migrate"},
		"unmigrated, resolve":      {on(blank), "resolve --resend", exitDatabase, "run: worker migrate"},
		"read-only":                {on(withParameter(migrated, "default_transaction_read_only=on")), "retry", exitDatabase, "read-only"},
		"doctor without database":  {on(unreachable), "doctor", exitDatabase, ""},
		"doctor, unmigrated":       {on(blank), "doctor", exitDatabase, ""},
		"doctor, misconfigured":    {on(migrated, "ANALYTICS_MOOD=good"), "doctor", exitConfiguration, ""},
		"address taken by nobody":  {[]string{"DATABASE_URL=" + migrated, "ANALYTICS_HTTP_ADDR=203.0.113.1:9"}, "run", exitRuntime, "set ANALYTICS_HTTP_ADDR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := invoke(t, test.environ, strings.Fields(test.args)...)
			require.Equal(t, test.code, got.code, got.stderr)
			require.Contains(t, got.stderr, test.says)
			require.NotContains(t, got.stdout+got.stderr, canary)
		})
	}
}

func TestEveryProblemOfTheConfigurationIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	got := invoke(t, []string{"ANALYTICS_MODE=deliver", "ANALYTICS_LOG_FORMAT=xml"}, "run")
	require.Equal(t, exitConfiguration, got.code)
	for _, variable := range []string{"ANALYTICS_LOG_FORMAT", "DATABASE_URL", "AMPLITUDE_SANDBOX_API_KEY"} {
		require.Contains(t, got.stderr, variable+": ")
	}
	requireNarrow(t, got.stderr)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	root := (&program{}).root()
	commands := []string{""}
	for _, c := range root.Commands() {
		commands = append(commands, c.Name())
	}
	require.Subset(t, commands, []string{"run", "migrate", "status", "doctor", "retry", "resolve", "version"})
	for _, name := range commands {
		got := invoke(t, nil, append(strings.Fields(name), "-h")...)
		require.Equal(t, exitOK, got.code, name)
		require.Empty(t, got.stderr)
		require.Contains(t, got.stdout, "Examples:\n  ", name)
		requireNarrow(t, got.stdout)
		if name == "" || name == "run" {
			var table strings.Builder
			require.NoError(t, settings.Table(&table))
			require.Contains(t, got.stdout, strings.TrimSpace(table.String()), name)
			require.Contains(t, got.stdout, "5 unhealthy")
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	got := invoke(t, nil, "version")
	require.Regexp(t, `^waybill \S+.*\ngo1\.\d+\S*, river v0\.\d+\.\d+, schema step \d+\n$`, got.stdout)
}

// panicking is a stream whose reader panics with a secret in hand.
type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic(errors.New("cannot write for key " + canary)) }

func TestAPanicNeverPrintsTheKey(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	p := &program{
		environ: []string{"ANALYTICS_ENV=production", "AMPLITUDE_API_KEY=" + canary}, stdout: panicking{}, stderr: &stderr,
	}
	require.Equal(t, exitRuntime, p.execute(t.Context(), []string{"version"}))
	require.Contains(t, stderr.String(), "this is a bug: cannot write for key [secret]")
	require.Contains(t, stderr.String(), "version.go", "with the way there")
	require.NotContains(t, stderr.String(), canary)
}

func TestPanicsHideEverySecretEvenOfAWrongEnvironment(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{
		"DATABASE_URL", "AMPLITUDE_API_KEY", "ANALYTICS_API_KEY", "AMPLITUDE_SANDBOX_API_KEY", "AMPLITUDE_SECRET_KEY",
		"ANALYTICS_HASH_KEY", "ANALYTICS_UI_TOKEN",
	} {
		secret := canary
		if variable == "DATABASE_URL" {
			secret = unreachable
		}
		p := &program{environ: []string{variable + "=" + secret, "ANALYTICS_MOOD=good"}}
		require.Equal(t, "a [secret] b", p.withoutSecrets("a "+secret+" b"), variable)
	}
}

func TestShellCompletionIsThereButNotInTheWay(t *testing.T) {
	t.Parallel()
	require.Equal(t, exitOK, invoke(t, nil, "completion", "bash").code)
	require.NotContains(t, invoke(t, nil, "-h").stdout, "completion")
}
