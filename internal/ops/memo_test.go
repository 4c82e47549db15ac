package ops

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scene is a memo at work, in a bubble of time of its own.
type scene struct {
	*testing.T
	memo  *memo[int]
	calls *int // how often it has asked
}

// play runs a test on a memo whose question takes as long as took says.
func play(t *testing.T, took func(call int) time.Duration, test func(s scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		calls := 0
		m := newMemo(func(ctx context.Context) (int, error) {
			calls++
			call := calls
			select {
			case <-time.After(took(call)):
				return call, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}, 10*time.Second, 2*time.Second, 250*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.run(ctx)
		}()
		test(scene{t, m, &calls})
		cancel()
		<-done
	})
}

func quick(int) time.Duration { return time.Millisecond }

func TestMemoAsksOnceWhileTheAnswerIsFresh(t *testing.T) {
	t.Parallel()
	play(t, quick, func(s scene) {
		require.Zero(s, *s.calls, "nobody has asked")
		for range 5 {
			answer, _, err := s.memo.get(s.Context())
			require.NoError(s, err)
			require.Equal(s, 1, answer)
		}
		<-time.After(11 * time.Second)
		require.Equal(s, 1, *s.calls, "nor does it ask on its own")
		answer, at, err := s.memo.get(s.Context())
		require.NoError(s, err)
		require.Equal(s, 2, answer)
		require.Zero(s, time.Since(at))
	})
}

func TestMemoNeverKeepsACallerWaitingForLong(t *testing.T) {
	t.Parallel()
	slow := func(call int) time.Duration {
		if call == 1 {
			return time.Millisecond
		}
		return time.Hour
	}
	play(t, slow, func(s scene) {
		_, first, err := s.memo.get(s.Context())
		require.NoError(s, err)
		<-time.After(time.Minute)

		began := time.Now()
		answer, at, err := s.memo.get(s.Context())
		require.Equal(s, 250*time.Millisecond, time.Since(began))
		require.NoError(s, err)
		require.Equal(s, 1, answer, "the one before")
		require.Equal(s, first, at, "and when that was")

		<-time.After(3 * time.Second)
		_, _, err = s.memo.get(s.Context())
		require.ErrorIs(s, err, context.DeadlineExceeded, "the question was ended after its 2 s")
	})
}

func TestMemoHasNoAnswerAtFirst(t *testing.T) {
	t.Parallel()
	play(t, func(int) time.Duration { return time.Second }, func(s scene) {
		_, at, err := s.memo.get(s.Context())
		require.ErrorIs(s, err, errNoAnswer)
		require.True(s, at.IsZero())

		gone, cancel := context.WithCancel(s.Context())
		cancel()
		began := time.Now()
		_, _, err = s.memo.get(gone)
		require.Error(s, err)
		require.Zero(s, time.Since(began), "a caller who has left does not wait")
	})
}

func TestMemoAsksOnceForManyCallers(t *testing.T) {
	t.Parallel()
	play(t, func(int) time.Duration { return 100 * time.Millisecond }, func(s scene) {
		answers := make(chan int)
		for range 50 {
			go func() {
				answer, _, err := s.memo.get(s.Context())
				if err != nil {
					answer = -1
				}
				answers <- answer
			}()
		}
		for range 50 {
			require.Equal(s, 1, <-answers)
		}
		synctest.Wait()
		require.LessOrEqual(s, *s.calls, 2, "one for all, and at most one wish left over")
	})
}

func TestMemoTellsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		m := newMemo(func(context.Context) (int, error) { return 0, broken }, time.Second, time.Second, time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go m.run(ctx)
		_, _, err := m.get(ctx)
		require.ErrorIs(t, err, broken)
	})
}
