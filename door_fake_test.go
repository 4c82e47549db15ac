package waybill

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeTx stands for a transaction, fakeDoor for the database: it writes down each
// statement and answers that everything is queued, unless told otherwise.
type fakeTx struct{}

type fakeDoor struct {
	mu     sync.Mutex
	calls  []fakeCall
	answer func(bundles []json.RawMessage) ([]answer, error)
}

type fakeCall struct {
	function string
	bundles  []json.RawMessage
}

func (d *fakeDoor) enqueue(_ context.Context, _ fakeTx, bundles string) ([]answer, error) {
	return d.record("enqueue", bundles)
}

func (d *fakeDoor) tryEnqueue(_ context.Context, _ fakeTx, bundles string) ([]answer, error) {
	return d.record("try_enqueue", bundles)
}

func (d *fakeDoor) record(function, bundles string) ([]answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	call := fakeCall{function: function}
	if !strings.HasPrefix(bundles, "[") { // the only one
		bundles = "[" + bundles + "]"
	}
	if err := json.Unmarshal([]byte(bundles), &call.bundles); err != nil {
		return nil, err
	}
	d.calls = append(d.calls, call)
	if d.answer != nil {
		return d.answer(call.bundles)
	}
	return allQueued(call.bundles)
}

func allQueued(bundles []json.RawMessage) ([]answer, error) {
	var answers []answer
	for i := range bundles {
		answers = append(answers, answer{n: i + 1, bundleID: int64(100 + i), outcome: Queued})
	}
	return answers, nil
}

// sent returns the bundles of the only call there was.
func (d *fakeDoor) sent(t *testing.T) []json.RawMessage {
	t.Helper()
	require.Len(t, d.calls, 1, "a call is one statement")
	return d.calls[0].bundles
}

// testClient is a client on a fakeDoor, whose clock stands still.
func testClient(config Config) (*Client[fakeTx], *fakeDoor) {
	d := &fakeDoor{}
	if config.Logger == nil {
		config.Logger = discard
	}
	c := newClient[fakeTx](config, d)
	c.now = func() time.Time { return noon }
	return c, d
}

var discard = slog.New(slog.DiscardHandler)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// logTo is a logger that a test can read.
func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// count is the number of events that c counted.
func count(c *Client[fakeTx], o Outcome, reason string) int64 {
	for _, n := range c.Counts() {
		if n.Outcome == o && n.Reason == reason {
			return n.N
		}
	}
	return -1
}
