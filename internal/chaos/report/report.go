//go:build unix

package report

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/scenario"
)

// Write makes a report of the runs in dir: README.md, and one picture for each seed.
func Write(dir string, results []scenario.Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	files := map[string]string{"README.md": Markdown(results)}
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
	fmt.Fprintf(&b, "`make chaos ARGS=\"--report docs/chaos\"`, %s, %d cores, %s %s/%s.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	b.WriteString(inProse(totals(results)) + "\n\n")
	b.WriteString("Each seed is a schedule of faults against real processes: three workers, four producers, a Postgres,\n" +
		"and a fake Amplitude that enforces the documented limits. Afterwards the business table is compared\n" +
		"with the ledger, with River's jobs and with what the fake took. In every run half of the traffic is\n" +
		"one user's, one COMMIT in sixty loses its connection, one action in 150 is poison, and producers roll\n" +
		"back and panic. `make chaos ARGS=\"--seeds 7\"` repeats one; its faults are the same, its timing is not\n" +
		"quite. What each promise means, and its limits: [guarantees](../guarantees.md).\n\n")
	writeTable(&b, results)
	writeRules(&b, results)
	for _, r := range results {
		writeSeed(&b, r)
	}
	return b.String()
}

// inProse joins the lines of a text for a terminal.
func inProse(text string) string { return strings.Join(strings.Fields(text), " ") }

func writeTable(b *strings.Builder, results []scenario.Result) {
	b.WriteString("| seed | faults | bundles | COMMITs without answer | requests | sent again | kills | orphans | kill → last orphan, alone | beside other faults | SIGTERM → exit | last fault → empty | broken |\n")
	b.WriteString("|--:|--:|--:|---|--:|--:|--:|--:|---|--:|--:|--:|--:|\n")
	for _, r := range results {
		f := r.Figures
		fmt.Fprintf(b, "| [%d](#seed-%d) | %d | %d | %d, of which %d had happened | %d | %d | %d | %d | %s (%d kills) | %s | %s | %s | %d |\n",
			r.Seed, r.Seed, len(r.Bands), f.Committed, f.Unknown, f.Recovered, f.Requests, f.Absorbed, f.Kills, f.Orphans,
			seconds(f.Recover), f.Alone, seconds(f.RecoverAny), seconds(f.Stop), seconds(f.Drain), len(r.Violations))
	}
	b.WriteString("\n\"Sent again\" counts events that came after Amplitude had taken them, because an answer was lost or\n" +
		"a worker killed; each was absorbed by its insert_id. \"Alone\" are kills with orphans and with nothing\n" +
		"else wrong until the last of them was settled: they are held to 15 s. Beside other faults orphans\n" +
		"wait for Postgres and Amplitude like everybody else. \"Last fault → empty\" may hold the pause of a lane\n" +
		"that was closed: up to a minute between two probes.\n")
}

func writeRules(b *strings.Builder, results []scenario.Result) {
	b.WriteString("\n## Promises\n\nWhat the checker holds every seed against, and how often it was broken.\n\n" +
		"| rule | promise | held against | violations |\n|---|---|---|--:|\n")
	broken := map[checker.Rule]int{}
	var sum checker.Figures
	for _, r := range results {
		for _, v := range r.Violations {
			broken[v.Rule]++
		}
		f := r.Figures
		sum.Committed, sum.RolledBack, sum.Identities = sum.Committed+f.Committed, sum.RolledBack+f.RolledBack, sum.Identities+f.Identities
		sum.Unknown, sum.Recovered, sum.Repeated = sum.Unknown+f.Unknown, sum.Recovered+f.Recovered, sum.Repeated+f.Repeated
		sum.Taken, sum.Absorbed, sum.Requests = sum.Taken+f.Taken, sum.Absorbed+f.Absorbed, sum.Requests+f.Requests
		sum.Kills, sum.Alone = sum.Kills+f.Kills, sum.Alone+f.Alone
	}
	for _, rule := range checker.Rules() {
		fmt.Fprintf(b, "| %s | %s | %s | %d |\n", rule, promises[rule], heldAgainst(rule, sum), broken[rule])
	}
}

// promises are those of docs/guarantees.md that a rule is about.
var promises = map[checker.Rule]string{
	checker.NoLoss: "P4", checker.NoPhantom: "P1", checker.Commits: "P1", checker.CountedOnce: "P2, P3", checker.RetriesEqual: "P3",
	checker.NewestTraits: "P7", checker.ExactCounters: "P7", checker.AtomicBundle: "P1", checker.StatusTruth: "P4",
	checker.Recovery: "P6", checker.Waste: "P10", checker.Liveness: "P4, P9, P10", checker.Neighbours: "",
}

// heldAgainst says how much a rule was held against in all runs.
func heldAgainst(rule checker.Rule, sum checker.Figures) string {
	switch rule {
	case checker.NoLoss, checker.StatusTruth:
		return fmt.Sprintf("%d committed bundles", sum.Committed)
	case checker.NoPhantom:
		return fmt.Sprintf("%d actions rolled back", sum.RolledBack)
	case checker.Commits:
		return fmt.Sprintf("%d COMMITs without an answer, of which %d had happened", sum.Unknown, sum.Recovered)
	case checker.CountedOnce:
		return fmt.Sprintf("%d events; %d were sent again, and %d actions were enqueued again", sum.Taken, sum.Absorbed, sum.Repeated)
	case checker.NewestTraits, checker.ExactCounters:
		return fmt.Sprintf("%d users, devices and groups", sum.Identities)
	case checker.RetriesEqual, checker.AtomicBundle:
		return fmt.Sprintf("%d requests", sum.Requests)
	case checker.Recovery:
		return fmt.Sprintf("%d kills, %d of them with orphans and nothing else wrong", sum.Kills, sum.Alone)
	default:
		return "every seed"
	}
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
