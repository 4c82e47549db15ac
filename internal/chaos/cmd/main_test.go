//go:build unix

package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/chaos/nemesis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"--seeds", "7, 8", "--duration", "5s", "--bundles", "9", "--workers", "2", "--parallel", "3", "--report", "out", "--dir", "kept", "--faults", "disk full, outage"}, nil)
	require.NoError(t, err)
	require.Equal(t, options{
		seeds: []uint64{7, 8}, duration: 5 * time.Second, bundles: 9, workers: 2, parallel: 3, report: "out", dir: "kept",
		faults: []nemesis.Kind{nemesis.DiskFull, nemesis.Outage},
	}, o)

	o, err = parse(nil, nil)
	require.NoError(t, err)
	require.Nil(t, o.schedule(1), "a seed draws its own")
	require.Positive(t, o.parallel)
}

// Without arguments the run does everything, and has fifty kills over 100,000 bundles in
// less than an hour.
func TestTheLongRunIsLongEnough(t *testing.T) {
	t.Parallel()
	o, err := parse(nil, nil)
	require.NoError(t, err)
	const (
		kills, bundles = 50, 100_000
		around         = 45 * time.Second // starting everything, and draining
	)
	require.GreaterOrEqual(t, o.bundles*len(o.seeds), bundles*11/10, "some are given up")
	require.Less(t, time.Duration(len(o.seeds))*(o.duration+around), time.Hour)
	killed, seen := 0, map[nemesis.Kind]bool{}
	for _, seed := range o.seeds {
		s := nemesis.Draw(seed, o.duration)
		for kind, lasts := range map[nemesis.Kind]bool{
			nemesis.Snapshot: s.Snapshot, nemesis.Idle: s.Idle > 0, nemesis.Neighbour: s.Neighbour, nemesis.ClockOff: s.Clock != 0,
		} {
			seen[kind] = seen[kind] || lasts
		}
		for _, step := range s.Steps {
			seen[step.Kind] = true
			switch step.Kind {
			case nemesis.KillOne, nemesis.KillLeader, nemesis.KillUnwritten:
				killed++
			case nemesis.KillAll, nemesis.Usurper:
				killed += o.workers
			default:
			}
		}
	}
	require.GreaterOrEqual(t, killed, kills)
	for _, kind := range nemesis.Kinds() {
		require.True(t, seen[kind], "no seed has: %s", kind)
	}
	t.Logf("%d kills", killed)
}

func TestWrongCallsEndWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--seeds", "one"}, {"--seeds", ""}, {"--duration", "soon"}, {"--nonsense"}, {"--faults", "boredom"}} {
		var stderr bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, nil, &stderr), "%v", args)
		require.NotEmpty(t, stderr.String())
	}
	require.Zero(t, run(t.Context(), []string{"-h"}, nil, new(bytes.Buffer)))
}
