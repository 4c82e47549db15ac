package waybill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLimitsOfACall(t *testing.T) {
	t.Parallel()
	large := Event{Name: "A", Key: "k", Properties: Properties{}}
	for i := range 240 {
		large.Properties[fmt.Sprint("p", i)] = strings.Repeat("x", 1024)
	}
	huge := Event{Name: "A", Key: "k", Properties: Properties{"more": large.Properties, "of": large.Properties}}

	// 200 KB, to which Postgres adds 100 KB of spaces.
	spaced := Event{Name: "A", Key: "spaced", Properties: Properties{"zeros": make([]int, 100_000)}}

	for want, events := range map[string][]Trackable{
		"waybill: 10001 of 10001 events rejected, nothing was sent: call: has more than 10,000 events; split it":        repeat(Event{Name: "A", Key: "k"}, 10_001),
		"waybill: 280 of 280 events rejected, nothing was sent: call: is larger than 64 MB; split it":                   repeat(large, 280),
		`waybill: 1 of 1 events rejected, nothing was sent: event 0 "k": bundle: is larger than 256 KB; send less`:      {huge},
		`waybill: 1 of 1 events rejected, nothing was sent: event 0 "spaced": bundle: is larger than 256 KB; send less`: {spaced},
	} {
		client, db := testClient(Config{})
		receipt, err := client.Track(t.Context(), fakeTx{}, User("42"), events...)
		require.EqualError(t, err, want)
		require.Equal(t, len(events), receipt.Count(Rejected))
		require.Empty(t, db.calls)
	}
}

func TestTenThousandEventsAreOneCall(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	receipt, err := client.BestEffort().Track(t.Context(), fakeTx{}, User("42"), repeat(Event{Name: "A", Key: "k"}, 10_001)...)
	require.NoError(t, err)
	require.Equal(t, 10_001, receipt.Count(Rejected))
	require.Empty(t, db.calls)

	receipt, err = client.Track(t.Context(), fakeTx{}, User("42"), repeat(Event{Name: "A", Key: "k"}, 10_000)...)
	require.NoError(t, err)
	require.Equal(t, 10_000, receipt.Queued())
	require.Len(t, db.sent(t), 10_000)
}

func TestLogOfABestEffortCallIsBounded(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	client, _ := testClient(Config{Logger: logTo(&log)})
	_, err := client.BestEffort().Track(t.Context(), fakeTx{}, User("42"), repeat(Event{Key: "k"}, 500)...)
	require.NoError(t, err)
	require.Equal(t, 11, strings.Count(log.String(), "\n"))
	require.Contains(t, log.String(), `msg="waybill: more rejected" count=490`)
}

func TestCancelledContextSendsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client, db := testClient(Config{})
	_, err := client.Track(ctx, fakeTx{}, User("42"), Event{Name: "A", Key: "k"})
	require.ErrorIs(t, err, context.Canceled)
	receipt, err := client.BestEffort().Track(ctx, fakeTx{}, User("42"), Event{Name: "A", Key: "k"})
	require.NoError(t, err)
	require.Equal(t, ReasonEnqueueFailed, receipt.Items[0].Reason)
	require.Empty(t, db.calls)
}

func TestTraceTravelsIfItIsUsable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hook func(context.Context) (string, string)
		want string
	}{
		"both":        {func(context.Context) (string, string) { return "00-ab-cd-01", "v=1" }, `{"traceparent": "00-ab-cd-01", "tracestate": "v=1"}`},
		"parent":      {func(context.Context) (string, string) { return "00-ab-cd-01", "" }, `{"traceparent": "00-ab-cd-01"}`},
		"bad state":   {func(context.Context) (string, string) { return "00-ab-cd-01", strings.Repeat("x", 513) }, `{"traceparent": "00-ab-cd-01"}`},
		"none":        {func(context.Context) (string, string) { return "", "v=1" }, `null`},
		"not a value": {func(context.Context) (string, string) { return "00\n", "" }, `null`},
		"panic":       {func(context.Context) (string, string) { panic("tracer") }, `null`},
	} {
		client, db := testClient(Config{Trace: tc.hook})
		_, err := client.Track(t.Context(), fakeTx{}, User("42"), Event{Name: "A", Key: "k"})
		require.NoError(t, err, name)
		var sent struct{ Trace json.RawMessage }
		require.NoError(t, json.Unmarshal(db.sent(t)[0], &sent))
		if sent.Trace == nil {
			sent.Trace = json.RawMessage("null")
		}
		require.JSONEq(t, tc.want, string(sent.Trace), name)
	}
}

func TestClientMayBeShared(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	actor := User("42").With(Set("plan", "pro"))
	var wg sync.WaitGroup
	var errs [8]error
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = client.Track(t.Context(), fakeTx{}, actor.With(Set("n", i)), Event{Name: "A", Key: "k"})
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs[:]...))
	require.Len(t, db.calls, 8)
	require.EqualValues(t, 8, count(client, Queued, ""))
}

func TestEveryCountIsThereFromTheStart(t *testing.T) {
	t.Parallel()
	client, _ := testClient(Config{})
	seen := map[Count]bool{}
	for _, n := range client.Counts() {
		require.Zero(t, n.N)
		require.NotEmpty(t, n.Outcome)
		require.False(t, seen[n])
		seen[n] = true
	}
	require.Len(t, seen, int(tallies))
}
