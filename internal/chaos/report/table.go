//go:build unix

// Package report says how runs went: a line each for the terminal, and Markdown with a
// picture for whoever wants to see it.
package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"waybill/internal/chaos/nemesis"
	"waybill/internal/chaos/scenario"
)

// mostShown is how many violations a terminal shows of one seed.
const mostShown = 5

// Header is the head of the table. Lines fit 80 columns.
func Header() string {
	return "      seed  bundles  unknown  requests  again  kills  rescue  sigterm  drain\n"
}

// Line is one seed, with the first of its violations below.
func Line(r scenario.Result) string {
	f := r.Figures
	mark := "ok "
	if len(r.Violations) > 0 {
		mark = "BAD"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %6d %8d %8d %9d %6d %6d %7s %8s %6s\n", mark, r.Seed, f.Committed, f.Unknown, f.Requests,
		f.Absorbed, f.Kills, seconds(f.Recover), seconds(f.Stop), seconds(f.Drain))
	for i, v := range r.Violations {
		if i == mostShown {
			fmt.Fprintf(&b, "    … and %d more\n", len(r.Violations)-mostShown)
			break
		}
		fmt.Fprintf(&b, "    %s\n", wrap(v.String(), 76, "      "))
	}
	if len(r.Violations) > 0 {
		fmt.Fprintf(&b, "    kept: %s\n", r.Dir)
	}
	return b.String()
}

// Total is the last line of a table of several seeds.
func Total(results []scenario.Result) string { return "\n" + totals(results) + skipped(results) }

func totals(results []scenario.Result) string {
	var bundles, kills, orphans, rollbacks, unknown, recovered, broken int
	var alone, faults, innocent int
	var rescue, beside, stop, drain time.Duration
	for _, r := range results {
		f := r.Figures
		bundles, kills, orphans = bundles+f.Committed, kills+f.Kills, orphans+f.Orphans
		rollbacks, unknown, recovered = rollbacks+f.RolledBack, unknown+f.Unknown, recovered+f.Recovered
		alone, faults, innocent = alone+f.Alone, faults+len(r.Bands), innocent+f.Innocent
		rescue, beside = max(rescue, f.Recover), max(beside, f.RecoverAny)
		stop, drain = max(stop, f.Stop), max(drain, f.Drain)
		if len(r.Violations) > 0 {
			broken++
		}
	}
	noun := "seeds"
	if len(results) == 1 {
		noun = "seed"
	}
	return fmt.Sprintf(`%d %s, %d broken: %d faults, %d bundles committed, %d rolled back,
%d COMMITs without an answer (%d had happened), %d kills with %d orphans.
Worst: kill to last orphan %s alone (%d kills), %s beside other faults,
SIGTERM to exit %s, last fault to empty queue %s.
%s`, len(results), noun, broken, faults, bundles, rollbacks, unknown, recovered, kills, orphans,
		seconds(rescue), alone, seconds(beside), seconds(stop), seconds(drain), pardoned(innocent))
}

// pardoned tells of what an operator had to do.
func pardoned(innocent int) string {
	if innocent == 0 {
		return ""
	}
	return wrap(fmt.Sprintf("%d bundles were rejected with everything else, and worker retry brought them back.", innocent), 78, "") + "\n"
}

// skipped names the faults that could not be done here.
func skipped(results []scenario.Result) string {
	needs := map[nemesis.Kind]string{}
	for _, r := range results {
		maps.Copy(needs, r.Skipped)
	}
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(needs)) {
		fmt.Fprintln(&b, wrap(string(kind)+": not run, needs "+needs[kind], 78, "  "))
	}
	return b.String()
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// wrap breaks a text at spaces.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
