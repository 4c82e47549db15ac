package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
)

var (
	delivered   = amplitude.Answer{Verdict: amplitude.Delivered, Status: 200}
	unavailable = amplitude.Answer{Verdict: amplitude.Unavailable, Status: 503, Reason: "down"}
	refusal     = amplitude.Answer{Verdict: amplitude.Refused, Status: 403, Reason: "Forbidden"}
	slowDownNow = amplitude.Answer{Verdict: amplitude.SlowDown, Status: 429}
)

// inBubble runs a test on a clock of its own, with a lane of so many places.
func inBubble(t *testing.T, limit int, test func(t *testing.T, l *lane)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newLane(limit, time.Now)) })
}

// entrants is who has been let in, in order.
type entrants struct {
	lane *lane
	in   chan int
}

// waitingFor lets n flights queue up one after the other.
func waitingFor(ctx context.Context, l *lane, n int) *entrants {
	w := &entrants{l, make(chan int, n)}
	for i := range n {
		go func() {
			if l.enter(ctx) == nil {
				w.in <- i
			}
		}()
		synctest.Wait()
	}
	return w
}

// entered is who has got in by now, in order.
func (w *entrants) entered() []int {
	synctest.Wait()
	var in []int
	for len(w.in) > 0 {
		in = append(in, <-w.in)
	}
	return in
}

// pass lets time go by on the bubble's clock.
func pass(d time.Duration) { <-time.After(d) }

// send has one request answered at once.
func send(t *testing.T, l *lane, a amplitude.Answer) (was, is LaneState) {
	t.Helper()
	require.NoError(t, l.enter(t.Context()))
	return l.leave(a, 1, true)
}

func TestAnOpenLaneLetsInAsManyAsItHasPlacesFor(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, l *lane) {
		w := waitingFor(t.Context(), l, 5)
		require.Equal(t, []int{0, 1}, w.entered())
		l.leave(delivered, 1, false)
		require.Equal(t, []int{2}, w.entered(), "first come, first served")
		l.abandon()
		require.Equal(t, []int{3}, w.entered(), "whoever sent nothing gives the place back, too")
		l.leave(delivered, 1, false)
		require.Equal(t, []int{4}, w.entered())
	})
}

func TestAClosedLaneLetsOneProbeAtATimeThrough(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		send(t, l, unavailable)
		w := waitingFor(t.Context(), l, 3)
		require.Empty(t, w.entered())
		for _, next := range []int{0, 1, 2} {
			pass(probeMost)
			require.Equal(t, []int{next}, w.entered(), "after a failed probe it is another flight's turn")
			pass(probeMost)
			require.Empty(t, w.entered(), "while the probe is under way nobody else goes")
			l.leave(unavailable, 1, false)
		}
	})
}

func TestAnAcceptedProbeOpensTheLaneForAllAtOnce(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		for range 10 {
			send(t, l, unavailable)
		}
		w := waitingFor(t.Context(), l, 7)
		pass(probeMost)
		require.Equal(t, []int{0}, w.entered())
		was, is := l.leave(delivered, 1, false)
		require.False(t, was.Open)
		require.True(t, is.Open)
		require.ElementsMatch(t, []int{1, 2, 3, 4, 5, 6}, w.entered())
	})
}

func TestALateAcceptanceOpensTheLaneAtOnce(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		require.NoError(t, l.enter(t.Context())) // under way when the lane closes
		asked := unavailable
		asked.RetryAfter = time.Hour
		send(t, l, asked)
		w := waitingFor(t.Context(), l, 2)
		require.Empty(t, w.entered())
		l.leave(delivered, 1, false)
		require.Len(t, w.entered(), 2)
	})
}

