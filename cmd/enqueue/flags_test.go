package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

// lineOf is the line that flags make.
func lineOf(t *testing.T, args ...string) string {
	t.Helper()
	var f bundleFlags
	require.NoError(t, f.flags().Parse(args))
	line, err := f.line()
	require.NoError(t, err)
	return string(line)
}

func TestFlagsDescribeABundle(t *testing.T) {
	t.Parallel()
	require.JSONEq(t, `{
		"v": 1, "key": "order:8412:completed", "user_id": "usr_42", "device_id": "d-1", "source": "server",
		"occurred_at": "2026-11-22T10:15:00.123+02:00",
		"identify": {"set": {"plan": "pro", "seats": 7}, "set_once": {"signup_date": "2026-01-01"}, "unset": ["trial_ends", "coupon"]},
		"increment": {"orders_total": 1, "spent": -0.5},
		"groups": [{"type": "account", "id": "acc_1"}, {"type": "workspace", "id": "ws_7", "parent": "acc_1"}, {"type": "team", "id": "t_3", "parent": "ws_7"}],
		"track": {
			"event": "Order_Completed",
			"properties": {"total_cents": 1299, "plan": "pro", "zip": "01234", "equation": "a=b", "list": [1, "2"], "empty": "", "nothing": null, "phone": "49301234567890123456"},
			"revenue": {"amount": 12.99, "currency": "EUR"}
		}
	}`, lineOf(t,
		"--key", "order:8412:completed", "--user", "usr_42", "--device", "d-1", "--at", "2026-11-22T10:15:00.123+02:00",
		"--set", "plan=pro", "--set", "seats=7", "--set-once", "signup_date=2026-01-01", "--unset", "trial_ends", "--unset", "coupon",
		"--increment", "orders_total=1", "--increment", "spent=-0.5",
		"--group", "account=acc_1", "--group", "workspace=ws_7", "--group", "team=t_3",
		"--event", "Order_Completed", "--revenue", "12.99", "--currency", "EUR",
		"--prop", "total_cents=1299", "--prop", "plan=pro", "--prop", "zip=01234", "--prop", "equation=a=b", "--prop", `list=[1,"2"]`,
		"--prop", "empty=", "--prop", "nothing=null", "--prop-string", "phone=49301234567890123456",
	))
	require.JSONEq(t, `{"v":1,"key":"k","device_id":"d","source":"server","track":{"event":"E"}}`,
		lineOf(t, "--key", "k", "--device", "d", "--event", "E"))
}

func TestAPropertyIsJSONIfItReadsAsJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1":         `1`,
		"-1.5e3":    `-1.5e3`,
		"true":      `true`,
		"null":      `null`,
		`"quoted"`:  `"quoted"`,
		`{"a":[]}`:  `{"a":[]}`,
		"01234":     `"01234"`,
		"+1":        `"+1"`,
		"NaN":       `"NaN"`,
		"True":      `"True"`,
		"1 2":       `"1 2"`,
		"{half":     `"{half"`,
		"a\x00b":    "\"a\uFFFDb\"",
		"a\xffb":    "\"a\uFFFDb\"",
		"grüße <&>": `"grüße <&>"`,
		"":          `""`,
	} {
		got, err := value(text)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

func TestOneBundleFromFlags(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t)
	args := []string{"--key", "order:8412:completed", "--user", "usr_42", "--event", "Order_Completed", "--prop", "total_cents=1299"}

	got := enqueue(t, db.URL, args...)
	require.Equal(t, ran{exitOK, "queued order:8412:completed as bundle 1\n", ""}, got)
	require.JSONEq(t, `{"v":1,"key":"order:8412:completed","user_id":"usr_42","source":"server","track":{"event":"Order_Completed","properties":{"total_cents":1299}}}`,
		query[string](t, pool, "SELECT payload::text FROM waybill.bundle"))

	got = enqueue(t, db.URL, args...)
	require.Equal(t, ran{exitOK, "duplicate: order:8412:completed is bundle 1 already\n", ""}, got)

	got = enqueue(t, db.URL, append(args, "--json")...)
	require.Equal(t, ran{exitOK, `{"key":"order:8412:completed","outcome":"duplicate","bundle_id":1,"reason":null}` + "\n", ""}, got)
	require.Equal(t, 1, query[int](t, pool, "SELECT count(*) FROM waybill.bundle"))
}

func TestOneRefusedBundleFromFlags(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	got := enqueue(t, db.URL, "--key", "k", "--user", "anonymous", "--event", "E")
	require.Equal(t, exitFailed, got.code)
	require.Empty(t, got.stdout)
	require.True(t, strings.HasPrefix(got.stderr, "refused k\n    user_id: "), got.stderr)

	got = enqueue(t, db.URL, "--key", "k", "--user", "anonymous", "--event", "E", "--json")
	require.Equal(t, exitFailed, got.code)
	require.Equal(t, "rejected", objects(t, got.stdout)[0]["outcome"])

	got = enqueue(t, db.URL, "--key", "k", "--user", "u\xff", "--event", "E")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "user_id: ")
	require.Equal(t, 0, query[int](t, db.Pool(t), "SELECT count(*) FROM waybill.bundle"), "what is refused here leaves its key free")
}

func TestHelpShowsEveryFlagAndTheEnvironment(t *testing.T) {
	t.Parallel()
	got := enqueueIn(t.Context(), t, []string{"ANALYTICS_TYPO=1"}, nil, "-h")
	require.Equal(t, exitOK, got.code)
	require.Empty(t, got.stderr)
	fits(t, got.stdout)
	for _, part := range []string{"Examples:", "--dry-run", "--prop-string NAME=TEXT", "--report FILE", "Exit codes:", "DATABASE_URL", "ANALYTICS_ENABLED"} {
		require.Contains(t, got.stdout, part)
	}
}

// FuzzValue holds that any argument becomes sound JSON, and that text is only ever
// mended, never read as something else.
func FuzzValue(f *testing.F) {
	for _, text := range []string{"", "1", "01", "NaN", `"a"`, "{", `{"a":1}`, "a\x00", "\xff", "1 ", "\ufffd", `"\ud800"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := value(text)
		require.NoError(t, err)
		require.True(t, json.Valid(got))
		if json.Valid([]byte(text)) {
			require.Equal(t, text, string(got))
			return
		}
		var back string
		require.NoError(t, json.Unmarshal(got, &back))
		if utf8.ValidString(text) && !strings.ContainsAny(text, "\x00\ufffd") && utf8.RuneCountInString(text) <= 1024 {
			require.Equal(t, text, back)
		}
	})
}
