package amplitude

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoPrintedFormShowsTheKey prints a Config and a Client, alone and inside of other values, by every verb that fmt
// leaves to a type, by loggers and by encoders.
func TestNoPrintedFormShowsTheKey(t *testing.T) {
	t.Parallel()
	cfg := Config{APIKey: testKey, Endpoint: "https://api2.amplitude.com"}
	client, err := New(cfg)
	require.NoError(t, err)

	type holder struct {
		Config  Config
		Pointer *Config
		Client  *Client
	}
	type hidden struct{ client *Client }
	values := []any{
		cfg, &cfg, client, []Config{cfg}, map[string]Config{"c": cfg}, []*Client{client},
		holder{cfg, &cfg, client}, &holder{cfg, &cfg, client}, hidden{client}, &hidden{client},
	}
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			requireNoKey(t, fmt.Sprintf(verb, value))
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		requireNoKey(t, string(encoded))
		requireNoKey(t, errors.Join(fmt.Errorf("start: %v", value)).Error())

		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "value", value)
		requireNoKey(t, log.String())
	}
	require.Equal(t, "amplitude batch at https://api2.amplitude.com", fmt.Sprintf("%+v", client))
}

func TestUnexportedFieldOfAClientDoesNotHoldTheKeyInTheOpen(t *testing.T) {
	t.Parallel()
	client, err := New(Config{APIKey: testKey, Endpoint: "https://api2.amplitude.com"})
	require.NoError(t, err)
	// A defined type without methods is printed field by field, as fmt does where it cannot call methods.
	type bare Client
	requireNoKey(t, fmt.Sprintf("%#v", (*bare)(client)))
	requireNoKey(t, fmt.Sprintf("%+v", (*bare)(client)))
}

func TestErrorsOfNewDoNotShowTheKey(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{APIKey: testKey + "\n", Endpoint: "https://api2.amplitude.com"},
		{APIKey: testKey, Endpoint: "https://api2.amplitude.com?api_key=" + testKey},
		{APIKey: testKey, Endpoint: "https://user:" + testKey + "@api2.amplitude.com"},
		{APIKey: testKey, Endpoint: "https://api2.amplitude.com/%zz" + testKey},
		{APIKey: testKey, Endpoint: "http://api2.amplitude.com"},
	} {
		_, err := New(cfg)
		require.Error(t, err)
		requireNoKey(t, err.Error())
		requireNoKey(t, fmt.Sprintf("%+v", cfg))
	}
}

// TestAnswersDoNotShowTheKey lets the other side say the key back in every way an answer can carry text.
func TestAnswersDoNotShowTheKey(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{
		"amplitude's own": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"code":400,"error":"Invalid API key: %s"}`, testKey)
		},
		"rejected field": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"code":400,"error":"bad","events_with_invalid_fields":{"%s":[0]}}`, testKey)
		},
		"page": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = fmt.Fprintf(w, `<html>upstream got {"api_key":"%s"}</html>`, testKey)
		},
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/?api_key="+testKey)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"broken protocol": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = fmt.Fprintf(conn, "api_key %s\r\n\r\n", testKey)
				_ = conn.Close()
			}
		},
	}
	for name, handler := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			defer server.Close()
			client, err := New(Config{APIKey: testKey, Endpoint: server.URL})
			require.NoError(t, err)
			defer client.CloseIdleConnections()

			answer := client.Upload(t.Context(), []json.RawMessage{[]byte(`{"event_type":"a","user_id":"u"}`)})
			require.NotEqual(t, Delivered, answer.Verdict)
			require.NotEmpty(t, answer.Reason)
			requireNoKey(t, fmt.Sprintf("%+v", answer))
		})
	}
}

// requireNoKey looks for the key as text, as hexadecimal and as a list of byte values.
func requireNoKey(t *testing.T, text string) {
	t.Helper()
	require.NotContains(t, text, testKey)
	require.NotContains(t, strings.ToLower(text), hex.EncodeToString([]byte(testKey)))
	require.NotContains(t, text, strings.Trim(fmt.Sprintf("%d", []byte(testKey)), "[]"))
}
