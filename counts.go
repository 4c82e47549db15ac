package waybill

import "sync/atomic"

// Count is how many events had one outcome for one reason since the client was
// made. What a call counted stays counted if its transaction rolls back.
type Count struct {
	Outcome Outcome
	Reason  string
	N       int64
}

// tally is one of the things that are counted.
type tally int

const (
	tallyQueued tally = iota
	tallyDuplicate
	tallyRejected
	tallyRefused
	tallyDisabled
	tallyNotLoggedIn
	tallyNotSent
	tallyEnqueueFailed
	tallies
)

// tallyNames is the closed set of what can be counted, each known from the start
// so that a metric exists before the first failure.
var tallyNames = [tallies]Count{
	tallyQueued:        {Outcome: Queued},
	tallyDuplicate:     {Outcome: Duplicate},
	tallyRejected:      {Outcome: Rejected, Reason: "before_sql"},
	tallyRefused:       {Outcome: Rejected, Reason: "by_database"},
	tallyDisabled:      {Outcome: Skipped, Reason: ReasonDisabled},
	tallyNotLoggedIn:   {Outcome: Skipped, Reason: ReasonNotLoggedIn},
	tallyNotSent:       {Outcome: Skipped, Reason: ReasonNotSent},
	tallyEnqueueFailed: {Outcome: Skipped, Reason: ReasonEnqueueFailed},
}

type counters [tallies]atomic.Int64

func (c *counters) add(receipt Receipt) {
	for _, item := range receipt.Items {
		c[tallyOf(item)].Add(1)
	}
}

func tallyOf(item Item) tally {
	switch item.Outcome {
	case Queued:
		return tallyQueued
	case Duplicate:
		return tallyDuplicate
	case Rejected:
		if item.BundleID != 0 {
			return tallyRefused
		}
		return tallyRejected
	default:
		return tallyOfSkip(item.Reason)
	}
}

func tallyOfSkip(reason string) tally {
	switch reason {
	case ReasonDisabled:
		return tallyDisabled
	case ReasonNotLoggedIn:
		return tallyNotLoggedIn
	case ReasonNotSent:
		return tallyNotSent
	}
	return tallyEnqueueFailed
}

func (c *counters) snapshot() []Count {
	counts := tallyNames
	for i := range counts {
		counts[i].N = c[i].Load()
	}
	return counts[:]
}
