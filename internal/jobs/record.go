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

	"waybill/migrations"
)

// recording is what a flight has come to, as columns.
type recording struct {
	outcomeColumns
	had     []bool  // whether there was an outcome, or a doubt, before
	settled []*item // those with an outcome

	profiles profileColumns
	sentAt   []*time.Time
	keep     []bool

	parkKinds, parkIDs []string
	parkUntil          []time.Time
}

// outcomeColumns are what the rows of waybill.delivery differ in.
type outcomeColumns struct {
	ids      []int64
	outcomes []string
	reasons  []string
	attempts []int32
	doubts   []*time.Time
}

func (c *outcomeColumns) add(id int64, outcome, reason string, attempt int32, doubtSince *time.Time) {
	c.ids, c.outcomes, c.reasons = append(c.ids, id), append(c.outcomes, outcome), append(c.reasons, reason)
	c.attempts, c.doubts = append(c.attempts, attempt), append(c.doubts, doubtSince)
}

// split divides the outcomes: for some it is looked whether there is one already, the first ones
// are copied.
func (r recording) split() (looked, first outcomeColumns) {
	var news int
	for _, had := range r.had {
		if !had {
			news++
		}
	}
	if news < copyFrom {
		return r.outcomeColumns, first
	}
	for i, had := range r.had {
		to := &first
		if had {
			to = &looked
		}
		to.add(r.ids[i], r.outcomes[i], r.reasons[i], r.attempts[i], r.doubts[i])
	}
	return looked, first
}

// record writes down what the flight has come to, and then lets River's jobs and the
// bundles behind it go on. A database that is away is waited for: until the record
// stands, nobody may act on what it says. ctx ends the wait at shutdown; the request's
// row then stays, and another worker finds it.
func (f *flight) record(ctx context.Context) error {
	r := f.recording()
	jobs := f.loop.batcher.ends(r.settled)
	backoff := retry.WithFullJitter(retry.WithCappedDuration(5*time.Second, retry.NewExponential(100*time.Millisecond)))
	var done recorded
	err := retry.Do(ctx, backoff, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
		defer cancel()
		done, err = f.write(ctx, r, jobs)
		switch {
		case err == nil || errors.Is(err, errDeclaredDead):
			return err
		case isDuplicate(err): // another worker had it too: look, instead of assuming
			r.had = slices.Repeat([]bool{true}, len(r.ids))
			return retry.RetryableError(err)
		}
		f.loop.cfg.Logger.WarnContext(ctx, "cannot record a request, trying again", "request", f.send.request, "error", err)
		return retry.RetryableError(fmt.Errorf("record request %d: %w", f.send.request, err))
	})
	if err != nil {
		return err
	}
	f.loop.batcher.completed(jobs)
	stand := make(map[identity]*profile, len(done.written))
	for i, n := range done.written {
		if id := r.profiles.identity(int(n) - 1); !r.keep[n-1] {
			stand[id] = f.send.base[id].standsAt(place{done.tids[i], done.xid, r.profiles.seenID[n-1]})
		}
	}
	f.loop.known.learnRecorded(stand)
	return nil
}

// recorded is what record.sql answers.
type recorded struct {
	ours    int // 0 or 1
	at      time.Time
	written []int64 // which of the profiles, from 1
	tids    []pgtype.TID
	xid     uint32
}

// copyFrom is how many first outcomes are copied into the table: in many rows at once, which
// is half of the log that one after the other takes. Fewer are not worth the transaction of
// several statements.
const copyFrom = 100

// write records all of it or nothing. An outcome of a bundle that is taken for one without, and
// has one, fails it as a whole: see isDuplicate.
func (f *flight) write(ctx context.Context, r recording, jobs []int64) (done recorded, err error) {
	looked, first := r.split()
	var batch pgx.Batch
	batch.Queue(turnLimitsSQL, statementTimeout.String())
	batch.Queue(recordSQL,
		f.send.request, f.loop.store.worker,
		looked.ids, looked.outcomes, looked.reasons, looked.attempts, looked.doubts,
		f.loop.store.dest, r.profiles.kinds, r.profiles.ids, r.profiles.traits, r.profiles.counters, r.profiles.unsure, r.sentAt, r.keep,
		r.parkKinds, r.parkIDs, r.parkUntil,
		r.profiles.seen, r.profiles.seenAt, r.profiles.seenID,
		jobs,
	).QueryRow(func(row pgx.Row) error {
		return row.Scan(&done.ours, &done.at, &done.written, &done.tids, &done.xid)
	})
	if len(first.ids) == 0 {
		if err := f.loop.store.pool.SendBatch(ctx, &batch).Close(); err != nil { // one transaction
			return done, err
		}
		return done, done.check()
	}
	err = pgx.BeginFunc(ctx, f.loop.store.pool, func(tx pgx.Tx) error {
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
		if err := done.check(); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, deliveryTable, deliveryColumns, pgx.CopyFromSlice(len(first.ids), func(i int) ([]any, error) {
			return []any{first.ids[i], done.at, f.send.request, first.doubts[i], first.attempts[i], first.outcomes[i], first.reasons[i]}, nil
		}))
		return err
	})
	return done, err
}

// check fails unless the request was ours.
func (r recorded) check() error {
	if r.ours == 0 {
		return errDeclaredDead
	}
	return nil
}

var (
	deliveryTable = pgx.Identifier{migrations.Schema, "delivery"}
	// All of them: a row for which Postgres has to ask for a default is inserted on its own.
	deliveryColumns = []string{"bundle_id", "at", "request_id", "doubt_since", "attempt", "outcome", "reason"}
)

// isDuplicate says that a row that was expected to be new was there.
func isDuplicate(err error) bool {
	const uniqueViolation = "23505" // https://www.postgresql.org/docs/current/errcodes-appendix.html
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == uniqueViolation
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
		r.add(it.id, outcome, reason, int32(it.attempt), since)
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
