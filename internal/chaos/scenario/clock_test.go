package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestATimeOfTheDatabaseHasOneMeaning(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var c clock
	c.step(noon, 0)
	require.Equal(t, noon, c.here(noon), "a clock that was never off")
	require.False(t, c.stepped())

	c.step(noon.Add(time.Minute), 2*time.Hour)
	c.step(noon.Add(2*time.Minute), 0)
	c.step(noon.Add(3*time.Minute), -2*time.Hour)
	c.step(noon.Add(4*time.Minute), 12*time.Hour)
	require.True(t, c.stepped())
	require.Equal(t, 12*time.Hour, c.ahead())
	for seconds, ahead := range map[int]time.Duration{
		0: 0, 59: 0, 61: 2 * time.Hour, 119: 2 * time.Hour, 121: 0, 179: 0, 181: -2 * time.Hour, 239: -2 * time.Hour, 300: 12 * time.Hour,
	} {
		at := noon.Add(time.Duration(seconds) * time.Second)
		require.Equal(t, at, c.here(at.Add(ahead)), "after %d s", seconds)
	}
}

func TestTomorrowHasBegun(t *testing.T) {
	t.Parallel()
	for _, hour := range []int{0, 12, 23} {
		now := time.Date(2026, 11, 22, hour, 59, 59, 0, time.UTC)
		var c clock
		require.Equal(t, 23, now.Add(c.tomorrow(now)).Day())
		c.step(now, 3*time.Hour)
		shown := now.Add(c.ahead())
		require.Equal(t, shown.Day()+1, now.Add(c.tomorrow(now)).Day(), "%v", shown)
	}
}
