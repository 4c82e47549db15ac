package figures

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Report is a whole run.
type Report struct {
	Command string    `json:"command"`
	Machine Machine   `json:"machine"`
	Rounds  int       `json:"rounds"`
	Figures []Figure  `json:"figures"`
	Work    []string  `json:"work"` // what was checked to be the same on both sides
	Summary []Summary `json:"summary"`
}

// Machine is where a run took place.
type Machine struct {
	CPU      string  `json:"cpu"`
	Cores    int     `json:"cores"`
	MemoryMB int     `json:"memory_mb"` // 0: unknown
	Load     float64 `json:"load"`      // over the minute before the run; -1: unknown
	System   string  `json:"system"`
	Go       string  `json:"go"`
	Postgres string  `json:"postgres"`
	River    string  `json:"river"`
}

// busy is the load from which on other programs disturb what is measured.
const busy = 0.5

// Lines describe the machine, each within 80 columns.
func (m Machine) Lines() []string {
	memory, load := "memory unknown", "load before: unknown"
	if m.MemoryMB > 0 {
		memory = fmt.Sprintf("%.1f GiB", float64(m.MemoryMB)/1024)
	}
	if m.Load >= 0 {
		load = fmt.Sprintf("load before: %.1f", m.Load)
		if m.Load > busy {
			load += " (not idle: trust the ratios, not the rates)"
		}
	}
	return []string{
		fmt.Sprintf("%s, %d cores, %s", m.CPU, m.Cores, memory),
		fmt.Sprintf("%s, %s, Postgres %s, River %s", m.System, m.Go, m.Postgres, m.River),
		load,
	}
}

// Write prints the report as a table of at most 80 columns.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, line := range r.Machine.Lines() {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b, "medians of alternating rounds (lowest–highest)")
	var part Columns
	for i, f := range r.Figures {
		if i == 0 || f.Part != part {
			part = f.Part
			b.WriteString("\n" + r.heading(part))
		}
		b.WriteString(f.row())
	}
	b.WriteString("\n")
	for _, line := range r.Work {
		fmt.Fprintln(&b, line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// heading names the columns of a part of the table that have something in them.
func (r Report) heading(part Columns) string {
	var ratio, budget string
	for _, f := range r.Figures {
		if s := f.Summary(); f.Part == part {
			if s.HasRatio {
				ratio = "ratio"
			}
			if s.Verdict != Unjudged {
				budget = "budget"
			}
		}
	}
	return row(part.Title, part.Ours, part.Against, ratio, "", budget)
}

func (f Figure) row() string {
	s := f.Summary()
	var against, ratio, spread, budget string
	switch {
	case f.Absent != "":
		return left(f.What, 35) + " not run: " + f.Absent + "\n"
	case f.Refused != "":
		return row(f.What, "", "", "none", "", "") + "  no ratio: " + f.Refused + "\n"
	case s.HasRatio:
		against, ratio = number(s.Against.Median), number(s.Ratio.Median)
		spread = s.Ratio.String()
	case len(f.Against) > 0:
		against = number(s.Against.Median)
		fallthrough
	default:
		spread = s.Ours.String()
	}
	if len(f.Ours) < 2 {
		spread = "" // of one round
	}
	if s.Verdict != Unjudged {
		budget = f.Limit.String() + " " + string(s.Verdict)
	}
	return row(f.What, number(s.Ours.Median), against, ratio, spread, budget)
}

// String is the ends of the spread.
func (s Spread) String() string { return number(s.Low) + "–" + number(s.High) }

// String is the limit as short as it can be, e.g. "≥1.3".
func (l Limit) String() string {
	switch {
	case l.AtLeast > 0:
		return "≥" + number(l.AtLeast)
	case l.AtMost > 0:
		return "≤" + number(l.AtMost)
	}
	return ""
}

func row(what, ours, against, ratio, spread, budget string) string {
	line := left(what, 35) + right(ours, 8) + " " + right(against, 8) + right(ratio, 6) + "  " + left(spread, 11) + budget
	return strings.TrimRight(line, " ") + "\n"
}

func left(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 1))
}

func right(s string, width int) string {
	return strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0)) + s
}

// number writes three digits that count, and thousands with a comma.
func number(v float64) string {
	switch size := math.Abs(v); {
	case size >= 1000:
		whole := strconv.FormatInt(int64(math.Round(v)), 10)
		return whole[:len(whole)-3] + "," + whole[len(whole)-3:]
	case size >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
