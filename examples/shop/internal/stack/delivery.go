package stack

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deliverTimeout bounds one run of a worker.
const deliverTimeout = 2 * time.Minute

// built is the folder of the programs, empty before they are built.
var built string

// build makes the programs that anybody would deploy.
func build() (string, error) {
	dir, err := os.MkdirTemp("", "shop-test-")
	if err != nil {
		return "", err
	}
	built = dir
	ctx, cancel := context.WithTimeout(context.Background(), prepareTimeout)
	defer cancel()
	root, err := repository(ctx)
	if err != nil {
		return "", err
	}
	// Version stamps need a git that trusts the folder; symbols take time to link.
	cmd := exec.CommandContext(ctx, "go", "-C", root, "build", //nolint:gosec // this repository
		"-buildvcs=false", "-ldflags=-s -w", "-o", dir+string(filepath.Separator), "./cmd/worker", "./cmd/fakeamplitude", "./cmd/enqueue", "./cmd/plan")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
}

func removeBuilt() {
	if built != "" {
		_ = os.RemoveAll(built)
	}
}

// Program is the path of one of Waybill's programs.
func Program(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	require.NoError(t, err)
	return filepath.Join(dir, name)
}

// Amplitude is a fake one in a process of its own, asked over HTTP at its URL.
type Amplitude struct{ URL string }

// StartAmplitude starts one that ends with the test.
func StartAmplitude(t *testing.T) *Amplitude {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Program(t, "fakeamplitude"), "--addr", "127.0.0.1:0") //nolint:gosec // built above
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // it is killed when the test's context ends
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, found, line)
	return &Amplitude{URL: address}
}

// Deliver runs a worker until everything that is due has been delivered, and demands
// that it was. The worker checks what it sends against the compiled plan, if one is
// named.
func (a *Amplitude) Deliver(t *testing.T, d *Database, planFile string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deliverTimeout)
	defer cancel()
	worker := exec.CommandContext(ctx, Program(t, "worker"), "run", "--once") //nolint:gosec // built above
	worker.Env = []string{
		"DATABASE_URL=" + d.URL(Worker), "ANALYTICS_ENV=production", "ANALYTICS_PLAN=" + planFile,
		"AMPLITUDE_API_KEY=key-of-the-fake", "AMPLITUDE_ENDPOINT=" + a.URL,
	}
	out, err := worker.CombinedOutput()
	require.NoErrorf(t, err, "worker run --once: %s", out)
	require.Zerof(t, d.Count(t, `
		SELECT count(*) FROM waybill.bundle AS b
		LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
		WHERE d.outcome IS DISTINCT FROM 'delivered'`), "not everything is delivered: %s", out)
}

// Event is an event that Amplitude has stored.
type Event struct {
	Type       string              `json:"event_type"`
	UserID     string              `json:"user_id"`
	DeviceID   string              `json:"device_id"`
	Time       time.Time           `json:"time"`
	Properties map[string]any      `json:"event_properties"`
	Groups     map[string][]string `json:"groups"`
	Revenue    float64             `json:"revenue"`
}

// Events are those of a type, the newest last.
func (a *Amplitude) Events(t *testing.T, eventType string) []Event {
	t.Helper()
	var events []Event
	require.True(t, a.ask(t, "/_fake/events?limit=0&type="+url.QueryEscape(eventType), &events))
	return events
}

// Event is the only one of a type.
func (a *Amplitude) Event(t *testing.T, eventType string) Event {
	t.Helper()
	events := a.Events(t, eventType)
	require.Len(t, events, 1, eventType)
	return events[0]
}

// User is what Amplitude knows of a user.
func (a *Amplitude) User(t *testing.T, id string) map[string]any {
	t.Helper()
	var user struct {
		Properties map[string]any `json:"user_properties"`
	}
	require.True(t, a.ask(t, "/_fake/user?id="+url.QueryEscape(id), &user), "nothing is known of user %s", id)
	return user.Properties
}

// Group is what Amplitude knows of a group.
func (a *Amplitude) Group(t *testing.T, groupType, id string) map[string]any {
	t.Helper()
	var properties map[string]any
	require.True(t, a.ask(t, "/_fake/group?type="+groupType+"&id="+url.QueryEscape(id), &properties), "nothing is known of %s %s", groupType, id)
	return properties
}

// Get is the text of a page of Amplitude's.
func (a *Amplitude) Get(t *testing.T, address string) string {
	t.Helper()
	status, text := a.get(t, address)
	require.Equal(t, http.StatusOK, status, address)
	return string(text)
}

// ask reads an answer, and reports whether anything is known.
func (a *Amplitude) ask(t *testing.T, path string, into any) bool {
	t.Helper()
	status, text := a.get(t, a.URL+path)
	if status == http.StatusNotFound {
		return false
	}
	require.Equal(t, http.StatusOK, status, path)
	require.NoError(t, json.Unmarshal(text, into))
	return true
}

func (a *Amplitude) get(t *testing.T, address string) (status int, text []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	response, err := loopback.Do(request)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // it has been read
	text, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, text
}

// loopback asks the test's own processes, whatever proxy the environment names.
var loopback = &http.Client{Transport: &http.Transport{Proxy: nil}}