func TestVerdictsThatOpenAndClose(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[amplitude.Verdict]struct{ opens, closes bool }{
		amplitude.Delivered:     {opens: true},
		amplitude.Rejected:      {opens: true},
		amplitude.Throttled:     {opens: true},
		amplitude.TooLarge:      {opens: true},
		amplitude.SlowDown:      {opens: true},
		amplitude.Refused:       {closes: true}, // when it refuses everything
		amplitude.KeyRefused:    {closes: true},
		amplitude.WrongEndpoint: {closes: true},
		amplitude.Unavailable:   {closes: true},
		amplitude.Ambiguous:     {closes: true},
	} {
		t.Run(verdict.String(), func(t *testing.T) {
			inBubble(t, 6, func(t *testing.T, l *lane) {
				_, is := send(t, l, amplitude.Answer{Verdict: verdict, Status: 499, Reason: "said so"})
				require.Equal(t, !want.closes, is.Open)
				if want.closes {
					require.Equal(t, verdict.String(), is.Reason)
					require.Equal(t, "said so", is.Detail)
					require.Equal(t, time.Now(), is.Since)
					require.True(t, is.NextProbe.After(time.Now()))
				}
				pass(2 * time.Minute)
				send(t, l, unavailable)
				_, is = send(t, l, amplitude.Answer{Verdict: verdict, Status: 499})
				require.Equal(t, want.opens, is.Open)
			})
		})
	}
	require.Len(t, amplitude.Verdicts(), 10, "each has its line above")
}

// The pauses double from a second to a minute, each drawn between next to nothing and
// all of it.
func TestBackoff(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, l *lane) {
		spread := map[int]map[time.Duration]bool{}
		for range 200 {
			most := probeFirst
			for step := range 10 {
				before := time.Now()
				_, is := send(t, l, unavailable)
				pause := time.Until(is.NextProbe)
				require.GreaterOrEqual(t, pause, probeFirst/4)
				require.Less(t, pause, most)
				require.Equal(t, before.Add(time.Since(before)), time.Now())
				if spread[step] == nil {
					spread[step] = map[time.Duration]bool{}
				}
				spread[step][pause] = true
				most = min(2*most, probeMost)
			}
			send(t, l, delivered) // and the ladder begins anew
		}
		for step := range 10 {
			require.Greater(t, len(spread[step]), 100, "step %d is drawn", step)
		}
	})
}

func TestAPauseIsKept(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, l *lane) {
		for range 20 {
			_, is := send(t, l, unavailable)
			require.NoError(t, l.enter(t.Context()))
			require.Equal(t, is.NextProbe, time.Now(), "not sooner, and not later")
			l.abandon()
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		asked := unavailable
		asked.RetryAfter = 4 * time.Minute
		_, is := send(t, l, asked)
		require.Equal(t, time.Now().Add(4*time.Minute), is.NextProbe)

		asked = slowDownNow
		asked.RetryAfter = 5 * time.Minute
		_, is = send(t, l, asked)
		require.Equal(t, time.Now().Add(5*time.Minute), is.NextProbe)
	})
}

// Requests that were under way together and fail together are one failure: the next
// probe goes out within the first second.
func TestRequestsThatFailTogetherAreOneFailure(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		for range 6 {
			require.NoError(t, l.enter(t.Context()))
		}
		began := time.Now()
		pass(time.Second)
		for range 6 {
			a := unavailable
			a.Elapsed = time.Since(began)
			l.leave(a, 1, false)
			pass(10 * time.Millisecond)
		}
		require.Less(t, l.state().NextProbe.Sub(began), 2*time.Second)

		late := unavailable // asks for more than the lane would wait
		late.Elapsed, late.RetryAfter = time.Since(began), time.Minute
		l.sending++
		_, is := l.leave(late, 1, false)
		require.Equal(t, time.Now().Add(time.Minute), is.NextProbe)
	})
}

func TestARefusalOfOneBundleDoesNotCloseTheLane(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		require.NoError(t, l.enter(t.Context()))
		_, is := l.leave(refusal, 1, false)
		require.True(t, is.Open)
	})
}

// In a lane that is closed because everything is refused each refusal is a failed
// probe. After an outage the first one is news: somebody answers again.
func TestRefusalsInAClosedLane(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, l *lane) {
		for range 12 {
			send(t, l, unavailable)
		}
		require.NoError(t, l.enter(t.Context()))
		_, is := l.leave(refusal, 1, false)
		require.False(t, is.Open)
		require.Equal(t, "refused", is.Reason)
		require.Less(t, time.Until(is.NextProbe), probeFirst)

		longest := time.Duration(0)
		for range 100 {
			require.NoError(t, l.enter(t.Context()))
			_, is = l.leave(refusal, 1, false)
			longest = max(longest, time.Until(is.NextProbe))
		}
		require.Greater(t, longest, 20*time.Second, "the pauses grow")
	})
}

