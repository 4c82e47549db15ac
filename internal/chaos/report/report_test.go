//go:build unix

package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/nemesis"
	"waybill/internal/chaos/report"
	"waybill/internal/chaos/scenario"
)

func result(seed uint64, violations ...checker.Violation) scenario.Result {
	return scenario.Result{
		Seed: seed, Dir: "/tmp/waybill-chaos/seed-7", Length: time.Minute,
		Healed:  50 * time.Second,
		Skipped: map[nemesis.Kind]string{nemesis.DiskFull: "a C compiler (cc)"},
		Bands: []scenario.Band{
			{Kind: nemesis.Snapshot, To: time.Minute},
			{Kind: nemesis.KillOne, From: time.Second, To: 2 * time.Second},
			{Kind: nemesis.Outage, From: 55 * time.Second, To: 59 * time.Second},
		},
		Samples: []scenario.Sample{{At: 0}, {At: time.Second, Settled: 50, Waiting: 10}, {At: 2 * time.Second, Settled: 150}},
		Figures: checker.Figures{
			Committed: 99999, RolledBack: 9, Repeated: 7, Identities: 42, Taken: 300000, Unknown: 12, Recovered: 5, Requests: 123456, Absorbed: 1234, Kills: 5,
			Orphans: 321, Recover: 9400 * time.Millisecond, Alone: 3, RecoverAny: 27 * time.Second, Stop: 1100 * time.Millisecond, Drain: 12 * time.Second,
		},
		Violations: violations,
	}
}

func broken() scenario.Result {
	var many []checker.Violation
	for range 8 {
		many = append(many, checker.Violation{Rule: checker.NewestTraits, What: strings.Repeat("user u-22 has plan = old; ", 5)})
	}
	r := result(7, many...)
	r.Figures.Innocent = 2
	return r
}

func TestTheTableFitsATerminal(t *testing.T) {
	t.Parallel()
	table := report.Header() + report.Line(result(1)) + report.Line(broken()) + report.Total([]scenario.Result{result(1), broken()})
	for line := range strings.Lines(table) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
	require.Contains(t, table, "ok       1    99999       12    123456   1234      5    9.4s     1.1s  12.0s\n")
	require.Contains(t, table, "BAD")
	require.Contains(t, table, "newest traits: user u-22")
	require.Contains(t, table, "… and 3 more")
	require.Contains(t, table, "kept: /tmp/waybill-chaos/seed-7")
	require.Contains(t, table, "2 seeds, 1 broken: 6 faults, 199998 bundles committed")
	require.Contains(t, table, "kill to last orphan 9.4s alone (6 kills), 27.0s beside other faults")
	require.Contains(t, table, "2 bundles were rejected with everything else, and worker retry brought them")
	require.NotContains(t, report.Total([]scenario.Result{result(1)}), "worker retry")
	require.Contains(t, table, "disk full: not run, needs a C compiler (cc)")
}

func TestTheReportNamesEverything(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, report.Write(dir, []scenario.Result{result(1), broken()}))
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	require.NoError(t, err)
	for _, want := range []string{
		"2 seeds, 1 broken", "| [1](#seed-1) | 3 | 99999 |", "| newest traits | P7 | 84 users, devices and groups | 8 |", "| no loss | P4 | 199998 committed bundles | 0 |",
		"| counted once | P2, P3 | 600000 events; 2468 were sent again, and 14 actions were enqueued again | 0 |", "](seed-7.svg)",
		"- kill one worker: 1–2 s", "- open snapshot: 0–60 s", "- disk full: not run, needs a C compiler",
		"9.4s (3 kills) | 27.0s", "- **newest traits**: user u-22",
	} {
		require.Contains(t, string(text), want)
	}
	require.NotContains(t, string(text), "/tmp/", "it names no path of the machine it ran on")
	for _, name := range []string{"seed-1.svg", "seed-7.svg"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
}

func TestThePictureIsSVG(t *testing.T) {
	t.Parallel()
	for _, r := range []scenario.Result{result(1), {Seed: 2}} {
		picture := report.Timeline(r)
		decoder := xml.NewDecoder(strings.NewReader(picture))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		require.NotContains(t, picture, "NaN")
	}
	picture := report.Timeline(result(1))
	require.Contains(t, picture, ">kill one worker<")
	require.Contains(t, picture, ">outage<")
	require.Contains(t, picture, ">open snapshot<")
	require.Contains(t, picture, ">all healed<")
	require.Equal(t, 1, strings.Count(picture, ">kill one worker<"), "a row for each kind")
	require.Contains(t, picture, ">100<", "the greatest rate")
	require.Contains(t, picture, ">10<", "the greatest depth")
}

func TestAReportThatCannotBeWrittenSaysSo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.ErrorContains(t, report.Write(file, nil), "write the report")
}
