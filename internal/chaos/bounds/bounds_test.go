//go:build unix

package bounds

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/chaos/scenario"
	"waybill/internal/devpg/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, pgtest.IgnoreServer()) }

// TestTheBoundsHoldInSmall does with real processes, as small as can be, what `make chaos
// ARGS=bounds` does at length. Ratios of times are left to that: they want a machine that
// does nothing else.
func TestTheBoundsHoldInSmall(t *testing.T) {
	t.Parallel()
	worker, err := scenario.BuildWorker(t.Context(), t.TempDir())
	require.NoError(t, err)
	small := sizes{
		kills: 2, wave: 2, restarts: 4, poisons: 1, backlogs: [2]int{300, 600},
		outage: 2 * time.Second, traffic: time.Second,
	}
	for _, m := range measurements() {
		if m.name == "throttle" || m.name == "outage" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			const bound = 4 * time.Minute // of a machine that is very slow
			ctx, cancel := context.WithTimeout(t.Context(), bound)
			defer cancel()
			b := &bench{sizes: small, seed: 1, worker: worker, dir: t.TempDir(), progress: testWriter{t}}
			rows, err := b.measure(ctx, m)
			require.NoError(t, err)
			require.NotEmpty(t, rows)
			for _, r := range rows {
				require.True(t, r.Holds, "%s", Text([]Row{r}))
				require.NotEmpty(t, r.How)
			}
			requireNarrow(t, Text(rows))
		})
	}
}

// testWriter sends progress to the test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func requireNarrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), width, line)
	}
}

func TestABoundIsHeldOnItsOwnSide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		figure float64
		sense  Sense
		holds  bool
	}{
		{14.9, AtMost, true},
		{15, AtMost, true},
		{15.1, AtMost, false},
		{15.1, AtLeast, true},
		{15, AtLeast, true},
		{14.9, AtLeast, false},
		{15, Exactly, true},
		{14, Exactly, false},
		{16, Exactly, false},
	} {
		require.Equal(t, c.holds, judge(Row{Figure: c.figure, Sense: c.sense, Bound: 15}).Holds, "%v %s 15", c.figure, c.sense)
	}
}

func TestWrongCallsEndWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"nothing"}, {"--dir"}, {"--markdown", "page", "kill"}, {"--seed", "x"}, {"--nonsense"}} {
		var stderr bytes.Buffer
		require.Equal(t, exitUsage, Command(t.Context(), args, nil, &stderr), "%v", args)
		require.NotEmpty(t, stderr.String())
	}
	var help bytes.Buffer
	require.Zero(t, Command(t.Context(), []string{"-h"}, nil, &help))
	for _, name := range names() {
		require.Contains(t, help.String(), name)
	}
	requireNarrow(t, strings.ReplaceAll(help.String(), "\t", "        "))
}

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"--quick", "--json", "-", "--dir", "kept", "--seed", "7", "kill", "stop"}, nil)
	require.NoError(t, err)
	require.Equal(t, options{quick: true, only: []string{"kill", "stop"}, json: "-", dir: "kept", seed: 7}, o)
	require.Equal(t, `make chaos ARGS="bounds --quick kill stop"`, o.command())

	o, err = parse([]string{"--markdown", "page"}, nil)
	require.NoError(t, err)
	require.Equal(t, "page", o.markdown)
	require.Equal(t, `make chaos ARGS="bounds"`, o.command())
}

func TestTheMedian(t *testing.T) {
	t.Parallel()
	require.Equal(t, 2.0, median([]float64{9, 1, 2}))
	require.Equal(t, 1.5, median([]float64{2, 1, 1, 9}))
}

func TestAProcessHasMemory(t *testing.T) {
	t.Parallel()
	mib, err := residentMiB(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, mib, 1.0)
	_, err = residentMiB(1 << 30)
	require.Error(t, err)
}

func TestATreeIsCopiedWithoutWhoServesIt(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.MkdirAll(filepath.Join(from, "base", "1"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(from, "base", "1", "relation"), []byte("rows"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(from, "postmaster.pid"), []byte("17"), 0o600))

	require.NoError(t, copyTree(from, to))

	content, err := os.ReadFile(filepath.Join(to, "base", "1", "relation"))
	require.NoError(t, err)
	require.Equal(t, "rows", string(content))
	info, err := os.Stat(filepath.Join(to, "base", "1", "relation"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoFileExists(t, filepath.Join(to, "postmaster.pid"))

	require.NoError(t, os.WriteFile(filepath.Join(to, "since"), nil, 0o600))
	require.NoError(t, replaceTree(from, to))
	require.NoFileExists(t, filepath.Join(to, "since"), "what came after the backup is gone")
	require.FileExists(t, filepath.Join(to, "base", "1", "relation"))

	require.NoError(t, os.Symlink("elsewhere", filepath.Join(from, "link")))
	require.ErrorContains(t, copyTree(from, filepath.Join(t.TempDir(), "copy")), "neither a file nor a directory")
}
