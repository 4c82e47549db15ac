package bundle_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/bundle"
)

// The files in testdata/v1 are what databases hold. They are never edited.
func golden(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "v1", name))
	require.NoError(tb, err)
	return bytes.TrimSpace(data)
}

func TestStoredFormIsStable(t *testing.T) {
	t.Parallel()
	want := &bundle.Bundle{
		V:          1,
		Key:        "order:8412:completed",
		UserID:     "usr_42",
		DeviceID:   "web-7f3a",
		OccurredAt: time.Date(2026, 11, 22, 10, 15, 0, 123e6, time.UTC),
		Identify: &bundle.Identify{
			Set:     bundle.Values{{"plan", json.RawMessage(`"pro"`)}},
			SetOnce: bundle.Values{{"signup_date", json.RawMessage(`"2026-01-01"`)}},
			Unset:   []string{"trial_ends"},
		},
		Increment: map[string]json.Number{"orders_total": "1"},
		Groups: []bundle.Group{
			{Type: "account", ID: "acc_1", Set: bundle.Values{{"name", json.RawMessage(`"Acme"`)}}},
			{Type: "workspace", ID: "ws_7", Parent: "acc_1", Set: bundle.Values{{"name", json.RawMessage(`"Berlin"`)}}},
		},
		Track: &bundle.Track{
			Event: "Order_Completed", Version: "1.0",
			Properties: json.RawMessage(`{"items":[{"sku":"A-1","n":2}],"total_cents":1299}`),
			Revenue:    &bundle.Revenue{Amount: "12.99", Currency: "EUR"},
		},
		Context: &bundle.Context{Platform: "web", AppVersion: "4.2.0", SessionID: 1790000000000, Language: "de", IP: "192.0.2.7"},
		Source:  "server",
		Trace:   map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}
	stored := golden(t, "full.json")

	got, err := bundle.Parse(stored)
	require.NoError(t, err)
	require.Equal(t, want, got)

	written, err := want.AppendJSON(nil)
	require.NoError(t, err)
	require.Equal(t, string(stored), string(written))
}

func TestEveryStoredFormIsReadWrittenAndAccepted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/v1/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			stored := golden(t, filepath.Base(file))
			b, err := bundle.Parse(stored)
			require.NoError(t, err)
			require.Empty(t, b.Refusals(noon))
			written, err := b.AppendJSON([]byte("before "))
			require.NoError(t, err)
			require.Equal(t, "before "+string(stored), string(written))
		})
	}
}

func TestAppendJSONWritesTheCurrentVersion(t *testing.T) {
	t.Parallel()
	b := bundle.Bundle{Key: "k", UserID: "u"}
	written, err := b.AppendJSON(nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"key":"k","user_id":"u"}`, string(written))
	require.Zero(t, b.V, "the caller's bundle was changed")
}

func TestAppendJSONFailsWithoutContents(t *testing.T) {
	t.Parallel()
	b := bundle.Bundle{Key: "secret-key", Increment: map[string]json.Number{"n": "secret-value"}}
	_, err := b.AppendJSON(nil)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func TestStoredBytesIsWhatPostgresWrites(t *testing.T) {
	t.Parallel()
	for compact, stored := range map[string]string{
		`{}`:                          `{}`,
		`{"a":1,"b":[1,2]}`:           `{"a": 1, "b": [1, 2]}`,
		`{"a:,":"x,\",:y\\","b":":"}`: `{"a:,": "x,\",:y\\", "b": ":"}`,
	} {
		require.Equal(t, len(stored), bundle.StoredBytes([]byte(compact)), compact)
	}
}

func TestEffectiveDeviceID(t *testing.T) {
	t.Parallel()
	require.Equal(t, "srv:usr_42", (&bundle.Bundle{UserID: "usr_42"}).EffectiveDeviceID())
	require.Equal(t, "web-1", (&bundle.Bundle{UserID: "usr_42", DeviceID: "web-1"}).EffectiveDeviceID())
}

func TestInsertIDs(t *testing.T) {
	t.Parallel()
	require.Equal(t, "x7:order:1:track", bundle.InsertID("x7", "order:1", bundle.PartTrack))
	require.Equal(t, "x7:order:1:identify", bundle.InsertID("x7", "order:1", bundle.PartIdentify))
	require.Equal(t, "x7:order:1:group:account", bundle.InsertID("x7", "order:1", bundle.PartGroup("account")))
}

// Two parts with one insert id would be one event at Amplitude. Keys may look
// like anything, insert ids included.
func TestInsertIDsNeverMeet(t *testing.T) {
	t.Parallel()
	part := rapid.Custom(func(t *rapid.T) string {
		groupType := rapid.StringMatching(`[a-z_]{1,3}|track|identify|group`).Draw(t, "type")
		b := bundle.Bundle{Key: "k", UserID: "u", Groups: []bundle.Group{{Type: groupType, ID: "g"}}}
		if len(b.Refusals(noon)) > 0 {
			groupType = "account"
		}
		return rapid.SampledFrom([]string{bundle.PartIdentify, bundle.PartTrack, bundle.PartGroup(groupType)}).Draw(t, "part")
	})
	key := rapid.StringMatching(`k(:(group|track|identify|[a-z]{1,2})){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		key1, key2 := key.Draw(t, "key1"), key.Draw(t, "key2")
		part1, part2 := part.Draw(t, "part1"), part.Draw(t, "part2")
		if key1 != key2 || part1 != part2 {
			require.NotEqual(t, bundle.InsertID("i", key1, part1), bundle.InsertID("i", key2, part2))
		}
	})
}

// noon is a moment shortly after the golden bundles occurred.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
