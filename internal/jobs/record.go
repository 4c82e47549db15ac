package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/sethvargo/go-retry"
)

// recording are the parameters of record.sql.
type recording struct {
	ids      []int64
	outcomes []string
	reasons  []string
	attempts []int32
	doubts   []*time.Time
	had      []bool  // whether there was an outcome, or a doubt, before
	settled  []*item // those with an outcome
	lock     bool    // whether the profiles are to be locked first

	profiles profileColumns
	sentAt   []*time.Time
	keep     []bool

	parkKinds, parkIDs []string
	parkUntil          []time.Time
}

// record writes down what the flight has come to, and then lets River's jobs and the
// bundles behind it go on. A database that is away is waited for: until the record
// stands, nobody may act on what it says. ctx ends the wait at shutdown; the request's
// row then stays, and another worker finds it.
func (f *flight) record(ctx context.Context) error {
	r := f.recording()
	jobs := f.loop.batcher.ends(r.settled)
	backoff := retry.WithFullJitter(retry.WithCappedDuration(5*time.Second, retry.NewExponential(100*time.Millisecond)))
	var ours int
	var written []int64
	var tids []pgtype.TID
	var xid uint32
	err := retry.Do(ctx, backoff, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
		defer cancel()
		var batch pgx.Batch // one transaction
		batch.Queue(turnLimitsSQL, statementTimeout.String())
		if r.lock {
			batch.Queue(recordLockSQL, f.send.request, f.loop.store.worker, f.loop.store.dest, r.profiles.kinds, r.profiles.ids)
		}
		batch.Queue(recordSQL,
			f.send.request, f.loop.store.worker,
			r.ids, r.outcomes, r.reasons, r.attempts, r.doubts,
			f.loop.store.dest, r.profiles.kinds, r.profiles.ids, r.profiles.traits, r.profiles.counters, r.profiles.unsure, r.sentAt, r.keep,
			r.parkKinds, r.parkIDs, r.parkUntil,
			r.profiles.seen, r.profiles.seenAt, r.profiles.seenID,
			jobs, r.had,
		).QueryRow(func(row pgx.Row) error {
			return row.Scan(&ours, &written, &tids, &xid)
		})
		err := f.loop.store.pool.SendBatch(ctx, &batch).Close()
		if isDuplicate(err) { // another worker had it too: look, instead of assuming
			r.had = slices.Repeat([]bool{true}, len(r.ids))
			return retry.RetryableError(err)
		}
		if isMoved(err) {
			r.lock = true
			return retry.RetryableError(err)
		}
		if err != nil {
			f.loop.cfg.Logger.WarnContext(ctx, "cannot record a request, trying again", "request", f.send.request, "error", err)
			return retry.RetryableError(fmt.Errorf("record request %d: %w", f.send.request, err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if ours == 0 {
		return errDeclaredDead
	}
	f.loop.batcher.completed(jobs)
	stand := make(map[identity]*profile, len(written))
	for i, n := range written {
		if id := r.profiles.identity(int(n) - 1); !r.keep[n-1] {
			stand[id] = f.send.base[id].standsAt(place{tids[i], xid, r.profiles.seenID[n-1]})
		}
	}
	f.loop.known.learnRecorded(stand)
	return nil
}

// Codes of Postgres: https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	uniqueViolation = "23505"
	divisionByZero  = "22012"
)

// isDuplicate says that a row that was expected to be new was there.
func isDuplicate(err error) bool { return isRefusal(err, uniqueViolation) }

// isMoved says that a profile did not stand any more where record.sql had seen it.
func isMoved(err error) bool { return isRefusal(err, divisionByZero) }

func isRefusal(err error, code string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == code
}

func (f *flight) recording() recording {
	var r recording
	for i, it := range f.send.items {
		fate := f.fates[i]
		var since *time.Time
		outcome, reason := fate.outcome, fate.reason
		if outcome == "" {
			if !fate.doubt && !it.inDoubt() {
				continue // it goes back as it came
			}
			since = &f.send.startedAt
			if it.inDoubt() {
				since = &it.doubtSince
			}
			outcome, reason = "in_doubt", "an attempt ended without an answer that says whether it was accepted"
		} else {
			r.settled = append(r.settled, it)
		}
		r.ids, r.outcomes, r.reasons = append(r.ids, it.id), append(r.outcomes, outcome), append(r.reasons, reason)
		r.attempts, r.doubts = append(r.attempts, int32(it.attempt)), append(r.doubts, since)
		r.had = append(r.had, it.had)
	}
	f.recordProfiles(&r)
	for id, until := range f.parks {
		r.parkKinds, r.parkIDs = append(r.parkKinds, id.kind), append(r.parkIDs, id.id)
		r.parkUntil = append(r.parkUntil, until)
	}
	return r
}

// recordProfiles writes what Amplitude was told. What was planned and is certain not to
// have been accepted leaves no trace.
func (f *flight) recordProfiles(r *recording) {
	f.foldDoubt()
	held := f.stillInDoubt()
	for _, id := range f.send.reserved {
		p := f.send.base[id]
		var sentAt *time.Time
		if !p.sentAt.IsZero() {
			sentAt = &p.sentAt
		}
		r.profiles.add(id, p)
		r.sentAt, r.keep = append(r.sentAt, sentAt), append(r.keep, held[id])
	}
}

// stillInDoubt are the identities whose bundles go back in doubt without being parked:
// their reservation stays until they have been sent again, or a minute has passed.
func (f *flight) stillInDoubt() map[identity]bool {
	held := map[identity]bool{}
	for i, it := range f.send.items {
		if fate := f.fates[i]; fate.outcome == "" && fate.until.IsZero() && (fate.doubt || it.inDoubt()) {
			for _, id := range it.touches() {
				held[id] = true
			}
		}
	}
	return held
}
