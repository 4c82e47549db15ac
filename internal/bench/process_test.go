//go:build linux

package main

import (
	"bytes"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A bench that has grown must not count its own memory as a worker's.
func TestTheMemoryOfAProcessIsItsOwn(t *testing.T) {
	t.Parallel()
	const ballast = 64 << 20
	held := bytes.Repeat([]byte{1}, ballast)
	child, err := spawn(t.TempDir(), "child", os.Environ(), "/bin/sh", "-c", "echo ready; exec sleep 60")
	require.NoError(t, err)
	_, err = child.firstLine(t.Context())
	require.NoError(t, err)

	took, err := child.stop()

	require.NoError(t, err)
	require.Positive(t, took.maxBytes)
	require.Less(t, took.maxBytes, int64(ballast))
	runtime.KeepAlive(held)
}
