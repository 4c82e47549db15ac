package ops

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Action is what an operator decides about bundles that were given up.
type Action string

// The actions.
const (
	// Retry sends rejected or skipped bundles back to the queue.
	Retry Action = "retry"
	// AssumeDelivered counts uncertain bundles as delivered.
	AssumeDelivered Action = "assume_delivered"
	// Resend sends uncertain bundles back to the queue; Amplitude may count them twice.
	Resend Action = "resend"
)

// Filter says which bundles are meant. Zero fields mean any.
type Filter struct {
	// Outcome is rejected or skipped, "" for both. Resolving is always about uncertain.
	Outcome string
	Event   string
	// Reason is how the reason begins, or, if it holds a %, a pattern for LIKE.
	Reason string
	// Since and Until bound when the outcome was recorded. Until is exclusive.
	Since, Until time.Time
	Key          string
	// Limit is the most bundles to act on; 0 is no limit.
	Limit int
}

// Tally is what an override did so far, or would do.
type Tally struct {
	Examined  int `json:"examined"`   // bundles with the outcome that were looked at
	Matched   int `json:"matched"`    // of those, what the filter means; of those
	Moved     int `json:"moved"`      // changed, or would be
	NoPayload int `json:"no_payload"` // cannot be sent again: there is no whole payload
	Waiting   int `json:"waiting"`    // stand in a job that has not ended
}

func (t *Tally) add(page Tally) {
	t.Examined += page.Examined
	t.Matched += page.Matched
	t.Moved += page.Moved
	t.NoPayload += page.NoPayload
	t.Waiting += page.Waiting
}

// Override is one decision about the bundles that a filter means.
type Override struct {
	db     DB
	action Action
	filter Filter
}

// NewOverride fixes what is meant: what gets its outcome after this call is not, so
// that a bundle which is refused again is not retried again, and what Preview counts
// is what Run changes.
func NewOverride(ctx context.Context, db DB, action Action, filter Filter) (*Override, error) {
	if filter.Limit < 0 {
		return nil, fmt.Errorf("a limit of %d means nothing; use 0 for no limit", filter.Limit)
	}
	var now time.Time
	if err := db.QueryRow(ctx, query("clock")).Scan(&now); err != nil {
		return nil, fmt.Errorf("read the database's clock: %w", err)
	}
	if filter.Until.IsZero() || filter.Until.After(now) {
		filter.Until = now
	}
	return &Override{db: db, action: action, filter: filter}, nil
}

// Preview counts without changing anything.
func (o *Override) Preview(ctx context.Context) (Tally, error) {
	return o.walk(ctx, true, func(Tally) {})
}

// Run does it, up to 10,000 bundles at a time, each page in a transaction of its own,
// and calls progress after each. When it fails, or ctx ends, what the Tally counts has
// been done.
func (o *Override) Run(ctx context.Context, progress func(Tally)) (Tally, error) {
	return o.walk(ctx, false, progress)
}

func (o *Override) walk(ctx context.Context, dryRun bool, progress func(Tally)) (Tally, error) {
	var total Tally
	for _, what := range o.targets() {
		var after cursor
		for {
			most := o.remaining(total)
			if most == 0 {
				return total, nil
			}
			page, next, err := o.page(ctx, what, most, dryRun, after)
			if err != nil {
				return total, fmt.Errorf("%s: %w", o.action, explain(err))
			}
			total.add(page)
			progress(total)
			if next.done {
				break
			}
			after = next
		}
	}
	return total, nil
}

// targets are the first arguments of the SQL function, one walk each.
func (o *Override) targets() []string {
	switch {
	case o.action != Retry:
		return []string{string(o.action)}
	case o.filter.Outcome == "":
		return []string{"rejected", "skipped"}
	default:
		return []string{o.filter.Outcome}
	}
}

// pageSize is how many bundles one call of the SQL functions looks at.
const pageSize = 10_000

func (o *Override) remaining(t Tally) int {
	if o.filter.Limit == 0 {
		return pageSize
	}
	return min(pageSize, o.filter.Limit-t.Moved)
}

// cursor is where a walk stands.
type cursor struct {
	at   *time.Time
	id   int64
	done bool
}

func (o *Override) page(ctx context.Context, what string, most int, dryRun bool, after cursor) (Tally, cursor, error) {
	name := "resolve"
	if o.action == Retry {
		name = "retry"
	}
	var (
		page Tally
		next cursor
		id   *int64
	)
	err := o.db.QueryRow(ctx, query(name), what, given(o.filter.Event), given(pattern(o.filter.Reason)), givenTime(o.filter.Since),
		o.filter.Until, given(o.filter.Key), most, dryRun, after.at, after.id,
	).Scan(&page.Examined, &page.Matched, &page.Moved, &page.NoPayload, &page.Waiting, &next.at, &id, &next.done)
	if id != nil {
		next.id = *id
	}
	return page, next, err
}

func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func givenTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// pattern makes a LIKE pattern of the beginning of a reason.
func pattern(reason string) string {
	if reason == "" || strings.Contains(reason, "%") {
		return reason
	}
	return strings.NewReplacer(`\`, `\\`, `_`, `\_`).Replace(reason) + "%"
}

// explain adds what to do about the refusals that an operator meets.
func explain(err error) error {
	if isDenied(err) {
		return fmt.Errorf("%w; have somebody run: GRANT waybill_operator TO your login", err)
	}
	return err
}
