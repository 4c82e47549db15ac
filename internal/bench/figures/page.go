package figures

import (
	"fmt"
	"os"
	"strings"
)

// What is written into a page stands between two lines each: the table, which there must be, and what one order costs.
const (
	tableBegin = "<!-- table: written by the command below -->\n"
	tableEnd   = "<!-- end of table -->\n"
	orderBegin = "<!-- order: written with the table -->\n"
	orderEnd   = "<!-- end of order -->\n"
)

// UpdatePage replaces the table in a Markdown file, and what one order costs if there is a place for it and it was
// measured. Everything else in it stays.
func (r Report) UpdatePage(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var table strings.Builder
	if err := r.Write(&table); err != nil {
		return err
	}
	page, found := replaceBetween(string(content), tableBegin, tableEnd, "\n```\n$ "+r.Command+"\n"+table.String()+"```\n\n")
	if !found {
		return fmt.Errorf("%s has no place for the table: it needs the lines %q and %q", path, strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	if order := r.order(); order != "" {
		page, _ = replaceBetween(page, orderBegin, orderEnd, "\n"+order+"\n")
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

func replaceBetween(page, begin, end, text string) (replaced string, found bool) {
	before, rest, opened := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		return page, false
	}
	return before + begin + text + end + after, true
}

// order is what one tracked order costs, and what a million of them cost in a day, as Markdown; "" if a figure that it
// needs was not measured.
func (r Report) order() string {
	medians := map[string]float64{}
	for _, f := range r.Figures {
		if s := f.Summary(); len(f.Ours) > 0 && f.Refused == "" {
			medians[f.ID] = s.Ours.Median
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| one tracked order | 1 a call | 100 a call |\n|---|---|---|\n")
	complete := true
	line := func(what, unit, single, bulk string) {
		cell := func(id string) string {
			if id == "" {
				return "–"
			}
			value, ok := medians[id]
			complete = complete && ok
			return number(value) + unit
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", what, cell(single), cell(bulk))
	}
	line("added to its transaction, p50", " ms", "added_p50", "")
	line("Postgres CPU to enqueue it", " µs", "cpu_enqueue_single", "cpu_enqueue_bulk")
	line("Postgres CPU to deliver it", " µs", "cpu_postgres_single", "cpu_postgres_bulk")
	line("worker CPU to deliver it", " µs", "cpu_worker_single", "cpu_worker_bulk")
	line("WAL, enqueue to completed", " KB", "wal_single", "wal_bulk")
	line("Amplitude events", "", "events", "events")
	if !complete {
		return ""
	}
	const million = 1e6
	fmt.Fprintf(&b, "\nA million orders in a day, one a call, are %s a second: %s core-minutes of\nPostgres and %s of the worker, %s GB of WAL and %s million Amplitude events.\n",
		number(million/86_400), number((medians["cpu_enqueue_single"]+medians["cpu_postgres_single"])*million/1e6/60), number(medians["cpu_worker_single"]*million/1e6/60),
		number(medians["wal_single"]*million/1e6), number(medians["events"]))
	return b.String()
}
