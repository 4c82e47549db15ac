package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSlowDownPausesAndHalvesThePace(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		for range 12 { // 1,000 events a second
			require.NoError(t, l.enter(t.Context()))
			pass(time.Second)
			a := delivered
			a.Elapsed = time.Second
			l.leave(a, 1000, false)
		}
		began := time.Now()
		for range 6 {
			require.NoError(t, l.enter(t.Context()))
		}
		pass(100 * time.Millisecond)
		for range 6 { // all of them meet the same limit
			a := slowDownNow
			a.Elapsed = time.Since(began)
			l.leave(a, 1, false)
		}
		require.True(t, l.state().Open)
		require.InDelta(t, 500, l.pace.perSecond, 60, "once for all that were under way")

		w := waitingFor(t.Context(), l, 3)
		pass(slowDown - time.Millisecond)
		require.Empty(t, w.entered())
		pass(time.Millisecond)
		require.Equal(t, []int{0}, w.entered(), "one after the other, or they would come in a burst")
		l.leave(delivered, 1000, false)
		pace := time.Duration(1000 / l.pace.perSecond * float64(time.Second))
		pass(pace - 10*time.Millisecond)
		require.Empty(t, w.entered())
		pass(200 * time.Millisecond)
		require.Equal(t, []int{1}, w.entered())
	})
}

func TestThePaceRecoversAndTheLimitGoes(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		send(t, l, slowDownNow)
		require.InDelta(t, unknownPace/2, l.pace.perSecond, 0)
		pass(slowDown)
		was := l.pace.perSecond
		for seconds := 0; l.pace.perSecond > 0; seconds++ {
			require.Less(t, seconds, 200, "the limit never goes")
			pass(time.Second)
			require.NoError(t, l.enter(t.Context()))
			l.leave(delivered, 1, false)
			if seconds > 0 && l.pace.perSecond > 0 {
				require.InDelta(t, was+unknownPace/20, l.pace.perSecond, 1, "a twentieth a second")
			}
			was = l.pace.perSecond
		}
		w := waitingFor(t.Context(), l, 6)
		require.Len(t, w.entered(), 6, "everybody at once again")
	})
}

func TestAnotherSlowDownHalvesAgainButNotForEver(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, l *lane) {
		pace := float64(unknownPace)
		for range 20 {
			send(t, l, slowDownNow)
			pace = max(pace/2, slowestPace)
			require.InDelta(t, pace, l.pace.perSecond, 0.01)
		}
	})
}
