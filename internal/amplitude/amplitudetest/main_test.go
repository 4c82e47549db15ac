package amplitudetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain makes sure that no test leaves this machine, and that none leaves a goroutine behind.
func TestMain(m *testing.M) {
	var dialer net.Dialer
	http.DefaultTransport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !strings.HasPrefix(address, "127.0.0.1:") {
				return nil, fmt.Errorf("tests stay on this machine: refused to dial %s", address)
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	goleak.VerifyTestMain(m)
}

const key = "the-key"

type object = map[string]any

// clock is a time that only moves when told.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// track is a valid event with changes: a nil value removes a field.
func track(changes ...object) object {
	event := object{
		"event_type": "Order_Completed", "user_id": "usr_42", "device_id": "srv:usr_42",
		"time": newClock().at.UnixMilli(),
	}
	for _, change := range changes {
		maps.Copy(event, change)
	}
	maps.DeleteFunc(event, func(_ string, value any) bool { return value == nil })
	return event
}

func identify(userProperties object, changes ...object) object {
	event := object{"event_type": "$identify"}
	if userProperties != nil {
		event["user_properties"] = userProperties
	}
	return track(append([]object{event}, changes...)...)
}

func many(n int, event func(i int) object) []object {
	events := []object{}
	for i := range n {
		events = append(events, event(i))
	}
	return events
}

func body(t *testing.T, events ...object) string {
	t.Helper()
	text, err := json.Marshal(object{"api_key": key, "events": events, "options": object{"min_id_length": 1}})
	require.NoError(t, err)
	return string(text)
}

type answer struct {
	status int
	text   string
	json   object
	header http.Header
}

func (a answer) error() string { text, _ := a.json["error"].(string); return text }

// named are the indexes that an answer gives for a field, e.g. named("events_with_invalid_fields", "time").
func (a answer) named(class, field string) []int {
	fields, _ := a.json[class].(map[string]any)
	return integers(fields[field])
}

func integers(value any) []int {
	var n []int
	list, _ := value.([]any)
	for _, element := range list {
		n = append(n, int(element.(float64)))
	}
	return n
}

func post(f *Fake, path, body string) answer {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return serve(f, r)
}

func serve(f *Fake, r *http.Request) answer {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	a := answer{status: w.Code, text: w.Body.String(), header: w.Header()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.json)
	return a
}

// batch sends events to /batch and wants a 200.
func batch(t *testing.T, f *Fake, events ...object) {
	t.Helper()
	a := post(f, "/batch", body(t, events...))
	require.Equal(t, http.StatusOK, a.status, a.text)
}

func gzipped(text string) *bytes.Buffer {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // a bytes.Buffer takes every write
	_ = w.Close()
	return &b
}
