//go:build unix

package report

import (
	"fmt"
	"os"
	"path/filepath"
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
		"compared with the ledger, with River's jobs and with what the fake Amplitude took.\n\n")
	b.WriteString("| seed | bundles | COMMITs without answer | requests | sent again | kills | orphans | kill → last orphan | SIGTERM → exit | last fault → empty | broken |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		f := r.Figures
		fmt.Fprintf(&b, "| %d | %d | %d (%d had happened) | %d | %d | %d | %d | %s | %s | %s | %d |\n", r.Seed, f.Committed,
			f.Unknown, f.Recovered, f.Requests, f.Absorbed, f.Kills, f.Orphans,
			seconds(f.Recover), seconds(f.Stop), seconds(f.Drain), len(r.Violations))
	}
	b.WriteString("\n\"Sent again\" counts events that came after Amplitude had taken them, because an answer was lost or\n" +
		"a worker killed; each was absorbed by its insert_id. \"Kill → last orphan\" is measured where nothing\n" +
		"else was wrong meanwhile.\n\n## Promises\n\n| rule | violations |\n|---|---|\n")
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
	if r.Schedule.Snapshot {
		b.WriteString("- a snapshot was held open for the whole run\n")
	}
	if r.Schedule.Idle > 0 {
		fmt.Fprintf(b, "- %d idle connections stayed open\n", r.Schedule.Idle)
	}
	for _, band := range r.Bands {
		fmt.Fprintf(b, "- %.1f s to %.1f s: %s\n", band.From.Seconds(), band.To.Seconds(), band.Kind)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(b, "- **%s**: %s\n", v.Rule, v.What)
	}
}
