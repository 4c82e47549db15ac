//go:build unix

package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

func TestAWorkerIsKilledWithItsRequestsUnderWay(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.enqueue(t, handful)
	l.exec(t, `INSERT INTO waybill.request (worker, bundle_ids)
		SELECT 'w-1', array_agg(id) FROM waybill.bundle GROUP BY id % 2`)
	victim := &worker{process: shell(t, "sleep 60"), id: "w-1"}
	idle := &worker{process: shell(t, "sleep 60"), id: "w-2"}
	var k kill
	require.False(t, k.done(), "nothing is done before the kill")

	require.NoError(t, k.strike(t.Context(), l, idle, victim))

	require.Same(t, victim, k.worker)
	require.False(t, victim.running())
	require.True(t, idle.running())
	require.Len(t, k.held, handful)
	require.WithinDuration(t, time.Now(), k.at, time.Minute)
	require.False(t, k.done())
	k.rescue.Delivered = handful
	require.True(t, k.done())
}

func TestWorthKilling(t *testing.T) {
	t.Parallel()
	require.True(t, worthKilling(look{Holding: handful}, 0))
	require.False(t, worthKilling(look{Holding: handful - 1}, enough-1))
	require.True(t, worthKilling(look{Holding: 1}, enough))
	require.False(t, worthKilling(look{}, killPatience))
	require.False(t, worthKilling(look{Holding: handful, Busy: true}, enough), "it may be recording them")
}

func TestAWorkerWithLittleInItsHandsIsSpared(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.enqueue(t, 1)
	l.exec(t, `INSERT INTO waybill.request (worker, bundle_ids) VALUES ('w-1', '{1}')`)
	idle := &worker{process: shell(t, "echo works; exit 0"), id: "w-1"}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
	defer cancel()
	var k kill

	err := k.strike(ctx, l, idle)

	require.ErrorContains(t, err, "enough")
	require.Nil(t, k.worker)
	patience, end := context.WithTimeout(t.Context(), readyTimeout)
	defer end()
	out, err := idle.wait(patience)
	require.NoError(t, err, "it was thawed again and could finish")
	require.Equal(t, "works\n", string(out))
}

// What a frozen worker has asked for is still carried out: one that is just having its
// last request recorded has nothing in its hands.
func TestAFrozenWorkerIsLookedAtWhenTheServerIsDoneWithIt(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	w := &worker{process: shell(t, "sleep 60"), id: "w-1"}
	w.name = "frozen " + t.Name()
	conn, err := l.pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), `SELECT set_config('application_name', $1, false), pg_advisory_lock(1)`, w.name)
	require.NoError(t, err)

	seen, err := l.look(t.Context(), w)
	require.NoError(t, err)
	require.False(t, seen.Busy, "connected, and at rest")

	waiting := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // a statement that runs until the lock is free
		waiting <- l.pool.AcquireFunc(ctx, func(other *pgxpool.Conn) error {
			_, err := other.Exec(ctx, `SELECT set_config('application_name', $1, false)`, w.name)
			if err == nil {
				_, err = other.Exec(ctx, `SELECT pg_advisory_lock(1)`)
			}
			return err
		})
	}()
	require.Eventually(t, func() bool {
		seen, err := l.look(t.Context(), w)
		return err == nil && seen.Busy
	}, readyTimeout, readyPoll)

	seen, err = freeze(t.Context(), l, w)
	require.NoError(t, err)
	require.True(t, seen.Busy, "it was not waited for for ever: the frozen worker holds the lock itself")
	cancel()
	require.Error(t, <-waiting)
}
