package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"waybill/internal/importer"
)

// maxRefusalsShown is how many refused lines are printed one by one.
const maxRefusalsShown = 20

// record is one line of the report.
type record struct {
	Line     int              `json:"line,omitempty"` // absent for a bundle from flags
	Key      *string          `json:"key"`
	Outcome  importer.Outcome `json:"outcome"`
	BundleID *int64           `json:"bundle_id"`
	Reason   *string          `json:"reason"`
}

func newRecord(r importer.Result) record {
	return record{Line: r.Line, Key: orNull(r.Key), Outcome: r.Outcome, BundleID: orNull(r.BundleID), Reason: orNull(r.Reason)}
}

// orNull is nil for the zero value.
func orNull[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// report tells of every line that was not queued: in a file if there is one, else
// the refused ones on the terminal.
type report struct {
	*program
	single   bool
	progress *progress
	last     importer.Result

	file   *os.File // nil without --report
	lines  *bufio.Writer
	failed error // the first failure to write the file

	refused int // printed or not, without --report
}

// openReport creates the file that --report names.
func openReport(p *program, in input, progress *progress) (*report, error) {
	r := &report{program: p, single: in.single, progress: progress}
	if p.reportPath == "" {
		return r, nil
	}
	if in.isFile(p.reportPath) {
		return nil, usageError("--report names the input itself, and would empty it: name another file")
	}
	file, err := os.Create(p.reportPath)
	if err != nil {
		return nil, usageError("--report: " + cause(err).Error())
	}
	r.file, r.lines = file, bufio.NewWriter(file)
	return r, nil
}

// settled takes one result; it is the importer's.
func (r *report) settled(result importer.Result) {
	r.last = result
	switch {
	case result.Outcome == importer.Queued || result.Outcome == importer.Valid:
	case r.file != nil:
		r.write(result)
	case result.Outcome == importer.Rejected && !r.single:
		r.refuse(result)
	}
}

func (r *report) write(result importer.Result) {
	text, err := json.Marshal(newRecord(result))
	if err == nil {
		_, err = r.lines.Write(append(text, '\n'))
	}
	r.keep(err)
}

func (r *report) refuse(result importer.Result) {
	r.refused++
	if r.refused > maxRefusalsShown {
		return
	}
	r.progress.clear()
	say(r.stderr, "", fmt.Sprintf("line %d refused %s", result.Line, show(result.Key)))
	say(r.stderr, "    ", result.Reason)
}

// flush writes what is waiting, so that a report is complete up to the last batch
// whatever happens to the process.
func (r *report) flush() {
	if r.file != nil {
		r.keep(r.lines.Flush())
	}
}

func (r *report) keep(err error) {
	if r.failed == nil {
		r.failed = err
	}
}

// close ends the report. The error says that it is not complete.
func (r *report) close() error {
	if more := r.refused - maxRefusalsShown; more > 0 {
		say(r.stderr, "", fmt.Sprintf("… and %d more refused; --report FILE lists them all", more))
	}
	if r.file == nil {
		return nil
	}
	r.flush()
	r.keep(r.file.Close())
	if r.failed != nil {
		return fmt.Errorf("--report is not complete: %w", cause(r.failed))
	}
	return nil
}
