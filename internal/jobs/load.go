package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"waybill/internal/bundle"
)

// doubtLimit is how long after an attempt that may have been accepted a bundle is still
// sent again. Amplitude forgets an insert_id after 7 days
// (https://amplitude.com/docs/apis/analytics/http-v2, "Event deduplication").
const doubtLimit = 6 * 24 * time.Hour

// load reads a batch and sorts out what needs no request. Of what was read in this life of
// the worker and put back it only asks whether it is still there and has no outcome.
func (l *loop) load(ctx context.Context, refs []ref, life int64) (*sorted, []*item, error) {
	byID := make(map[int64]ref, len(refs))
	ids := make([]int64, 0, len(refs))
	var kept []int64
	out := &sorted{behind: map[int64][]ref{}}
	seen := make(map[int64]bool, len(refs))
	var items, twice []*item
	for _, r := range refs {
		if seen[r.bundle] { // it has two jobs: the second one is looked at when the first has ended
			twice = append(twice, &item{id: r.bundle, job: r.job})
			continue
		}
		seen[r.bundle] = true
		if r.read != nil && r.read.life == life {
			items, kept = append(items, r.read), append(kept, r.bundle)
			continue
		}
		byID[r.bundle] = r
		ids = append(ids, r.bundle)
	}
	parked := map[identity]time.Time{}
	var rows []*loaded

	var batch pgx.Batch
	batch.Queue(indexedSQL)
	batch.Queue(clockSQL).QueryRow(func(row pgx.Row) error {
		return row.Scan(&out.send.request, &out.send.now)
	})
	batch.Queue(parkedSQL, l.store.dest).Query(func(rows pgx.Rows) error {
		var id identity
		var until time.Time
		_, err := pgx.ForEachRow(rows, []any{&id.kind, &id.id, &until}, func() error {
			parked[id] = until
			return nil
		})
		return err
	})
	if len(ids) > 0 {
		batch.Queue(loadSQL, ids).Query(func(found pgx.Rows) (err error) {
			rows, err = pgx.CollectRows(found, scanLoaded)
			return err
		})
	}
	changed := map[int64]bool{}
	if len(kept) > 0 {
		batch.Queue(keptSQL, kept).Query(scanIDs(changed))
	}
	if err := l.store.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, nil, fmt.Errorf("load %d bundles: %w", len(ids), err)
	}

	items = out.without(items, changed)
	for _, it := range twice {
		out.postponed = append(out.postponed, postponed{it, out.send.now.Add(time.Second), "reserved"})
	}
	for _, row := range rows {
		r := byID[row.id]
		delete(byID, row.id)
		it := &item{
			id: row.id, at: row.at, enqueuedAt: row.enqueuedAt, attempt: r.job.attempt, job: r.job,
			life: life, had: row.outcome != nil, bytes: len(row.payload),
		}
		if done := l.judge(row, it, out); !done {
			items = append(items, it)
		}
	}
	items = slices.DeleteFunc(items, func(it *item) bool {
		until, why := l.mustWait(it, parked, out.send.now)
		if until.IsZero() {
			return false
		}
		out.postponed = append(out.postponed, postponed{it, until, why})
		return true
	})
	for _, r := range byID { // erased: there is nothing left to deliver
		out.settled = append(out.settled, settled{it: &item{id: r.bundle, job: r.job}})
	}
	slices.SortFunc(items, func(a, b *item) int {
		if a.version() == b.version() {
			return 0
		}
		if b.version().after(a.version()) {
			return -1
		}
		return 1
	})
	return out, items, nil
}

// loaded is one row of load.sql.
type loaded struct {
	id             int64
	payload        []byte
	at, enqueuedAt time.Time
	outcome        *string
	doubtSince     *time.Time
	request        *int64
}

func scanLoaded(row pgx.CollectableRow) (*loaded, error) {
	var l loaded
	err := row.Scan(&l.id, &l.payload, &l.at, &l.enqueuedAt, &l.outcome, &l.doubtSince, &l.request)
	return &l, err
}

// judge decides what can be decided without Amplitude and says whether it did.
func (l *loop) judge(row *loaded, it *item, out *sorted) bool {
	settle := func(outcome, reason string) bool {
		out.settled = append(out.settled, settled{it, outcome, reason})
		return true
	}
	if row.outcome != nil && *row.outcome != "in_doubt" {
		return settle("", "")
	}
	if row.doubtSince != nil {
		it.doubtSince = *row.doubtSince
		if row.request != nil {
			it.doubtRequest = *row.request
		}
		if !out.send.now.Before(it.doubtSince.Add(doubtLimit)) {
			return settle("uncertain", "an attempt 6 days ago may have been accepted, and Amplitude would no longer know it")
		}
	}
	if row.payload == nil {
		return settle("skipped", "its payload was erased")
	}
	var cleaned bundle.Cleaned
	var err error
	it.bundle, cleaned, err = bundle.ParseClean(row.payload)
	if it.cut = cleaned.Cut; it.cut > 0 {
		// A value may be cut. A name may not: two users whose ids begin alike would
		// become one.
		if whole, err := bundle.Parse(row.payload); err == nil {
			if refusals := whole.Refusals(row.enqueuedAt); len(refusals) > 0 {
				return settle("rejected", refusals[0].Error())
			}
		}
	}
	switch {
	case errors.Is(err, bundle.ErrNewerVersion):
		out.postponed = append(out.postponed, postponed{it, out.send.now.Add(newerVersionPause), "newer_version"})
		return true
	case err != nil:
		return settle("rejected", err.Error())
	}
	if refusals := it.bundle.Refusals(row.enqueuedAt); len(refusals) > 0 {
		return settle("rejected", refusals[0].Error())
	}
	if outcome, reason := l.byPlan(it); outcome != "" {
		return settle(outcome, reason)
	}
	if l.cfg.InstanceLevel {
		byInstance(it.bundle)
	}
	return false
}

// newerVersionPause is how long a bundle of an unknown version waits for a newer worker
// to come by.
const newerVersionPause = time.Minute

// mustWait says until when Amplitude wants nothing of this bundle's user or device.
func (l *loop) mustWait(it *item, parked map[identity]time.Time, now time.Time) (time.Time, string) {
	if len(parked) == 0 {
		return time.Time{}, ""
	}
	for _, id := range it.limitedAs() {
		if until, ok := parked[id]; ok {
			return l.throttled.due(id, l.throttled.plausible(until, now)), "parked"
		}
	}
	return time.Time{}, ""
}
