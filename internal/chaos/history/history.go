// Package history is what every process of a run writes down: one line before it does
// something and one when it knows how that ended. The checker believes these lines and
// the database, and nothing else.
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Op is what a line is about.
type Op string

// The operations.
const (
	Commit   Op = "commit"   // a producer's COMMIT
	Rollback Op = "rollback" // a producer gave a transaction up, on purpose or not
	Receive  Op = "receive"  // Amplitude got a request
	Fault    Op = "fault"    // the nemesis did something
	Kill     Op = "kill"     // a worker was killed
	Stop     Op = "stop"     // a worker was asked to end
	Exit     Op = "exit"     // a worker ended
)

// Type is how certain a line is.
type Type string

// The types. Info means that nobody will ever know from this line alone.
const (
	Invoke Type = "invoke"
	OK     Type = "ok"
	Fail   Type = "fail"
	Info   Type = "info"
)

// Record is one line.
type Record struct {
	Process string        `json:"p"`
	N       int           `json:"i"` // from 1, within the process
	Wall    time.Time     `json:"wall"`
	Mono    time.Duration `json:"mono"` // ns since the start of the run, by the monotonic clock
	Op      Op            `json:"op"`
	Type    Type          `json:"type"`
	Keys    []string      `json:"keys,omitempty"` // action keys
	Request int           `json:"request,omitempty"`
	Detail  string        `json:"detail,omitempty"`
}

// Writer appends the lines of one process. It may be used from several goroutines.
type Writer struct {
	process string
	start   time.Time

	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	n    int
	err  error
}

// Create starts the history of a process in dir. start is the start of the run, with a
// monotonic reading.
func Create(dir, process string, start time.Time) (*Writer, error) {
	file, err := os.Create(filepath.Join(dir, process+suffix))
	if err != nil {
		return nil, fmt.Errorf("start the history of %s: %w", process, err)
	}
	return &Writer{process: process, start: start, file: file, out: bufio.NewWriter(file)}, nil
}

const suffix = ".jsonl"

// Append writes a line. Process, number and times are the Writer's. An error is kept
// for Close.
func (w *Writer) Append(r Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	now := time.Now()
	r.Process, r.N, r.Wall, r.Mono = w.process, w.n, now.UTC(), now.Sub(w.start)
	line, err := json.Marshal(r)
	if err == nil {
		_, err = w.out.Write(append(line, '\n'))
	}
	w.err = errors.Join(w.err, err)
}

// Close ends the history and says whether all of it was written.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.err, w.out.Flush(), w.file.Close())
}

// Read returns the histories of all processes in dir, in the order of their monotonic
// times.
func Read(dir string) ([]Record, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return nil, err
	}
	var all []Record
	for _, path := range paths {
		if all, err = readFile(path, all); err != nil {
			return nil, fmt.Errorf("read the history %s: %w", filepath.Base(path), err)
		}
	}
	slices.SortStableFunc(all, func(a, b Record) int { return int(a.Mono - b.Mono) })
	return all, nil
}

func readFile(path string, into []Record) ([]Record, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	decoder := json.NewDecoder(bufio.NewReader(file))
	for decoder.More() {
		var r Record
		if err := decoder.Decode(&r); err != nil {
			return nil, err
		}
		into = append(into, r)
	}
	return into, nil
}
