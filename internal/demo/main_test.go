//go:build unix

package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/devpg/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, pgtest.IgnoreServer()) }

func nowhere(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func TestBadArgumentsStartNothing(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--nope"}, {"--orders", "999"}, {"--orders", "many"}} {
		var stderr bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, "", nowhere(t), &stderr))
		require.Contains(t, stderr.String(), "orders", "it says what would be right")
	}
	require.Zero(t, run(t.Context(), []string{"-h"}, "", nowhere(t), new(bytes.Buffer)))
}

// The tests run in this package's directory, where the repository's root is not.
func TestItSaysWhereItMustBeStarted(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	require.Equal(t, exitFailed, run(t.Context(), nil, "", nowhere(t), &stderr))
	require.Contains(t, stderr.String(), "make demo")
}