func TestTheLimitIsLearntFrom413(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, l *lane) {
		tooLarge := func(status, bytes int) {
			send(t, l, amplitude.Answer{Verdict: amplitude.TooLarge, Status: status, Bytes: bytes})
		}
		require.Equal(t, 20_000_000, l.bytes(20_000_000))
		tooLarge(0, 30_000_000)
		require.Equal(t, 20_000_000, l.bytes(20_000_000), "what was not sent teaches nothing")
		tooLarge(413, 1_000_000)
		require.Equal(t, 500_000, l.bytes(20_000_000))
		require.Equal(t, 400_000, l.bytes(400_000), "the documented limit holds too")
		tooLarge(413, 2_000_000)
		require.Equal(t, 500_000, l.bytes(20_000_000), "one large bundle does not raise it")
		tooLarge(413, 100)
		require.Equal(t, smallestRequest, l.bytes(20_000_000))

		var accepted int
		for ; l.bytes(20_000_000) < 20_000_000; accepted++ { // the proxy is gone
			send(t, l, delivered)
		}
		require.Greater(t, accepted, 300)
		for range 100 {
			send(t, l, delivered)
		}
		require.Zero(t, l.maxBytes, "what was learnt is forgotten once it limits nothing")
		for range 10_000 {
			send(t, l, delivered)
			require.Equal(t, 20_000_000, l.bytes(20_000_000))
		}
	})
}

func TestOnlyARequestThatBeganLaterIsEvidence(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, l *lane) {
		require.NoError(t, l.enter(t.Context()))
		began := time.Now()
		pass(time.Second)
		refusedAt := time.Now()
		pass(time.Second)
		slow := delivered
		slow.Elapsed = time.Since(began)
		l.leave(slow, 1, false)
		require.False(t, l.acceptedSince(refusedAt), "it may have been taken before everything was refused")
		require.True(t, l.acceptedSince(began.Add(-1)))
		send(t, l, delivered)
		require.True(t, l.acceptedSince(refusedAt))
	})
}

func TestWhoGivesUpLeavesNoGap(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, l *lane) {
		require.NoError(t, l.enter(t.Context()))
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error)
		go func() { result <- l.enter(ctx) }()
		synctest.Wait()
		w := waitingFor(t.Context(), l, 2)
		cancel(gone)
		require.ErrorIs(t, <-result, gone)
		require.Empty(t, w.entered())
		l.leave(delivered, 1, false)
		require.Equal(t, []int{0}, w.entered())

		// Let in and cancelled in the same moment, it gives the place back.
		turn := make(chan struct{})
		l.mu.Lock()
		l.line = append([]chan struct{}{turn}, l.line...)
		l.mu.Unlock()
		l.leave(delivered, 1, false)
		<-turn
		require.Empty(t, w.entered())
		l.withdraw(turn)
		require.Equal(t, []int{1}, w.entered())
		l.leave(delivered, 1, false)
		require.Zero(t, l.sending)
		require.Empty(t, l.line)
	})
}

// A closed lane with a thousand flights in line looks at the clock a few times per
// probe, and at nothing in between.
func TestWaitingCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64 // the alarm looks on a goroutine of its own
		var probes int64
		l := newLane(6, func() time.Time { looks.Add(1); return time.Now() })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		send(t, l, unavailable)
		w := waitingFor(ctx, l, 1000)
		before := looks.Load()
		for end := time.Now().Add(time.Hour); time.Now().Before(end); pass(time.Second) {
			for range w.entered() {
				probes++
				l.leave(unavailable, 1, false)
			}
		}
		require.Greater(t, probes, int64(60))
		require.Less(t, looks.Load()-before, 10*probes)
		cancel()
		synctest.Wait()
		require.Empty(t, l.line)
	})
}
