package amplitudetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func of(user, device string) func(int) object {
	return func(int) object { return track(object{"user_id": user, "device_id": device}) }
}

func TestOneIDMaySend30PerSecondOnHTTPAveragedOver30Seconds(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	send := func(events ...object) answer { return post(f, "/2/httpapi", body(t, events...)) }

	require.Equal(t, 200, send(many(900, of("hot", "hot"))...).status)
	clock.advance(29 * time.Second)
	a := send(of("cold", "cold")(0), of("hot", "new")(0), of("cold", "cold")(0), of("new", "hot")(0))
	require.Equal(t, 429, a.status)
	require.Equal(t, "Too many requests for some devices and users", a.error())
	require.Equal(t, object{"hot": 31.0}, a.json["throttled_users"])
	require.Equal(t, object{"hot": 31.0}, a.json["throttled_devices"])
	require.Equal(t, []int{1, 3}, integers(a.json["throttled_events"]), "only the events of the hot ids")
	require.EqualValues(t, 30, a.json["eps_threshold"])
	require.Empty(t, a.header.Get("Retry-After"))
	require.Zero(t, f.CountByUser("cold"), "the whole request is refused")

	clock.advance(time.Second)
	require.Equal(t, 200, send(of("hot", "hot")(0)).status, "the refused request did not count")
}

func TestOneIDMaySend1000PerSecondOnBatch(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	text := body(t, many(2_000, of("hot", "hot"))...)
	for range 15 {
		require.Equal(t, 200, post(f, "/batch", text).status)
	}
	a := post(f, "/batch", body(t, of("hot", "hot")(0)))
	require.Equal(t, 429, a.status)
	require.EqualValues(t, 1_000, a.json["eps_threshold"])
	require.Equal(t, 429, post(f, "/2/httpapi", body(t, of("hot", "hot")(0))).status, "the count is the id's, on every endpoint")
	clock.advance(30 * time.Second)
	require.Equal(t, 200, post(f, "/batch", text).status)
}

func TestThrottleCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	f := New(Config{EPS: -1})
	for range 2 {
		require.Equal(t, 200, post(f, "/2/httpapi", body(t, many(2_000, of("hot", "hot"))...)).status)
	}
}

func TestDailyQuotaNamesItsUsersAndDevices(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now, DailyQuota: 10})
	batch(t, f, many(10, of("busy", "d1"))...)
	clock.advance(23 * time.Hour)

	a := post(f, "/batch", body(t, of("idle", "d2")(0), of("busy", "d3")(0)))
	require.Equal(t, 429, a.status)
	require.Equal(t, object{"busy": 11.0}, a.json["exceeded_daily_quota_users"])
	require.Empty(t, a.json["exceeded_daily_quota_devices"])
	require.Empty(t, a.json["throttled_users"])
	require.Equal(t, []int{1}, integers(a.json["throttled_events"]))

	clock.advance(time.Hour)
	batch(t, f, of("busy", "d3")(0))
}

func TestProjectThrottleNamesNobody(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now, ProjectEPS: 5})
	batch(t, f, many(5, of("a", "a"))...)
	a := post(f, "/batch", body(t, track()))
	require.Equal(t, 429, a.status)
	require.Equal(t, object{"code": 429.0, "error": "Too many requests"}, a.json)
	clock.advance(time.Second)
	batch(t, f, track())
}

func TestSilencedDeviceIsRefusedForGood(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	f.Silence("d1")
	a := post(f, "/batch", body(t, of("a", "d0")(0), of("a", "d1")(0), of("b", "d1")(0)))
	require.Equal(t, 400, a.status)
	require.Equal(t, "Events silenced for device_id", a.error())
	require.Equal(t, []any{"d1"}, a.json["silenced_devices"])
	require.Equal(t, []int{1, 2}, integers(a.json["silenced_events"]))
	for _, field := range []string{"eps_threshold", "exceeded_daily_quota_devices", "throttled_devices", "throttled_events"} {
		require.Contains(t, a.json, field)
	}
	f.Advance(365 * day)
	require.Equal(t, 400, post(f, "/batch", body(t, of("a", "d1")(0))).status)
	batch(t, f, of("a", "d0")(0))
}

func TestIdleIDsAreSweptOut(t *testing.T) {
	t.Parallel()
	at := newClock().now()
	r := newRates(30 * time.Second)
	for i := range firstSweep {
		r.add(fmt.Sprint(i), 1, at)
		at = at.Add(time.Millisecond)
	}
	require.Len(t, r.ids, 30_000, "those of the last 30 seconds")
	require.Equal(t, 60_000, r.sweepAt)
}
