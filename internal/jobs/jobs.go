// Package jobs is the worker's loop: it takes River jobs, turns the bundles they
// point at into Amplitude requests, and records what became of each bundle.
//
// The story of a bundle, file by file:
//
//	work.go     River hands over a job; its bundles wait in the batcher
//	line.go     who comes next: single bundles before packs, a user's together
//	batch.go    waiting bundles are gathered into a flight
//	prepare.go  one transaction reads them, decides and writes the request down
//	planned.go  the tracking plan, if there is one, has its say
//	plan.go     what is newest goes out, what Amplitude knows stays home
//	flight.go   the request is sent until every bundle in it has a verdict
//	record.go   one transaction records the outcomes; River's state follows
//
// Everything that decides (plan, split, throttle, the doubt clock) is pure and knows
// neither Postgres nor HTTP. A bundle's fate is in waybill.delivery; River's job
// state only follows it, so a job that runs twice does no harm.
package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"waybill/internal/amplitude"
)

// Kind and Queue are River's names for our jobs, as waybill.enqueue writes them.
const (
	Kind  = "bundle"
	Queue = "analytics"
)

// MaxAttempts is what every job is inserted with: the most River's column holds. A
// bundle never ends because a count ran out.
const MaxAttempts = 32767

// Args is a job's payload: it points at bundles and carries none. The last three are
// for people who read the jobs table, and stand only beside a single bundle.
type Args struct {
	BundleIDs []int64 `json:"bundle_ids"`
	ActionKey string  `json:"action_key,omitempty"`
	Event     string  `json:"event,omitempty"`
	UserID    string  `json:"user_id,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler: of an object as the table has it, or of the
// bundle_ids alone, as claim hands them over. It is called for every job on a goroutine of
// its own. encoding/json takes an array with so little stack that none of the thousands
// has to grow its own; an object would double them all.
func (a *Args) UnmarshalJSON(text []byte) error {
	*a = Args{}
	if list, ok := bytes.CutPrefix(text, []byte("[")); ok {
		return a.readList(bytes.TrimSuffix(list, []byte("]")))
	}
	document := gjson.ParseBytes(text)
	if !document.IsObject() {
		return a.readIDs(document)
	}
	return a.readObject(document)
}

var errNoID = errors.New("jobs: bundle_ids holds something that is no id")

func (a *Args) readList(list []byte) error {
	for len(list) > 0 {
		text, rest, _ := bytes.Cut(list, []byte(","))
		id, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
		if err != nil || id <= 0 {
			return errNoID
		}
		a.BundleIDs = append(a.BundleIDs, id)
		list = rest
	}
	return nil
}

func (a *Args) readIDs(ids gjson.Result) (wrong error) {
	for _, id := range ids.Array() {
		if id.Type != gjson.Number || id.Int() <= 0 {
			wrong = errNoID
		}
		a.BundleIDs = append(a.BundleIDs, id.Int())
	}
	return wrong
}

func (a *Args) readObject(document gjson.Result) (wrong error) {
	document.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "bundle_ids":
			wrong = a.readIDs(value)
		case "action_key":
			a.ActionKey = value.String()
		case "event":
			a.Event = value.String()
		case "user_id":
			a.UserID = value.String()
		}
		return true
	})
	return wrong
}

// Kind implements river.JobArgs.
func (Args) Kind() string { return Kind }

// Mode is what the loop does with a prepared request. A worker on hold runs no loop.
type Mode string

// The modes of a running loop.
const (
	Deliver Mode = "deliver" // send it
	Debug   Mode = "debug"   // print it and record `skipped`
	Discard Mode = "discard" // record `skipped`
)

// Sender delivers events and says what became of them. amplitude.Client is one.
// Upload makes one request and never retries; it must return when ctx ends.
type Sender interface {
	Upload(ctx context.Context, events []json.RawMessage) amplitude.Answer
	Limits() amplitude.Limits
}

// Meter counts what the loop does. Its methods are called from many goroutines and
// must not block.
type Meter interface {
	// Request is one POST that ended with a verdict (amplitude.Verdict.String).
	Request(verdict string, events, bytes int, took time.Duration)
	// Outcome is one bundle that got an outcome (delivered, rejected, skipped,
	// uncertain), lag after it was enqueued.
	Outcome(outcome string, lag time.Duration)
	// Events tells of one recorded request: events sent, identify and group events
	// left at home, and strings cut to Amplitude's 1,024 characters.
	Events(sent, elided, cut int)
	// Waiting is n bundles put back because they are parked, reserved or of a
	// newer_version.
	Waiting(reason string, n int)
	// Violations is n ways in which one settled bundle breaks the tracking plan, with
	// what followed: observe, quarantine or enforce.
	Violations(mode string, n int)
	// Rescued is what came back from a dead worker or was found by the sweep.
	Rescued(jobs, bundles int)
}

// NoMeter counts nothing.
type NoMeter struct{}

// Request implements Meter.
func (NoMeter) Request(string, int, int, time.Duration) {}

// Outcome implements Meter.
func (NoMeter) Outcome(string, time.Duration) {}

// Events implements Meter.
func (NoMeter) Events(int, int, int) {}

// Waiting implements Meter.
func (NoMeter) Waiting(string, int) {}

// Violations implements Meter.
func (NoMeter) Violations(string, int) {}

// Rescued implements Meter.
func (NoMeter) Rescued(int, int) {}
