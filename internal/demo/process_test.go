//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func shell(t *testing.T, script string) *process {
	t.Helper()
	p, err := start(program{name: "child", path: "/bin/sh", args: []string{"-c", script}, env: []string{}}, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(p.kill)
	return p
}

func TestAChildSeesNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("AMPLITUDE_API_KEY", "the person's own key")
	out, err := shell(t, "/usr/bin/env").wait(t.Context())
	require.NoError(t, err)
	require.NotContains(t, string(out), "AMPLITUDE_API_KEY")
}

func TestAFailedChildSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := shell(t, "echo no such table >&2; exit 3").wait(t.Context())
	require.ErrorContains(t, err, "child: exit status 3\nno such table")
}

func TestAChildThatEndsIsNeverReady(t *testing.T) {
	t.Parallel()
	never := func(context.Context) bool { return false }

	err := shell(t, "echo the port is taken >&2; exit 1").await(t.Context(), never)
	require.ErrorContains(t, err, "ended before it was ready")
	require.ErrorContains(t, err, "the port is taken")

	require.ErrorContains(t, shell(t, "exit 0").await(t.Context(), never), "ended before it was ready")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	require.ErrorContains(t, shell(t, "sleep 60").await(ctx, never), "enough")
}

func TestAChildThatEndsByItselfIsUnexpected(t *testing.T) {
	t.Parallel()
	p := shell(t, "read line; exit 0 < /dev/null")
	<-p.finished
	require.NoError(t, p.failure())
	require.ErrorContains(t, p.unexpected(), "child has ended by itself")

	running := shell(t, "sleep 60")
	require.NoError(t, running.unexpected())
	require.NoError(t, running.failure())
}

// A frozen child with a child of its own is the worst that close has to end.
func TestCloseLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	h, err := newStack()
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.close(context.Background()) })
	h.shop, err = start(program{
		name: "shop", path: "/bin/sh", args: []string{"-c", "sleep 60 & echo $!; wait"}, env: []string{},
	}, h.logs)
	require.NoError(t, err)
	var grandchild int
	require.NoError(t, h.shop.await(t.Context(), func(context.Context) bool {
		out, _ := os.ReadFile(filepath.Join(h.logs, "shop.out"))
		grandchild, err = strconv.Atoi(strings.TrimSpace(string(out)))
		return err == nil
	}))
	h.shop.signal(syscall.SIGSTOP)

	require.NoError(t, h.close(t.Context()))

	require.False(t, h.shop.running())
	require.NoDirExists(t, h.dir)
	require.Eventually(t, func() bool { return gone(grandchild) }, readyTimeout, readyPoll)
}

// gone says that a process has ended, whether or not its new parent has noticed.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestWaitEndsTheChildWithItsContext(t *testing.T) {
	t.Parallel()
	p := shell(t, "sleep 60")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	_, err := p.wait(ctx)
	require.ErrorContains(t, err, "interrupted")
	require.False(t, p.running())
}

func TestAMissingProgramIsNamed(t *testing.T) {
	t.Parallel()
	_, err := start(program{name: "worker-1", path: "/no/such/worker"}, t.TempDir())
	require.ErrorContains(t, err, "start worker-1")
}
