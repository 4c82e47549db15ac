//go:build unix

package main

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// The demo judges by these answers: a field that was renamed would read as zero.
func TestTheFakeIsUnderstood(t *testing.T) {
	t.Parallel()
	f := &fake{url: amplitudetest.Start(t, amplitudetest.Config{}).URL}
	const body = `{"api_key": "k", "options": {"min_id_length": 1}, "events": [
		{"event_type": "$groupidentify", "user_id": "u", "device_id": "d", "insert_id": "i:a:group:account",
			"groups": {"account": "acc"}, "group_properties": {"$set": {"name": "Acme"}}},
		{"event_type": "order_completed", "user_id": "u", "device_id": "d", "insert_id": "i:a:track",
			"user_properties": {"plan_tier": "pro"}, "revenue": 12.99, "currency": "EUR"}]}`
	for range 2 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/batch", strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		response, err := loopback.Do(request)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.NoError(t, response.Body.Close())
	}

	var raw map[string]any
	require.NoError(t, f.do(t.Context(), http.MethodGet, "/_fake/stats", nil, &raw))
	for field := range reflect.TypeFor[fakeStats]().Fields() {
		require.Contains(t, raw, field.Tag.Get("json"))
	}
	stats, err := f.stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, fakeStats{Faults: map[string]int{}, Accepted: 2, Duplicates: 2}, stats)
	events, err := f.events(t.Context())
	require.NoError(t, err)
	require.Equal(t, []fakeEvent{
		{InsertID: "i:a:group:account", Type: "$groupidentify"},
		{InsertID: "i:a:track", Type: "order_completed", Revenue: 12.99},
	}, events)

	user, err := f.user(t.Context(), "u")
	require.NoError(t, err)
	require.Equal(t, "pro", user["plan_tier"])
	account, err := f.account(t.Context(), "acc")
	require.NoError(t, err)
	require.Equal(t, "Acme", account["name"])
	nobody, err := f.user(t.Context(), "nobody & co")
	require.NoError(t, err)
	require.Empty(t, nobody)
}

func TestTheFakeTakesTheFaults(t *testing.T) {
	t.Parallel()
	f := &fake{url: amplitudetest.Start(t, amplitudetest.Config{}).URL}
	require.NoError(t, f.do(t.Context(), http.MethodPost, "/_fake/faults", []byte(faultsOnTime), new(any)))
	require.Error(t, f.do(t.Context(), http.MethodPost, "/_fake/faults", []byte("nonsense"), new(any)))
	_, err := amplitudetest.ParseFaults(faultShares)
	require.NoError(t, err)
}
