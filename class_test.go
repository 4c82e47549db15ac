package waybill

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// easyEvent is an event that its plan makes best effort.
type easyEvent struct {
	key     string
	invalid error
}

func (e easyEvent) AsEvent() Event  { return Event{Name: "Page_Viewed", Key: e.key} }
func (e easyEvent) Validate() error { return e.invalid }
func (easyEvent) BestEffort() bool  { return true }

// brittleEvent panics wherever it can.
type brittleEvent struct{}

func (brittleEvent) AsEvent() Event   { panic("boom") }
func (brittleEvent) BestEffort() bool { return true }

var errDatabase = errors.New("the database is away")

func TestThePlanMakesAnEventBestEffort(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]Trackable{
		"fine": easyEvent{key: "a"}, "invalid": easyEvent{key: "a", invalid: errors.New("page is missing")},
		"without a key": easyEvent{}, "brittle": brittleEvent{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			client, db := testClient(Config{Logger: logTo(&log)})
			receipt, err := client.Track(t.Context(), fakeTx{}, User("42"), event)
			require.NoError(t, err)
			if name == "fine" {
				require.Equal(t, 1, receipt.Queued())
				require.Equal(t, "try_enqueue", db.calls[0].function)
				return
			}
			require.Equal(t, 1, receipt.Count(Rejected))
			require.Contains(t, log.String(), "waybill: rejected")
			require.Empty(t, db.calls)
		})
	}
}

func TestWhatTheDatabaseRefusesOfABestEffortEventIsNoError(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	db.answer = func([]json.RawMessage) ([]answer, error) { return nil, errDatabase }
	receipt, err := client.Track(t.Context(), fakeTx{}, User("42"), easyEvent{key: "a"})
	require.NoError(t, err)
	require.Equal(t, []Item{{Key: "a", Outcome: Skipped, Reason: ReasonEnqueueFailed}}, receipt.Items)
	require.EqualValues(t, 1, count(client, Skipped, ReasonEnqueueFailed))
}

// TestAMixedCallKeepsStrictOnesStrict: the strict ones go first, in one statement; the
// receipt is in the order of the call.
func TestAMixedCallKeepsStrictOnesStrict(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	mixed := []Trackable{easyEvent{key: "e1"}, Event{Name: "A", Key: "s1"}, easyEvent{key: "e2"}, Event{Name: "B", Key: "s2"}}

	receipt, err := client.Track(t.Context(), fakeTx{}, User("42").With(Set("plan", "pro"), Increment("orders", 1)), mixed...)

	require.NoError(t, err)
	var keys []string
	for _, item := range receipt.Items {
		require.Equal(t, Queued, item.Outcome)
		keys = append(keys, item.Key)
	}
	require.Equal(t, []string{"e1", "s1", "e2", "s2"}, keys)
	require.Len(t, db.calls, 2)
	require.Equal(t, "enqueue", db.calls[0].function)
	require.Equal(t, "try_enqueue", db.calls[1].function)
	for _, call := range db.calls {
		for _, b := range call.bundles {
			require.Contains(t, string(b), `"plan":"pro"`)
		}
	}
	require.Equal(t, []string{"e1"}, incremented(db))
}

// Increments count with the first event of the call, whatever its class: another one may
// be a duplicate when the first is not, and would keep them from being counted.
func TestIncrementsGoWithTheFirstEvent(t *testing.T) {
	t.Parallel()
	for _, calls := range [][]Trackable{
		{Event{Name: "A", Key: "first"}, easyEvent{key: "e"}, Event{Name: "B", Key: "s"}},
		{easyEvent{key: "first"}, Event{Name: "A", Key: "s"}, easyEvent{key: "e"}},
	} {
		client, db := testClient(Config{})
		_, err := client.Track(t.Context(), fakeTx{}, User("42").With(Increment("orders", 1)), calls...)
		require.NoError(t, err)
		require.Equal(t, []string{"first"}, incremented(db))
	}
}

// incremented are the action keys of the bundles that carry increments.
func incremented(door *fakeDoor) (keys []string) {
	for _, call := range door.calls {
		for _, b := range call.bundles {
			var read struct {
				Key       string         `json:"key"`
				Increment map[string]any `json:"increment"`
			}
			if json.Unmarshal(b, &read) == nil && len(read.Increment) > 0 {
				keys = append(keys, read.Key)
			}
		}
	}
	return keys
}

func TestAStrictFailureSendsNothingElse(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	receipt, err := client.Track(t.Context(), fakeTx{}, User("42"), easyEvent{key: "e"}, Event{Name: "A", Key: "s"}, Event{Key: "nameless"})
	var rejected *RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, 2, rejected.Rejections[0].Index, "as the caller counts")
	require.ErrorContains(t, err, "1 of 3 events rejected, nothing was sent")
	require.Empty(t, db.calls)
	require.Equal(t, Item{Key: "e", Outcome: Skipped, Reason: ReasonNotSent}, receipt.Items[0])

	db.answer = func([]json.RawMessage) ([]answer, error) { return nil, errDatabase }
	receipt, err = client.Track(t.Context(), fakeTx{}, User("42"), easyEvent{key: "e"}, Event{Name: "A", Key: "s"})
	require.ErrorIs(t, err, errDatabase)
	require.Len(t, db.calls, 1, "the transaction is lost: nothing more is tried in it")
	require.Equal(t, ReasonNotSent, receipt.Items[0].Reason)
}

func TestABestEffortFailureBesideStrictOnesIsNoError(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	db.answer = func(bundles []json.RawMessage) ([]answer, error) {
		if bytes.Contains(bundles[0], []byte("Page_Viewed")) {
			return nil, errDatabase
		}
		return allQueued(bundles)
	}
	receipt, err := client.Track(t.Context(), fakeTx{}, User("42"), easyEvent{key: "e"}, Event{Name: "A", Key: "s"}, easyEvent{key: "bad", invalid: errors.New("x")})
	require.NoError(t, err)
	require.Equal(t, []Outcome{Skipped, Queued, Rejected}, []Outcome{receipt.Items[0].Outcome, receipt.Items[1].Outcome, receipt.Items[2].Outcome})
}

func TestABestEffortClientMakesEveryEventSo(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	_, err := client.BestEffort().Track(t.Context(), fakeTx{}, User("42"), easyEvent{key: "e"}, Event{Name: "A", Key: "s"})
	require.NoError(t, err)
	require.Len(t, db.calls, 1)
	require.Equal(t, "try_enqueue", db.calls[0].function)
	require.Len(t, db.calls[0].bundles, 2)
}
