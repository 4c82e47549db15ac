package ops

import (
	"context"
	"errors"
	"sync"
	"time"
)

// memo is the newest answer to a question that the database may be slow to answer.
// Callers of get wait a moment at most and then take the answer before; one goroutine,
// in run, asks, and only when somebody wants to know. However many ask, and however
// slow the database, there is one question under way.
type memo[T any] struct {
	ask      func(context.Context) (T, error)
	fresh    time.Duration // an answer as young as this needs no asking
	timeout  time.Duration // of one question
	patience time.Duration // of one caller

	wanted chan struct{} // holds one wish at most

	mu      sync.Mutex
	answer  T
	err     error
	at      time.Time     // when the answer came; zero before the first
	arrived chan struct{} // closed when the next answer is there
}

var errNoAnswer = errors.New("there is no answer yet")

func newMemo[T any](ask func(context.Context) (T, error), fresh, timeout, patience time.Duration) *memo[T] {
	return &memo[T]{
		ask: ask, fresh: fresh, timeout: timeout, patience: patience,
		wanted: make(chan struct{}, 1), arrived: make(chan struct{}), err: errNoAnswer,
	}
}

// run asks whenever an answer is wanted, until ctx ends.
func (m *memo[T]) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wanted:
		}
		asking, cancel := context.WithTimeout(ctx, m.timeout)
		answer, err := m.ask(asking)
		cancel()

		m.mu.Lock()
		m.answer, m.err, m.at = answer, err, time.Now()
		close(m.arrived)
		m.arrived = make(chan struct{})
		m.mu.Unlock()
	}
}

// get returns the newest answer, or why there is none, and when it came.
func (m *memo[T]) get(ctx context.Context) (answer T, at time.Time, err error) {
	m.mu.Lock()
	arrived := m.arrived
	stale := m.at.IsZero() || time.Since(m.at) > m.fresh
	m.mu.Unlock()

	if stale {
		select {
		case m.wanted <- struct{}{}:
		default: // somebody else's wish will do
		}
		timer := time.NewTimer(m.patience)
		defer timer.Stop()
		select {
		case <-arrived:
		case <-timer.C:
		case <-ctx.Done():
		}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answer, m.at, m.err
}
