package jobs

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
)

func TestThrottledUsersAndDevicesAreParked(t *testing.T) {
	t.Parallel()
	bundles := []string{
		`{"user_id":"hot","device_id":"d1","track":{"event":"A"}}`,
		`{"user_id":"cool","device_id":"d1","track":{"event":"B"}}`,
		`{"user_id":"hot","track":{"event":"C"}}`,
		`{"user_id":"cool","track":{"event":"D"}}`,
	}
	pause := amplitude.HTTP.Limits().ThrottlePause
	for name, c := range map[string]struct {
		answer amplitude.Answer
		parked []int
		parks  map[identity]time.Duration
	}{
		"a user": {
			amplitude.Answer{ThrottledUsers: map[string]bool{"hot": false}},
			[]int{0, 2}, map[identity]time.Duration{{kindUser, "hot"}: pause},
		},
		"a device": {
			amplitude.Answer{ThrottledDevices: map[string]bool{"d1": false}},
			[]int{0, 1}, map[identity]time.Duration{{kindDevice, "d1"}: pause},
		},
		"the device made from a user, and the user": {
			amplitude.Answer{ThrottledDevices: map[string]bool{"srv:hot": false}, ThrottledUsers: map[string]bool{"hot": false}},
			[]int{0, 2}, map[identity]time.Duration{{kindUser, "hot"}: pause, {kindDevice, "srv:hot"}: pause},
		},
		"a user over the daily quota": { // the bubble begins at midnight UTC
			amplitude.Answer{ThrottledUsers: map[string]bool{"hot": true}},
			[]int{0, 2}, map[identity]time.Duration{{kindUser, "hot"}: 24 * time.Hour},
		},
		"events alone": {
			amplitude.Answer{ThrottledEvents: []int{2, 17}},
			[]int{0, 2}, map[identity]time.Duration{{kindUser, "hot"}: pause},
		},
		"somebody else": { // the request rests rather than being sent again at once
			amplitude.Answer{ThrottledUsers: map[string]bool{"stranger": false}},
			[]int{0, 1, 2, 3}, map[identity]time.Duration{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.answer.Verdict, c.answer.Status = amplitude.Throttled, 429
			flying(t, &script{answers: []amplitude.Answer{c.answer, delivered}}, bundles, func(t *testing.T, f aboard) {
				began := time.Now()
				require.NoError(t, f.deliver(t.Context(), t.Context(), false))
				require.Equal(t, began, time.Now(), "everybody else goes out at once")
				for i, fate := range f.fates {
					require.Equal(t, slices.Contains(c.parked, i), fate.outcome == "", "bundle %d", i)
					require.Equal(t, slices.Contains(c.parked, i), !fate.until.IsZero(), "bundle %d", i)
				}
				parks := map[identity]time.Duration{}
				r := f.recording()
				for i, kind := range r.parkKinds {
					parks[identity{kind, r.parkIDs[i]}] = r.parkUntil[i].Sub(began)
				}
				require.Equal(t, c.parks, parks)
				require.True(t, f.loop.lane.state().Open)
			})
		})
	}
}

func TestAThrottledUserIsTakenOutOfEverythingThatIsLeft(t *testing.T) {
	s := &script{judge: func(events []string) amplitude.Answer {
		switch {
		case len(events) > 2:
			return amplitude.Answer{Verdict: amplitude.TooLarge, Status: 413, Bytes: 1000}
		case slices.Contains(events, "H0"):
			return amplitude.Answer{Verdict: amplitude.Throttled, Status: 429, ThrottledUsers: map[string]bool{"hot": false}, EPSThreshold: 30}
		}
		return delivered
	}}
	bundles := []string{
		`{"user_id":"hot","track":{"event":"H0"}}`, `{"user_id":"a","track":{"event":"A"}}`,
		`{"user_id":"b","track":{"event":"B"}}`, `{"user_id":"hot","track":{"event":"H1"}}`,
	}
	flying(t, s, bundles, func(t *testing.T, f aboard) {
		require.NoError(t, f.deliver(t.Context(), t.Context(), false))
		require.Equal(t, [][]string{{"H0", "A", "B", "H1"}, {"H0", "A"}, {"A"}, {"B"}}, s.requests)
		require.Equal(t, 300, f.loop.throttled.waves[hot].size)
	})
}

func TestABundleWaitsForTheLongerOfTwoPauses(t *testing.T) {
	t.Parallel()
	for _, daily := range []bool{false, true} {
		t.Run("", func(t *testing.T) {
			a := amplitude.Answer{
				Verdict: amplitude.Throttled, Status: 429,
				ThrottledUsers: map[string]bool{"hot": daily}, ThrottledDevices: map[string]bool{"srv:hot": !daily},
			}
			flying(t, &script{answers: []amplitude.Answer{a}}, []string{`{"user_id":"hot","track":{"event":"A"}}`}, func(t *testing.T, f aboard) {
				require.NoError(t, f.deliver(t.Context(), t.Context(), false))
				require.Equal(t, 24*time.Hour, time.Until(f.fates[0].until))
			})
		})
	}
}
