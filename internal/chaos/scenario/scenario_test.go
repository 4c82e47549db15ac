//go:build unix

package scenario

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/nemesis"
	"waybill/internal/devpg/pgtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, pgtest.IgnoreServer(), goleak.Cleanup(func(code int) {
		if workerDir != "" {
			_ = os.RemoveAll(workerDir)
		}
		os.Exit(code)
	}))
}

// TestAShortSeedHolds is the whole thing, as short as it can be: real workers, killed,
// stopped and cut off from Postgres, with answers lost meanwhile.
func TestAShortSeedHolds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	worker, err := workerBinary()
	require.NoError(t, err)

	const bound = 4 * time.Minute // of a machine that is very slow; it takes half a minute
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	r, err := Run(ctx, Options{
		Seed: 1, Duration: 13 * time.Second, Bundles: 1500, Workers: 2, Worker: worker, Dir: dir,
		Limits: checker.DefaultLimits(),
		Schedule: &nemesis.Schedule{Snapshot: true, Idle: 20, Steps: []nemesis.Step{
			{At: time.Second, For: time.Second, Kind: nemesis.KillUnwritten},
			{At: 2500 * time.Millisecond, For: time.Second, Kind: nemesis.Lost},
			{At: 4 * time.Second, For: 2 * time.Second, Kind: nemesis.PostgresCrash},
			{At: 7 * time.Second, For: 2 * time.Second, Kind: nemesis.RollingStop},
			{At: 7 * time.Second, For: 2 * time.Second, Kind: nemesis.Late},
			{At: 11 * time.Second, For: time.Second, Kind: nemesis.Backends},
		}},
	})
	require.NoError(t, err)
	t.Logf("%+v", r.Figures)
	require.Empty(t, r.Violations, "the histories are in %s", keepForLater(t, r))

	require.Greater(t, r.Figures.Committed, 100)
	require.Positive(t, r.Figures.RolledBack)
	require.Positive(t, r.Figures.Taken)
	require.Equal(t, 1, r.Figures.Kills)
	require.Len(t, r.Bands, 8, "everything was done, under a snapshot and idle connections")
	require.NotEmpty(t, r.Samples)
}

// keepForLater moves the histories of a broken run to where the test does not remove them.
func keepForLater(t *testing.T, r Result) string {
	t.Helper()
	if len(r.Violations) == 0 {
		return "nowhere"
	}
	kept, err := os.MkdirTemp("", "waybill-chaos-")
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(kept, os.DirFS(r.Dir)))
	return kept
}
