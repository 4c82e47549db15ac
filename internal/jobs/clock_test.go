package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Readings are good to the time that they took.
func TestTheDatabasesClockIsReadInTheMiddle(t *testing.T) {
	t.Parallel()
	var c databaseClock
	now := time.Now()
	require.Equal(t, now, c.when(now), "before the first reading it is taken to be ours")

	c.learn(now, now.Add(2*time.Second), now.Add(2*time.Hour))

	require.Equal(t, now.Add(2*time.Hour), c.when(now.Add(time.Second)))
	require.Equal(t, now.Add(3*time.Hour), c.when(now.Add(time.Hour+time.Second)), "it goes on")
	require.InDelta(t, 2*time.Hour-time.Second, c.ahead(), float64(time.Millisecond))
}

// Our own wall clock may be set at any time. Only the monotonic one is asked what has passed
// since a reading, so the reading has to keep it.
func TestAStepOfOurClockMovesNothing(t *testing.T) {
	t.Parallel()
	var c databaseClock
	now := time.Now()
	for range 2 {
		c.learn(now, now.Add(time.Second), now)
		require.NotEqual(t, c.read.Round(0).String(), c.read.String(), "Round takes the monotonic reading off")
		c.suspect(now, now.Add(time.Second), now.Add(time.Hour))
	}
	require.NotEqual(t, c.read.Round(0).String(), c.read.String())
}

func TestAStepOfTheDatabasesClockIsCounted(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, test := range map[string]struct {
		step time.Duration
		back int
	}{
		"it goes on":              {0, 0},
		"it is a little off":      {-stepBack, 0},
		"it has stepped back":     {-stepBack - time.Second, 1},
		"it has stepped far back": {-2 * time.Hour, 1},
		"it has stepped ahead":    {2 * time.Hour, 0}, // what waits is due sooner
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c databaseClock
			c.learn(now, now, now.Add(time.Hour))
			require.Zero(t, c.steppedBack(), "the first reading is no step")
			for i := range 3 { // a step is one, however often the clock is read after it
				at := now.Add(time.Duration(i+1) * time.Minute)
				c.learn(at, at, at.Add(time.Hour+test.step))
			}
			require.Equal(t, test.back, c.steppedBack())
		})
	}
}

// The time of a statement proves a step only if it lies outside of what the statement may
// have taken: one that waited for a lock for a minute proves none.
func TestAClaimTellsOfAStepBeforeTheNextBeat(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, test := range map[string]struct {
		took, shown, want time.Duration
	}{
		"as expected":               {0, 0, 0},
		"late, and slow":            {time.Minute, time.Minute, 0},
		"early, and slow":           {time.Minute, 0, 0},
		"a little off":              {0, -unsureBy, 0},
		"stepped back":              {0, -2 * time.Hour, -2 * time.Hour},
		"stepped back, and slow":    {time.Minute, -2 * time.Hour, -2 * time.Hour},
		"stepped ahead":             {0, 2 * time.Hour, 2 * time.Hour},
		"stepped ahead, and slowly": {time.Minute, 2 * time.Hour, 2*time.Hour - time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c databaseClock
			c.learn(now, now, now)
			c.suspect(now, now.Add(test.took), now.Add(test.shown))
			require.WithinDuration(t, now.Add(test.want), c.when(now), time.Millisecond)
		})
	}
}
