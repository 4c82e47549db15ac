package jobs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/amplitude"
)

// The lane as a policy: whatever Amplitude answers, in whatever order, it never waits
// longer than a minute unless it was asked to, never shorter than it was asked to, and
// an acceptance always opens it.
func TestTheLaneWaitsWithinItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var answers []amplitude.Answer
		for _, a := range rapid.SliceOfN(rapid.Custom(drawAnswer), 1, 12).Draw(rt, "answers") {
			// The ladder has seven steps: enough of one kind to climb it.
			answers = append(answers, slices.Repeat([]amplitude.Answer{a}, rapid.IntRange(1, 10).Draw(rt, "times"))...)
		}
		problem := ""
		synctest.Test(t, func(t *testing.T) { problem = walkLane(t.Context(), answers) })
		require.Empty(rt, problem)
	})
}

func drawAnswer(t *rapid.T) amplitude.Answer {
	verdict := rapid.SampledFrom(amplitude.Verdicts()).Draw(t, "verdict")
	answer := amplitude.Answer{
		Verdict: verdict, Status: 200,
		Elapsed: time.Duration(rapid.IntRange(1, 3000).Draw(t, "elapsed")) * time.Millisecond,
	}
	if verdict != amplitude.Delivered {
		answer.Reason = verdict.String()
		answer.RetryAfter = time.Duration(rapid.SampledFrom([]int{0, 0, 1, 90, 300}).Draw(t, "retry after")) * time.Second
	}
	return answer
}

// walkLane has the answers come in one after the other, and says what was wrong.
func walkLane(ctx context.Context, answers []amplitude.Answer) string {
	l := newLane(1, time.Now)
	for n, a := range answers {
		if err := l.enter(ctx); err != nil {
			return err.Error()
		}
		pass(a.Elapsed)
		_, is := l.leave(a, 1, true)
		if problem := judgePause(is, a); problem != "" {
			return fmt.Sprintf("after answer %d (%s): %s", n, a.Verdict, problem)
		}
	}
	return ""
}

func judgePause(is LaneState, a amplitude.Answer) string {
	var pause time.Duration
	if !is.NextProbe.IsZero() {
		pause = time.Until(is.NextProbe)
	}
	switch a.Verdict {
	case amplitude.Delivered, amplitude.Rejected, amplitude.Throttled, amplitude.TooLarge:
		if !is.Open {
			return "it is closed: " + is.Reason
		}
	case amplitude.SlowDown:
		if !is.Open || pause < max(slowDown, a.RetryAfter) {
			return fmt.Sprintf("it waits only %v", pause)
		}
	default:
		if is.Open || pause < max(probeFirst/4, a.RetryAfter) {
			return fmt.Sprintf("it waits only %v, open: %v", pause, is.Open)
		}
		if pause > max(probeMost, a.RetryAfter) {
			return fmt.Sprintf("it waits %v", pause)
		}
	}
	return ""
}
