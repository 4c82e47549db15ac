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
	var snapshots, crowds int
	for seed := range uint64(500) {
		for _, length := range []time.Duration{15 * time.Second, time.Minute, 5 * time.Minute} {
			s := nemesis.Draw(seed, length)
			require.NotEmpty(t, s.Steps)
			for i, step := range s.Steps {
				seen[step.Kind]++
				require.LessOrEqual(t, step.At+step.For, length)
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
			if s.Snapshot {
				snapshots++
			}
			if s.Idle > 0 {
				crowds++
			}
		}
	}
	require.Positive(t, snapshots)
	require.Positive(t, crowds)
	for _, kind := range nemesis.Kinds() {
		require.Positivef(t, seen[kind], "%s is never drawn", kind)
	}
}
