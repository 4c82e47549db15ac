package jobs

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/amplitude"
)

// visit is one flight's time in the lane.
type visit struct {
	arrives, takes, patience time.Duration // patience 0 for any
	answers                  []amplitude.Verdict
	gaveUp                   bool
}

// Flights come and go, give up, fail and succeed at random: at no time are more under
// way than there are places, in a closed lane no two are sent, and everybody who does
// not give up gets through.
func TestNobodyIsForgottenInTheLane(t *testing.T) {
	t.Parallel()
	upTo := func(most time.Duration) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.Int64Range(0, int64(most)), func(n int64) time.Duration { return time.Duration(n) })
	}
	someVerdicts := rapid.SliceOfN(rapid.SampledFrom(amplitude.Verdicts()), 0, 4)
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 4).Draw(rt, "places")
		visits := make([]visit, rapid.IntRange(1, 20).Draw(rt, "flights"))
		for i := range visits {
			visits[i] = visit{arrives: upTo(2*time.Minute).Draw(rt, "arrives"), takes: upTo(30*time.Second).Draw(rt, "takes"), answers: someVerdicts.Draw(rt, "answers")}
			if rapid.IntRange(0, 3).Draw(rt, "gives up") == 0 {
				visits[i].patience = 1 + upTo(time.Minute).Draw(rt, "patience")
			}
		}
		problem := ""
		synctest.Test(t, func(t *testing.T) { problem = crowd(newLane(limit, time.Now), visits) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// crowd sends all visitors through the lane and says what went wrong.
func crowd(l *lane, visits []visit) (problem string) {
	var mu sync.Mutex
	since := map[int]time.Time{} // those in the lane
	complain := func(format string, args ...any) { problem = fmt.Sprintf(format, args...) }
	var all sync.WaitGroup
	for i := range visits {
		all.Go(func() {
			v := &visits[i]
			pass(v.arrives)
			ctx := context.Background()
			if v.patience > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, v.patience)
				defer cancel()
			}
			for _, verdict := range append(v.answers, amplitude.Delivered) {
				if err := l.enter(ctx); err != nil {
					v.gaveUp = true
					return
				}
				mu.Lock()
				since[i] = time.Now()
				l.mu.Lock()
				closed, failedAt, sending := l.closedFor != "", l.failedAt, l.sending
				l.mu.Unlock()
				if sending > l.limit {
					complain("%d are sending, and there are %d places", sending, l.limit)
				}
				for other, entered := range since {
					if other != i && closed && since[i].After(failedAt) && entered.After(failedAt) {
						complain("flights %d and %d are in a closed lane", i, other)
					}
				}
				mu.Unlock()
				pass(v.takes)
				mu.Lock()
				delete(since, i)
				mu.Unlock()
				l.leave(amplitude.Answer{Verdict: verdict, Status: 499, Elapsed: v.takes, Bytes: 1 << 20}, 100, i%2 == 0)
			}
		})
	}
	all.Wait()
	switch {
	case problem != "":
	case l.sending != 0 || len(l.line) != 0:
		problem = fmt.Sprintf("%d are still sending, %d in line", l.sending, len(l.line))
	default:
		for i, v := range visits {
			if v.gaveUp && v.patience == 0 {
				problem = fmt.Sprintf("flight %d gave up", i)
			}
		}
	}
	return problem
}

// A batch that finds the lane closed when its turn comes is a probe, and takes only a few
// bundles with it: the others go back to the front of the line.
func TestAProbeIsSmall(t *testing.T) {
	t.Parallel()
	l := &loop{batcher: newBatcher(10), lane: newLane(1, time.Now)}
	l.batcher.admit(1, 1, 1, numbered(1, 3*probeBundles))
	refs := l.batcher.take(3 * probeBundles)
	require.Len(t, l.asProbe(refs), 3*probeBundles, "an open lane takes all of it")

	l.lane.leave(amplitude.Answer{Verdict: amplitude.Refused}, 1, true)
	require.Len(t, l.asProbe(refs), 3*probeBundles, "one of them may be what is refused")

	l.lane = newLane(1, time.Now)
	l.lane.leave(amplitude.Answer{Verdict: amplitude.Unavailable}, 1, false)

	require.Equal(t, numbered(1, probeBundles), bundlesOf(l.asProbe(refs)))
	require.Equal(t, numbered(probeBundles+1, 2*probeBundles), bundlesOf(l.batcher.take(1000)))
}
