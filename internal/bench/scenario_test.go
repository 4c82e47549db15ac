//go:build unix

package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func nameOf(s scenario) string { return s.name }

func TestOnlyWhatIsNamedIsMeasured(t *testing.T) {
	t.Parallel()
	all, err := chosen(options{only: []string{"soak", "drain"}})
	require.NoError(t, err)
	require.Equal(t, []string{"drain", "soak"}, mapped(all, nameOf), "in the order of the table")

	_, err = chosen(options{only: []string{"drain", "dry"}})
	require.ErrorContains(t, err, `"dry"`)
	require.ErrorContains(t, err, "soak", "it says what there is")

	all, err = chosen(options{})
	require.NoError(t, err)
	require.Len(t, all, len(scenarios))

	all, err = chosen(options{quick: true})
	require.NoError(t, err)
	require.False(t, slices.ContainsFunc(all, func(s scenario) bool { return !s.quick }))

	all, err = chosen(options{quick: true, soak: time.Minute})
	require.NoError(t, err)
	require.Contains(t, mapped(all, nameOf), "soak", "whoever says how long wants it")
}

func mapped[T, U any](all []T, f func(T) U) (out []U) {
	for _, one := range all {
		out = append(out, f(one))
	}
	return out
}

func TestTheTimeLeftLearnsFromWhatWasMeasured(t *testing.T) {
	t.Parallel()
	one := func(sizes) int { return 3 }
	c := newClock([]scenario{{name: "a", rounds: one, takes: takes(20, 10)}, {name: "soak", rounds: oneRound}}, sizes{soak: time.Minute}, false)
	require.Equal(t, 2*time.Minute, c.left(), "60 s of a and 83 s of the soak, to the minute")
	c.took("a", 5*time.Second)
	require.Equal(t, 95*time.Second, c.left(), "twice 5 s, and the soak")
}

// TestAFullRunTakesAnHourAndAHalf is a promise of the help, by what each scenario is known to take.
func TestAFullRunTakesAnHourAndAHalf(t *testing.T) {
	t.Parallel()
	all, err := chosen(options{})
	require.NoError(t, err)
	require.LessOrEqual(t, newClock(all, full, false).left(), 90*time.Minute)
	all, err = chosen(options{quick: true})
	require.NoError(t, err)
	require.LessOrEqual(t, newClock(all, quick, true).left(), 2*time.Minute)
}

func TestThirds(t *testing.T) {
	t.Parallel()
	var curve []sample
	var finished int64
	for i := range 10 {
		curve = append(curve, sample{time.Duration(i) * time.Second, finished})
		finished += map[bool]int64{true: 100, false: 50}[i < 5]
	}
	first, last := thirds(curve)
	require.InDelta(t, 100, first, 1e-9)
	require.InDelta(t, 50, last, 1e-9)
}

func TestCommandSaysHowToMakeTheSameTableAgain(t *testing.T) {
	t.Parallel()
	require.Equal(t, "make bench", options{jsonPath: "x"}.command())
	require.Equal(t, `make bench-quick ARGS="--rounds 2 --only drain,idle --soak 3m0s"`,
		options{quick: true, rounds: 2, only: []string{"drain", "idle"}, soak: 3 * time.Minute}.command())
}

// TestThePageTellsHowToMeasureEachPartAlone holds docs/performance.md to the names of the scenarios.
func TestThePageTellsHowToMeasureEachPartAlone(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/performance.md")
	require.NoError(t, err)
	told := map[string]bool{"soak": true} // has a flag of its own
	for _, use := range regexp.MustCompile("--only ([a-z,]+)").FindAllStringSubmatch(string(page), -1) {
		for _, name := range strings.Split(use[1], ",") {
			require.Contains(t, names(), name)
			told[name] = true
		}
	}
	for _, name := range names() {
		require.Truef(t, told[name], "docs/performance.md does not say --only %s", name)
	}
}
