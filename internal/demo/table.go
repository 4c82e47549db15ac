//go:build unix

package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Widths of the table's columns. With the marks and gaps they make a line of 79.
const (
	whatWidth   = 33
	numberWidth = 8
	whyWidth    = 32
)

// table writes the rows for people. A reason that does not fit is cut: the database is
// there to ask, with --keep.
func table(rows []row) string {
	var b strings.Builder
	for _, r := range rows {
		mark := "✓"
		if !r.ok {
			mark = "✗"
		}
		fmt.Fprintf(&b, "  %-*s%*s  %s %s\n", whatWidth, r.what, numberWidth, r.number, mark, clip(r.why, whyWidth))
	}
	return b.String()
}

func clip(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
