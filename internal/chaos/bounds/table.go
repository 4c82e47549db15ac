//go:build unix

package bounds

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const width = 80

// Text is the table for a terminal: a line for each figure, and below it how it came to
// be. Lines fit 80 columns.
func Text(rows []Row) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s %-3s %-46s %10s  %s\n", mark(r.Holds), r.Promise, r.What, figure(r), bound(r))
		for _, line := range fold(r.How, width-6) {
			fmt.Fprintf(&b, "      %s\n", line)
		}
	}
	return b.String()
}

// Markdown is the table for docs/guarantees.md.
func Markdown(rows []Row) string {
	var b strings.Builder
	b.WriteString("| | What | Measured | Bound | | How |\n|---|---|--:|--:|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n",
			r.Promise, r.What, figure(r), bound(r), mark(r.Holds), strings.ReplaceAll(r.How, "|", `\|`))
	}
	return b.String()
}

func mark(holds bool) string {
	if holds {
		return "✓"
	}
	return "✗"
}

func figure(r Row) string { return number(r.Figure) + unit(r.Unit) }

func bound(r Row) string { return string(r.Sense) + " " + number(r.Bound) + unit(r.Unit) }

func unit(u string) string {
	if u == "" {
		return ""
	}
	return " " + u
}

// number shows whole numbers whole and others with as much as can be read off them.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return strconv.FormatInt(int64(v), 10)
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// fold breaks a text at spaces.
func fold(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// The table of a page stands between these two lines.
const (
	pageBegin = "<!-- bounds: written by the command below -->\n"
	pageEnd   = "<!-- end of bounds -->\n"
)

// updatePage replaces the table in a Markdown file. Everything else in it stays.
func updatePage(path, command, load string, rows []Row, now time.Time) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), pageBegin)
	_, after, closed := strings.Cut(rest, pageEnd)
	if !found || !closed {
		return fmt.Errorf("%s has no place for the table: it needs the lines %q and %q",
			path, strings.TrimSpace(pageBegin), strings.TrimSpace(pageEnd))
	}
	said := fmt.Sprintf("\n`%s`, %s, %d cores, %s, Go %s.\n\n",
		command, now.UTC().Format(time.DateOnly), runtime.NumCPU(), load, strings.TrimPrefix(runtime.Version(), "go"))
	return os.WriteFile(path, []byte(before+pageBegin+said+Markdown(rows)+"\n"+pageEnd+after), 0o644)
}
