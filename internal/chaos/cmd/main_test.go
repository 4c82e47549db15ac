//go:build unix

package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"--seeds", "7, 8", "--duration", "5s", "--bundles", "9", "--workers", "2", "--report", "out", "--dir", "kept"}, nil)
	require.NoError(t, err)
	require.Equal(t, options{
		seeds: []uint64{7, 8}, duration: 5 * time.Second, bundles: 9, workers: 2, report: "out", dir: "kept",
	}, o)

	o, err = parse(nil, nil)
	require.NoError(t, err)
	require.Len(t, o.seeds, 10)
	require.Equal(t, time.Minute, o.duration)
}

func TestWrongCallsEndWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--seeds", "one"}, {"--seeds", ""}, {"--duration", "soon"}, {"--nonsense"}} {
		var stderr bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, nil, &stderr), "%v", args)
		require.NotEmpty(t, stderr.String())
	}
	require.Zero(t, run(t.Context(), []string{"-h"}, nil, new(bytes.Buffer)))
}
