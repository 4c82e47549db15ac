package main

import (
	"encoding/json"
	"fmt"
	"time"

	"waybill/internal/importer"
)

// summarise prints how it ended: for people, or one JSON object with --json.
func (job *importing) summarise(so importer.Summary, took time.Duration, complete bool) {
	if job.resent && so.Duplicate > 0 {
		say(job.stderr, "", "An answer of the database was lost and its batch sent again: "+
			"some of the duplicates may be bundles that this run had queued.")
	}
	switch {
	case job.input.single && so.Lines == 0: // the error says it all
	case job.input.single:
		job.summariseOne()
	case job.json:
		job.printJSON(struct {
			Input string `json:"input"`
			importer.Summary
			Complete bool    `json:"complete"`
			Resent   bool    `json:"resent"`
			DryRun   bool    `json:"dry_run"`
			Seconds  float64 `json:"seconds"`
		}{job.input.name, so, complete, job.resent, job.dryRun, took.Seconds()})
	default:
		_, _ = fmt.Fprintf(job.out, "%s: %d lines in %v\n", job.input.name, so.Lines, took.Round(100*time.Millisecond))
		for _, row := range job.rows(so) {
			_, _ = fmt.Fprintf(job.out, "  %-10s%9d\n", row.name, row.n)
		}
	}
}

type row struct {
	name string
	n    int
}

// rows are the parts that the lines add up from.
func (job *importing) rows(so importer.Summary) []row {
	if job.dryRun {
		return []row{{"valid", so.Valid}, {"duplicate", so.Duplicate}, {"rejected", so.Rejected}, {"blank", so.Blank}}
	}
	return []row{
		{"queued", so.Queued}, {"duplicate", so.Duplicate}, {"rejected", so.Rejected},
		{"skipped", so.Skipped}, {"blank", so.Blank},
	}
}

// summariseOne is for a bundle that was given with flags.
func (job *importing) summariseOne() {
	one := job.report.last
	one.Line = 0
	key := show(one.Key)
	switch {
	case job.json:
		job.printJSON(newRecord(one))
	case one.Outcome == importer.Queued:
		say(job.out, "", fmt.Sprintf("queued %s as bundle %d", key, one.BundleID))
	case one.Outcome == importer.Duplicate:
		say(job.out, "", fmt.Sprintf("duplicate: %s is bundle %d already", key, one.BundleID))
	case one.Outcome == importer.Rejected && one.BundleID != 0:
		say(job.stderr, "", fmt.Sprintf("rejected %s, recorded as bundle %d", key, one.BundleID))
		say(job.stderr, "    ", one.Reason)
	case one.Outcome == importer.Rejected:
		say(job.stderr, "", "refused "+key)
		say(job.stderr, "    ", one.Reason)
	case one.Outcome == importer.Skipped:
		say(job.out, "", "skipped "+key)
	}
}

func (p *program) printJSON(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("enqueue: a summary that is no JSON") // it is made of numbers and strings
	}
	_, _ = fmt.Fprintf(p.stdout, "%s\n", text)
}
