//go:build unix

package scenario

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func shell(t *testing.T, script string) *process {
	t.Helper()
	p, err := startProcess("child", "/bin/sh", []string{"-c", script}, nil, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(p.kill)
	return p
}

func TestAProcessThatObeysIsNotKilled(t *testing.T) {
	t.Parallel()
	p := shell(t, `trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.01; done`)
	require.Eventually(t, func() bool { return p.lastWords().Error() == "ready" }, 10*time.Second, 5*time.Millisecond)
	_, code := p.stop(time.Minute)
	require.Equal(t, 3, code)
	require.Contains(t, p.lastWords().Error(), "bye")
	require.False(t, p.running())
	p.signal(syscall.SIGTERM) // nobody is there, and nothing happens
}

func TestAProcessThatDoesNotEndIsKilled(t *testing.T) {
	t.Parallel()
	p := shell(t, `trap "" TERM; echo ready; while :; do sleep 0.01; done`)
	require.Eventually(t, func() bool { return p.lastWords().Error() == "ready" }, 10*time.Second, 5*time.Millisecond)
	took, code := p.stop(50 * time.Millisecond)
	require.Equal(t, -1, code)
	require.GreaterOrEqual(t, took, 50*time.Millisecond)
}

func TestAMissingProgramIsNamed(t *testing.T) {
	t.Parallel()
	_, err := startProcess("worker-1", "/no/such/worker", nil, nil, t.TempDir())
	require.ErrorContains(t, err, "start worker-1")
}
