package figures

import (
	"fmt"
	"os"
	"strings"
)

// The table of a page stands between these two lines.
const (
	pageBegin = "<!-- table: written by the command below -->\n"
	pageEnd   = "<!-- end of table -->\n"
)

// UpdatePage replaces the table in a Markdown file. Everything else in it stays.
func (r Report) UpdatePage(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), pageBegin)
	_, after, closed := strings.Cut(rest, pageEnd)
	if !found || !closed {
		return fmt.Errorf("%s has no place for the table: it needs the lines %q and %q", path, strings.TrimSpace(pageBegin), strings.TrimSpace(pageEnd))
	}
	var table strings.Builder
	if err := r.Write(&table); err != nil {
		return err
	}
	page := before + pageBegin + "\n```\n$ " + r.Command + "\n" + table.String() + "```\n\n" + pageEnd + after
	return os.WriteFile(path, []byte(page), 0o644)
}
