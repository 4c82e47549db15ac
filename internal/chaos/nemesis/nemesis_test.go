package nemesis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/chaos/nemesis"
)

func TestASeedIsASchedule(t *testing.T) {
	t.Parallel()
	drawn, again := nemesis.Draw(7, time.Minute), nemesis.Draw(7, time.Minute)
	require.Equal(t, drawn, again)
	require.NotEqual(t, nemesis.Draw(7, time.Minute), nemesis.Draw(8, time.Minute))
}

// Whatever is drawn fits into the run, one fault of a kind at a time, and long runs begin
// with a kill that nothing disturbs.
func TestSchedulesFit(t *testing.T) {
	t.Parallel()
	const watched = 16 * time.Second
	seen := map[nemesis.Kind]int{}
	for seed := range uint64(500) {
		for _, length := range []time.Duration{15 * time.Second, time.Minute, 5 * time.Minute} {
			s := nemesis.Draw(seed, length)
			require.NotEmpty(t, s.Steps)
			for i, step := range s.Steps {
				seen[step.Kind]++
				require.LessOrEqual(t, step.At+step.For, length)
				require.False(t, step.Kind.OfWholeRun())
				if i > 0 {
					before := s.Steps[i-1]
					beside := step.At == before.At && step.Kind.OfAmplitude() != before.Kind.OfAmplitude()
					require.True(t, beside || step.At > before.At+before.For, "%v after %v", step, before)
				}
			}
			if length >= time.Minute {
				require.Equal(t, nemesis.KillOne, s.Steps[0].Kind)
				if len(s.Steps) > 1 {
					require.GreaterOrEqual(t, s.Steps[1].At-s.Steps[0].At, watched)
				}
			}
			count(seen, s)
		}
	}
	for _, kind := range nemesis.Kinds() {
		require.Positivef(t, seen[kind], "%s is never drawn", kind)
	}
}

// count notes what lasts for the whole run.
func count(seen map[nemesis.Kind]int, s nemesis.Schedule) {
	for kind, lasts := range map[nemesis.Kind]bool{
		nemesis.Snapshot: s.Snapshot, nemesis.Idle: s.Idle > 0, nemesis.Neighbour: s.Neighbour, nemesis.ClockOff: s.Clock != 0,
	} {
		if lasts {
			seen[kind]++
		}
	}
}

// What costs a minute is left to runs that have it, and nothing else goes wrong beside
// what needs to be looked at alone.
func TestDearFaultsHaveTheirPlace(t *testing.T) {
	t.Parallel()
	alone := []nemesis.Kind{
		nemesis.ClockAhead, nemesis.ClockBehind, nemesis.Usurper, nemesis.Quota, nemesis.SlowDown, nemesis.LongOutage,
	}
	for seed := range uint64(200) {
		for _, step := range nemesis.Draw(seed, time.Minute).Steps {
			require.NotContains(t, []nemesis.Kind{nemesis.SlowDown, nemesis.LongOutage, nemesis.Quota}, step.Kind)
		}
		steps := nemesis.Draw(seed, 5*time.Minute).Steps
		for i := 1; i < len(steps); i++ {
			if steps[i].At == steps[i-1].At {
				require.NotContains(t, alone, steps[i].Kind)
				require.NotContains(t, alone, steps[i-1].Kind)
			}
		}
	}
}

func TestOnlyWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	s := nemesis.Only(1, time.Minute, nemesis.DiskFull, nemesis.Pause, nemesis.Neighbour, nemesis.Snapshot, nemesis.Idle, nemesis.ClockOff)
	require.Equal(t, s, nemesis.Only(1, time.Minute, nemesis.DiskFull, nemesis.Pause, nemesis.Neighbour, nemesis.Snapshot, nemesis.Idle, nemesis.ClockOff))
	require.True(t, s.Snapshot && s.Neighbour)
	require.Positive(t, s.Idle)
	require.NotZero(t, s.Clock)
	require.GreaterOrEqual(t, len(s.Steps), 4)
	for i, step := range s.Steps {
		require.Equal(t, []nemesis.Kind{nemesis.DiskFull, nemesis.Pause}[i%2], step.Kind)
	}
	require.Empty(t, nemesis.Only(1, time.Minute, nemesis.Snapshot).Steps)
}

func TestEveryKindHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	names := map[nemesis.Kind]bool{}
	for _, kind := range nemesis.Kinds() {
		require.False(t, names[kind], kind)
		require.NotContains(t, string(kind), ",", "names are listed with commas")
		names[kind] = true
	}
}
