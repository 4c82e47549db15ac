package amplitudetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

func TestRepeatedInsertIDOfTheSameDeviceIsAbsorbed(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"insert_id": "i1", "event_properties": object{"v": 1}}))
	batch(t, f, track(object{"insert_id": "i1", "event_properties": object{"v": 2}}), track(object{"insert_id": "i2"}))

	require.Equal(t, 2, f.Total())
	require.Equal(t, Arrivals{Arrived: 2, Accepted: 1, Absorbed: 1}, f.Arrivals("i1"))
	require.Equal(t, object{"v": 1.0}, f.Events(Filter{InsertID: "i1"})[0].EventProperties, "the first write wins")
	require.Equal(t, 1, f.Stats().Duplicates)
	require.Zero(t, f.Stats().StoredTwice)
	require.Equal(t, map[string]Arrivals{"i1": {Arrived: 2, Accepted: 1, Absorbed: 1}}, f.Duplicated())
}

func TestRepetitionWithinOneRequestIsAbsorbed(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"insert_id": "i1"}), track(object{"insert_id": "i1"}))
	require.Equal(t, 1, f.Total())
}

func TestDedupSpansBothAPIs(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"insert_id": "i1"}))
	require.Equal(t, 200, post(f, "/2/httpapi", body(t, track(object{"insert_id": "i1"}))).status)
	require.Equal(t, 1, f.Total())
}

func TestDedupForgetsSevenDaysAfterReceipt(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	old := track(object{"insert_id": "i1", "time": clock.now().Add(-300 * day).UnixMilli()})
	batch(t, f, old)

	clock.advance(6*day + 22*time.Hour)
	batch(t, f, old)
	require.Equal(t, 1, f.Total(), "day 6.9: dropped, whatever the event's own time")

	clock.advance(5 * time.Hour)
	batch(t, f, old)
	require.Equal(t, 2, f.Total(), "day 7.1: stored again; the dropped repetition did not renew the memory")
	require.Equal(t, 1, f.Stats().StoredTwice)
	require.Equal(t, Arrivals{Arrived: 3, Accepted: 2, Absorbed: 1}, f.Arrivals("i1"))

	batch(t, f, old)
	require.Equal(t, 2, f.Total(), "the second one is remembered in turn")
}

func TestAdvanceMovesTheClock(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"insert_id": "i1"}))
	f.Advance(7 * day)
	batch(t, f, track(object{"insert_id": "i1"}))
	require.Equal(t, 2, f.Total())
}

func TestAnotherDeviceIsAnotherEvent(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"insert_id": "i1"}))
	batch(t, f, track(object{"insert_id": "i1", "device_id": "other"}))
	require.Equal(t, 2, f.Total())
	require.Equal(t, 1, f.Stats().StoredTwice)

	batch(t, f, track(object{"insert_id": "i1"}), track(object{"insert_id": "i1", "device_id": "other"}))
	require.Equal(t, 2, f.Total(), "both are remembered")
}

func TestDeviceAddedOnRetryIsAnotherEvent(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"insert_id": "i1", "device_id": nil}))
	batch(t, f, track(object{"insert_id": "i1", "device_id": nil}))
	require.Equal(t, 1, f.Total(), "without a device it is derived from the user, always alike")
	batch(t, f, track(object{"insert_id": "i1", "device_id": nil, "user_id": "usr_43"}))
	require.Equal(t, 2, f.Total(), "another user has another derived device")
	batch(t, f, track(object{"insert_id": "i1"}))
	require.Equal(t, 3, f.Total())
}

func TestAnotherProjectIsAnotherEvent(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	text := body(t, track(object{"insert_id": "i1"}))
	require.Equal(t, 200, post(f, "/batch", text).status)
	require.Equal(t, 200, post(f, "/batch", `{"api_key":"another",`+text[len(`{"api_key":"the-key",`):]).status)
	require.Equal(t, 2, f.Total())
	require.Len(t, f.Events(Filter{APIKey: "another"}), 1)
	require.Equal(t, map[string]int{Project(key): 1, Project("another"): 1}, f.Stats().Projects)
}

func TestDedupByInsertIDOnlyIgnoresTheDevice(t *testing.T) {
	t.Parallel()
	f := New(Config{DedupByInsertIDOnly: true})
	batch(t, f, track(object{"insert_id": "i1"}))
	batch(t, f, track(object{"insert_id": "i1", "device_id": "other"}))
	require.Equal(t, 1, f.Total())
}

func TestEventsWithoutInsertIDAreNeverAbsorbed(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"event_id": 7}), track(object{"event_id": 7}))
	require.Equal(t, 2, f.Total())
}

func TestDedupByEventIDNeedsTimeAndDeviceToMatch(t *testing.T) {
	t.Parallel()
	f := New(Config{DedupByEventID: true})
	batch(t, f, track(object{"event_id": 7}))
	batch(t, f, track(object{"event_id": 7}), track(object{"event_id": 7, "device_id": "other"}),
		track(object{"event_id": 7, "time": newClock().at.UnixMilli() + 1}), track(), track())
	require.Equal(t, 5, f.Total())
	f.Advance(7 * day)
	batch(t, f, track(object{"event_id": 7}))
	require.Equal(t, 6, f.Total())
}

func TestRefusedEventsAreNotRemembered(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	require.Equal(t, 400, post(f, "/batch", body(t, track(object{"insert_id": "i1"}), track(object{"time": "x"}))).status)
	batch(t, f, track(object{"insert_id": "i1"}))
	require.Equal(t, 1, f.Total())
	require.Equal(t, Arrivals{Arrived: 2, Accepted: 1}, f.Arrivals("i1"))
}
