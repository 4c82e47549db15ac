package waybill

import (
	"fmt"
	"strings"
)

// Outcome is what became of one event at the call. Delivery comes later.
type Outcome string

// The outcomes.
const (
	Queued    Outcome = "queued"    // recorded; it will be delivered once the transaction commits
	Duplicate Outcome = "duplicate" // its action key is known already; nothing was added
	Skipped   Outcome = "skipped"   // not recorded, on purpose or for want of a database; see the reason
	Rejected  Outcome = "rejected"  // it cannot be delivered as it is; see the reason
)

// Reasons of what was skipped. What was rejected has a sentence instead.
const (
	ReasonDisabled      = "disabled"       // Config.Disabled
	ReasonNotLoggedIn   = "not_logged_in"  // User("") or Device("")
	ReasonNotSent       = "not_sent"       // strict: another event of the call was rejected
	ReasonEnqueueFailed = "enqueue_failed" // the database did not record it
)

// Receipt says what became of each event of a call, in the order of the call.
type Receipt struct {
	Items []Item
}

// Item is what became of one event.
type Item struct {
	Key      string // the event's action key
	BundleID int64  // id of the bundle, a duplicate's the existing one; 0 when nothing is recorded
	Outcome  Outcome
	Reason   string // why it was skipped or rejected, else empty
	Cut      int    // strings cut to 1,024 characters
	Replaced int    // characters replaced: NUL, invalid UTF-8
}

// Queued counts the events that were recorded by this call.
func (r Receipt) Queued() int { return r.Count(Queued) }

// Count counts the events of one outcome.
func (r Receipt) Count(o Outcome) int {
	n := 0
	for _, item := range r.Items {
		if item.Outcome == o {
			n++
		}
	}
	return n
}

// RejectedError says which events of a strict call cannot be delivered. The
// transaction is still usable.
type RejectedError struct {
	Rejections []Rejection

	// Recorded tells that the database found the fault: the call was sent, its
	// other events are queued, and the rejected ones are on record with their
	// reason. Otherwise nothing was sent.
	Recorded bool

	events int
}

// Rejection is one reason against one event. It holds no property value.
type Rejection struct {
	Index   int    // of the event in the call; -1 for the call as a whole
	Key     string // the event's action key
	Field   string // e.g. "track.event" or "groups[1].id"; may be empty
	Problem string // what is wrong; what to do about it
}

// maxShownRejections bounds the text of a RejectedError, not its list.
const maxShownRejections = 3

// Error names the first few rejections.
func (e *RejectedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "waybill: %d of %d events rejected, ", e.rejected(), e.events)
	if e.Recorded {
		b.WriteString("the others are recorded")
	} else {
		b.WriteString("nothing was sent")
	}
	for i, r := range e.Rejections {
		if i == maxShownRejections {
			fmt.Fprintf(&b, " (and %d more)", len(e.Rejections)-i)
			break
		}
		b.WriteString([]string{": ", " | "}[min(i, 1)] + r.String())
	}
	return b.String()
}

func (e *RejectedError) rejected() int {
	n, last := 0, -2
	for _, r := range e.Rejections {
		switch r.Index {
		case -1:
			return e.events
		case last:
		default:
			n, last = n+1, r.Index
		}
	}
	return n
}

// String reads `event 1 "order:1": track.event: is missing; name the event`.
func (r Rejection) String() string {
	where := "call"
	if r.Index >= 0 {
		where = fmt.Sprintf("event %d %.64q", r.Index, r.Key)
	}
	if r.Field != "" {
		where += ": " + r.Field
	}
	return where + ": " + r.Problem
}

// newReceipt has an item for every draft, whose outcome is still open.
func newReceipt(drafts []draft) Receipt {
	receipt := Receipt{Items: make([]Item, len(drafts))}
	for i, d := range drafts {
		receipt.Items[i].Key = d.event.Key
	}
	return receipt
}

// skipRest closes the items that are still open.
func (r Receipt) skipRest(reason string) {
	for i := range r.Items {
		if item := &r.Items[i]; item.Outcome == "" {
			item.Outcome, item.Reason = Skipped, reason
		}
	}
}

// reject closes the items of the drafts that something speaks against, and
// returns nil if there are none.
func (r Receipt) reject(drafts []draft) *RejectedError {
	err := &RejectedError{events: len(drafts)}
	for i, d := range drafts {
		item := &r.Items[i]
		item.Cut, item.Replaced = d.cleaned.Cut, d.cleaned.Replaced
		for _, refusal := range d.refusals {
			err.Rejections = append(err.Rejections, Rejection{i, item.Key, refusal.Field, refusal.Problem})
		}
		if len(d.refusals) > 0 {
			item.Outcome, item.Reason = Rejected, d.refusals[0].Error()
		}
	}
	if len(err.Rejections) == 0 {
		return nil
	}
	return err
}

// rejectAll closes every item, for a fault of the call itself.
func (r Receipt) rejectAll(problem string) *RejectedError {
	for i := range r.Items {
		r.Items[i].Outcome, r.Items[i].Reason = Rejected, "call: "+problem
	}
	return &RejectedError{events: len(r.Items), Rejections: []Rejection{{Index: -1, Problem: problem}}}
}

// enter enters what the database answered. sent tells which item stood at which
// position of the call.
func (r Receipt) enter(answers []answer, sent []int) error {
	failed := ""
	for _, a := range answers {
		if a.n < 1 || a.n > len(sent) {
			return fmt.Errorf("the answer is for bundle %d of %d; the schema does not fit this release", a.n, len(sent))
		}
		item := &r.Items[sent[a.n-1]]
		if a.outcome == Skipped && strings.HasPrefix(a.reason, failedPrefix) {
			failed = a.reason
			continue // stays open
		}
		item.BundleID, item.Outcome, item.Reason = a.bundleID, a.outcome, a.reason
	}
	if failed != "" {
		return callError(failed)
	}
	if open := r.Count(""); open > 0 {
		return fmt.Errorf("%d of %d bundles were not answered; the schema does not fit this release", open, len(sent))
	}
	return nil
}

// failedPrefix begins the reason of what waybill.try_enqueue could not record.
const failedPrefix = "enqueue failed"

// callError is a failure that waybill.try_enqueue caught: "enqueue failed,
// SQLSTATE 23514".
type callError string

func (e callError) Error() string { return string(e) }

// SQLState makes it an error of the database like any other.
func (e callError) SQLState() string { return string(e[max(0, len(e)-sqlStateLen):]) }

const sqlStateLen = 5

// rejectedByDatabase returns nil if there are none.
func (r Receipt) rejectedByDatabase() *RejectedError {
	err := &RejectedError{events: len(r.Items), Recorded: true}
	for i, item := range r.Items {
		if item.Outcome == Rejected && item.BundleID != 0 {
			field, problem, found := strings.Cut(item.Reason, ": ")
			if !found {
				field, problem = "", item.Reason
			}
			err.Rejections = append(err.Rejections, Rejection{i, item.Key, field, problem})
		}
	}
	if len(err.Rejections) == 0 {
		return nil
	}
	return err
}
