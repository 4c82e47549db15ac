package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
)

var hot = identity{kindUser, "hot"}

// schedule asks for n bundles and returns how many are due at each time after the epoch.
func schedule(t *throttled, id identity, until time.Time, n int) map[time.Duration]int {
	waves := map[time.Duration]int{}
	for range n {
		waves[t.due(id, until).Sub(epoch)]++
	}
	return waves
}

func TestAThrottledUserComesBackInWaves(t *testing.T) {
	t.Parallel()
	th := newThrottled(amplitude.Limits{ThrottlePause: time.Minute})
	until := epoch.Add(30 * time.Second)
	th.refused(hot, until, 30*time.Second, 30)
	// 30 events a second for 30 s are 900 events, which 300 bundles may make.
	require.Equal(t, map[time.Duration]int{30 * time.Second: 300, 60 * time.Second: 300, 90 * time.Second: 100}, schedule(th, hot, until, 700))
}

func TestWavesFollowWhatAmplitudeAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pause     time.Duration
		perSecond int
		size      int
	}{
		{30 * time.Second, 30, 300},    // the HTTP API
		{15 * time.Second, 1000, 5000}, // the batch API
		{15 * time.Second, 0, unknownWave},
		{15 * time.Second, 1, smallestWave},
		{15 * time.Second, 1 << 40, largestWave},
	} {
		require.Equal(t, c.size, firstWave(c.pause, c.perSecond), "%d/s", c.perSecond)
	}
}

func TestAWaveThatIsRefusedIsFollowedBySmallerOnes(t *testing.T) {
	t.Parallel()
	th := newThrottled(amplitude.Limits{ThrottlePause: time.Minute})
	until, size := epoch, unknownWave
	for range 8 {
		until = until.Add(30 * time.Second)
		th.refused(hot, until, 30*time.Second, 0)
		require.Len(t, schedule(th, hot, until, size), 1)
		require.Equal(t, until.Add(30*time.Second), th.due(hot, until), "one more is too many")
		size = max(smallestWave, size/2)
	}
	require.Equal(t, smallestWave, size)
}

func TestRequestsThatAreRefusedTogetherCountOnce(t *testing.T) {
	t.Parallel()
	th := newThrottled(amplitude.Limits{ThrottlePause: time.Minute})
	until := epoch.Add(30 * time.Second)
	for i := range 6 {
		th.refused(hot, until.Add(time.Duration(i)*time.Second), 30*time.Second, 0)
	}
	require.Equal(t, map[time.Duration]int{30 * time.Second: unknownWave}, schedule(th, hot, until, unknownWave))
}

func TestUsersWaitForThemselvesAlone(t *testing.T) {
	t.Parallel()
	th := newThrottled(amplitude.Limits{ThrottlePause: time.Minute})
	until := epoch.Add(30 * time.Second)
	th.refused(hot, until, 30*time.Second, 0)
	schedule(th, hot, until, 10_000)
	require.Equal(t, until, th.due(identity{kindUser, "other"}, until))
	require.Equal(t, until, th.due(identity{kindDevice, "hot"}, until))
}

func TestWhomAnotherWorkerParkedComesBackInWavesToo(t *testing.T) {
	t.Parallel()
	th := newThrottled(amplitude.Limits{ThrottlePause: time.Minute})
	until := epoch.Add(10 * time.Second)
	require.Equal(t, map[time.Duration]int{10 * time.Second: 200, 70 * time.Second: 100}, schedule(th, hot, until, 300))
	until = until.Add(time.Minute) // parked once more
	require.Equal(t, map[time.Duration]int{70 * time.Second: 200}, schedule(th, hot, until, 200))
	require.Equal(t, epoch.Add(130*time.Second), th.due(hot, epoch.Add(time.Second)), "an older word does not count")
}

// What Amplitude or another worker does not say is taken from the documents.
func TestWhatIsDocumentedStandsIn(t *testing.T) {
	t.Parallel()
	until := epoch.Add(10 * time.Second)
	foreign, silent := newThrottled(amplitude.Batch.Limits()), newThrottled(amplitude.HTTP.Limits())
	require.Equal(t, map[time.Duration]int{10 * time.Second: 5000, 25 * time.Second: 100}, schedule(foreign, hot, until, 5100))
	silent.refused(hot, until, 30*time.Second, 0)
	require.Equal(t, map[time.Duration]int{10 * time.Second: 300, 40 * time.Second: 10}, schedule(silent, hot, until, 310))
}

// A backlog of any size asks again within minutes: by then more may be allowed.
func TestNobodyWaitsForLongBeforeAskingAgain(t *testing.T) {
	t.Parallel()
	th := newThrottled(amplitude.Limits{ThrottlePause: time.Minute})
	schedule(th, hot, epoch, 100*unknownWave)
	require.Equal(t, epoch.Add(lastWave), th.due(hot, epoch))
}

// After the database's clock has stepped back, a park that was written before lies hours
// ahead. The end of a UTC day, a daily quota's, may.
func TestAParkFromBeforeTheClockSteppedBackIsShort(t *testing.T) {
	t.Parallel()
	th := newThrottled(amplitude.Batch.Limits())
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	for until, want := range map[time.Time]time.Time{
		now.Add(10 * time.Second):              now.Add(10 * time.Second),
		now.Add(longestPause):                  now.Add(longestPause),
		now.Add(2*time.Hour + 10*time.Second):  now.Add(15 * time.Second),
		now.Add(4 * time.Hour):                 now.Add(4 * time.Hour),
		now.Add(28 * time.Hour):                now.Add(15 * time.Second),
		now.Add(4*time.Hour + time.Nanosecond): now.Add(15 * time.Second),
	} {
		require.Equal(t, want, th.plausible(until, now), until)
	}

	th.refused(hot, now.Add(15*time.Second), 15*time.Second, 0)
	now = now.Add(-2 * time.Hour)
	require.Equal(t, now.Add(15*time.Second), th.due(hot, now.Add(15*time.Second)), "nor is it remembered")
}

func TestWhoBehavesIsForgotten(t *testing.T) {
	t.Parallel()
	th := newThrottled(amplitude.Limits{ThrottlePause: time.Minute})
	for i := range 100 {
		th.refused(identity{kindUser, fmt.Sprint("r", i)}, epoch, 30*time.Second, 0)
		th.due(identity{kindUser, fmt.Sprint("d", i)}, epoch)
	}
	require.Len(t, th.waves, 200)
	th.due(hot, epoch.Add(forgetWave+time.Second))
	require.Len(t, th.waves, 1)
	th.refused(identity{kindUser, "another"}, epoch.Add(2*forgetWave+2*time.Second), 30*time.Second, 0)
	require.Len(t, th.waves, 1)
}

func TestADailyQuotaEndsWithTheUTCDay(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, now := range []time.Time{
		time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 22, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(2026, 11, 23, 8, 0, 0, 0, time.FixedZone("east", 9*3600)),
	} {
		require.True(t, midnight.Equal(nextUTCDay(now)), now)
	}
}
