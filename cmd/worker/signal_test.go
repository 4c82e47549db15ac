package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/devpg/pgtest"
)

func TestTheFirstSignalStopsInOrder(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd, stderr := process(t, on(unreachable))
		stderr.until(t, "waiting for the database")
		require.NoError(t, cmd.Process.Signal(signal))
		require.NoError(t, cmd.Wait(), "exit code 0")
	}
}

func TestTheSecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	// A request that would take longer than an orderly stop allows.
	fake := amplitudetest.Start(t, amplitudetest.Config{Latency: time.Minute})
	cmd, stderr := process(t, live(db.URL, fake.URL))
	enqueue(t, db, "order:1")
	eventually(t, func() bool { return ask[int](t, db, "SELECT count(*) FROM waybill.request") == 1 })

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	stderr.until(t, "stopping")
	began := time.Now()
	// One that follows at once belongs to the first; somebody who means it asks again.
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	var err error
	for waiting := true; waiting; {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-ended:
			waiting = false
		case <-again.C:
		}
	}
	require.Error(t, err)
	require.Greater(t, time.Since(began), oneWish/2, "two at once are one wish")

	require.Equal(t, exitRuntime, cmd.ProcessState.ExitCode())
	require.Less(t, time.Since(began), 5*time.Second)
	require.Contains(t, stderr.String(), "second signal, leaving at once")
}
