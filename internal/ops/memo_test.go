package ops

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// inBubble runs a memo whose question takes as long as the channel says.
func inBubble(t *testing.T, took func(call int) time.Duration, test func(t *testing.T, m *memo[int], calls *int)) {
	synctest.Test(t, func(t *testing.T) {
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
		test(t, m, &calls)
		cancel()
		<-done
	})
}

func quick(int) time.Duration { return time.Millisecond }

func TestMemoAsksOnceWhileTheAnswerIsFresh(t *testing.T) {
	t.Parallel()
	inBubble(t, quick, func(t *testing.T, m *memo[int], calls *int) {
		require.Zero(t, *calls, "nobody has asked")
		for range 5 {
			answer, _, err := m.get(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, answer)
		}
		<-time.After(11 * time.Second)
		require.Equal(t, 1, *calls, "nor does it ask on its own")
		answer, at, err := m.get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, answer)
		require.Zero(t, time.Since(at))
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
	inBubble(t, slow, func(t *testing.T, m *memo[int], _ *int) {
		_, first, err := m.get(t.Context())
		require.NoError(t, err)
		<-time.After(time.Minute)

		began := time.Now()
		answer, at, err := m.get(t.Context())
		require.Equal(t, 250*time.Millisecond, time.Since(began))
		require.NoError(t, err)
		require.Equal(t, 1, answer, "the one before")
		require.Equal(t, first, at, "and when that was")

		<-time.After(3 * time.Second)
		_, _, err = m.get(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded, "the question was ended after its 2 s")
	})
}

func TestMemoHasNoAnswerAtFirst(t *testing.T) {
	t.Parallel()
	inBubble(t, func(int) time.Duration { return time.Second }, func(t *testing.T, m *memo[int], _ *int) {
		_, at, err := m.get(t.Context())
		require.ErrorIs(t, err, errNoAnswer)
		require.True(t, at.IsZero())

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		_, _, err = m.get(gone)
		require.Error(t, err)
		require.Zero(t, time.Since(began), "a caller who has left does not wait")
	})
}

func TestMemoAsksOnceForManyCallers(t *testing.T) {
	t.Parallel()
	inBubble(t, func(int) time.Duration { return 100 * time.Millisecond }, func(t *testing.T, m *memo[int], calls *int) {
		answers := make(chan int)
		for range 50 {
			go func() {
				answer, _, err := m.get(t.Context())
				if err != nil {
					answer = -1
				}
				answers <- answer
			}()
		}
		for range 50 {
			require.Equal(t, 1, <-answers)
		}
		synctest.Wait()
		require.LessOrEqual(t, *calls, 2, "one for all, and at most one wish left over")
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
