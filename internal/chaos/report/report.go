//go:build unix

package report

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/scenario"
)

// Write makes a report of the runs in dir: report.md, and one picture for each seed.
func Write(dir string, results []scenario.Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	files := map[string]string{"report.md": Markdown(results)}
	for _, r := range results {
		files[picture(r)] = Timeline(r)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

func picture(r scenario.Result) string { return fmt.Sprintf("seed-%d.svg", r.Seed) }

// Markdown is the report itself.
func Markdown(results []scenario.Result) string {
	var b strings.Builder
	b.WriteString("# What was done to Waybill, and what became of it\n\n")
	b.WriteString(strings.TrimSpace(Total(results)) + "\n\n")
	b.WriteString("Each seed is a schedule of faults against real processes. Afterwards the business table is\n" +
		"compared with the ledger, with River's jobs and with what the fake Amplitude took. In every run half\n" +
		"of the traffic is one user's, one COMMIT in sixty loses its connection, one action in 150 is poison,\n" +
		"and producers roll back and panic.\n\n")
	b.WriteString("| seed | bundles | COMMITs without answer | requests | sent again | kills | orphans | kill → last orphan, alone | beside other faults | SIGTERM → exit | last fault → empty | broken |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		f := r.Figures
		fmt.Fprintf(&b, "| %d | %d | %d (%d had happened) | %d | %d | %d | %d | %s (%d kills) | %s | %s | %s | %d |\n", r.Seed, f.Committed,
			f.Unknown, f.Recovered, f.Requests, f.Absorbed, f.Kills, f.Orphans,
			seconds(f.Recover), f.Alone, seconds(f.RecoverAny), seconds(f.Stop), seconds(f.Drain), len(r.Violations))
	}
	b.WriteString("\n\"Sent again\" counts events that came after Amplitude had taken them, because an answer was lost or\n" +
		"a worker killed; each was absorbed by its insert_id. \"Alone\" are kills with orphans and with nothing\n" +
		"else wrong until the last of them was settled: they are held to 15 s. Beside other faults orphans\n" +
		"wait for Postgres and Amplitude like everybody else. \"Last fault → empty\" may hold the pause of a lane\n" +
		"that was closed: up to a minute between two probes.\n\n## Promises\n\n| rule | violations |\n|---|---|\n")
	broken := map[checker.Rule]int{}
	for _, r := range results {
		for _, v := range r.Violations {
			broken[v.Rule]++
		}
	}
	for _, rule := range checker.Rules() {
		fmt.Fprintf(&b, "| %s | %d |\n", rule, broken[rule])
	}
	for _, r := range results {
		writeSeed(&b, r)
	}
	return b.String()
}

func writeSeed(b *strings.Builder, r scenario.Result) {
	fmt.Fprintf(b, "\n## Seed %d\n\n![rate, depth and faults over time](%s)\n\n", r.Seed, picture(r))
	for _, row := range rowsOf(r.Bands) {
		times := make([]string, len(row.bands))
		for i, band := range row.bands {
			times[i] = fmt.Sprintf("%.0f–%.0f", band.From.Seconds(), band.To.Seconds())
		}
		fmt.Fprintf(b, "- %s: %s s\n", row.kind, strings.Join(times, ", "))
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Skipped)) {
		fmt.Fprintf(b, "- %s: not run, needs %s\n", kind, r.Skipped[kind])
	}
	const most = 20
	for i, v := range r.Violations {
		if i == most {
			fmt.Fprintf(b, "- … and %d more\n", len(r.Violations)-most)
			break
		}
		fmt.Fprintf(b, "- **%s**: %s\n", v.Rule, v.What)
	}
}
