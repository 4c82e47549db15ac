// Package importer puts bundles written one per line (NDJSON, contract JSON v1) into
// the queue, batch by batch: every line gets one answer, in order, and a bad line
// never takes its neighbours with it. Reading the same input again is safe at any
// time, because an action key that is there already is only reported as a duplicate.
package importer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// A batch is full at 500 lines: five times what one job holds, and where a larger
// one no longer pays. It is also full at 4 MB, and as old as a second, so that an
// input that trickles in is not kept waiting.
const (
	batchLines = 500
	batchBytes = 4 << 20
	batchAge   = time.Second
)

// ErrInterrupted says that the context ended before the input did. What was read up
// to then is settled.
var ErrInterrupted = errors.New("interrupted")

// Outcome is what became of one line.
type Outcome string

// The outcomes. The first four are those of waybill.enqueue.
const (
	Queued    Outcome = "queued"
	Duplicate Outcome = "duplicate" // its action key has a bundle already, which is fine
	Rejected  Outcome = "rejected"  // refused here, or recorded as rejected by the database if it has a bundle id
	Skipped   Outcome = "skipped"
	Valid     Outcome = "valid" // a dry run found nothing against it
)

// Result is what became of one line that is not blank.
type Result struct {
	Line     int    // from 1
	Key      string // the action key; empty where none could be read
	Outcome  Outcome
	BundleID int64  // 0 where there is no bundle
	Reason   string // why it is rejected or skipped; holds no property value
}

// Summary counts settled lines: Lines is the sum of the others.
type Summary struct {
	Lines     int `json:"lines"`
	Queued    int `json:"queued"`
	Duplicate int `json:"duplicate"`
	Rejected  int `json:"rejected"`
	Skipped   int `json:"skipped"`
	Valid     int `json:"valid,omitempty"` // dry run only
	Blank     int `json:"blank"`
}

// blank is the outcome of a line without a bundle; nobody is told of it.
const blank Outcome = "blank"

// isAnswer reports whether o is one that waybill.enqueue gives.
func (o Outcome) isAnswer() bool {
	return o == Queued || o == Duplicate || o == Rejected || o == Skipped
}

func (s *Summary) count(o Outcome) {
	s.Lines++
	switch o {
	case Queued:
		s.Queued++
	case Duplicate:
		s.Duplicate++
	case Skipped:
		s.Skipped++
	case Valid:
		s.Valid++
	case Rejected:
		s.Rejected++
	case blank:
		s.Blank++
	}
}

// Bundle is one line that may be enqueued.
type Bundle struct {
	Line int
	Key  string
	JSON json.RawMessage
}

// Answer is a door's answer to one bundle.
type Answer struct {
	Outcome  Outcome
	BundleID int64
	Reason   string
}

// Door takes bundles: Postgres, or what stands in its place.
type Door interface {
	// Enqueue answers each bundle, in order. With an error it may answer fewer:
	// those that are settled whatever the error is.
	Enqueue(ctx context.Context, bundles []Bundle) ([]Answer, error)
}

// Importer holds what an import needs. Settled and Progress are called from the
// goroutine of Run.
type Importer struct {
	Door Door
	// Now is the clock that bounds occurred_at. It is called from another goroutine.
	Now func() time.Time
	// Settled is told of every line that is not blank, in order.
	Settled func(Result)
	// Progress is told after each batch how many bytes of the input are behind it.
	Progress func(bytes int64, so Summary)
}

// Run imports r to its end. When ctx ends it settles what it has read, in one last
// attempt, and returns ErrInterrupted; a Read in progress cannot be stopped and is
// left to end by itself. The other errors are ErrCompressed, ErrUTF16, those of r and
// those of the door. The Summary holds with every error: its lines are settled, and
// none after them is, but for a batch whose answer was lost.
func (im *Importer) Run(ctx context.Context, r io.Reader) (Summary, error) {
	feed := newFeed(r, im.Now)
	done := make(chan struct{})
	defer close(done)
	go feed.run(done)

	var so Summary
	var b batch
	age := time.NewTimer(batchAge)
	defer age.Stop()
	for {
		var stop error
		select {
		case next, more := <-feed.items:
			if !more {
				stop = feed.err
				break
			}
			if b.empty() {
				age.Reset(batchAge)
			}
			if b.add(next); !b.full() {
				continue
			}
		case <-age.C:
		case <-ctx.Done():
			stop = ErrInterrupted
		}
		if err := im.settle(ctx, &b, &so); err != nil {
			return so, err
		}
		switch {
		case errors.Is(stop, io.EOF):
			return so, nil
		case stop == nil && ctx.Err() != nil:
			return so, ErrInterrupted
		case stop != nil:
			return so, stop
		}
	}
}

// settle sends one batch through the door and reports its lines.
func (im *Importer) settle(ctx context.Context, b *batch, so *Summary) error {
	if b.empty() {
		return nil
	}
	var answers []Answer
	var err error
	if len(b.bundles) > 0 {
		answers, err = im.Door.Enqueue(ctx, b.bundles)
	}
	end := int64(0)
	for _, it := range b.items {
		result := Result{Line: it.number, Key: it.key, Outcome: Rejected, Reason: it.refusal}
		switch {
		case it.blank:
			so.count(blank)
			end = it.end
			continue
		case it.json != nil && len(answers) == 0:
			return err // and what comes after it is not settled either
		case it.json != nil:
			result.Outcome, result.BundleID, result.Reason = answers[0].Outcome, answers[0].BundleID, answers[0].Reason
			answers = answers[1:]
		}
		so.count(result.Outcome)
		im.Settled(result)
		end = it.end
	}
	b.reset()
	im.Progress(end, *so)
	return err
}
