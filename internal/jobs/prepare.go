package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// prepared is a request written down and not yet sent.
type prepared struct {
	request   int64     // 0 when nothing has to be sent
	startedAt time.Time // database clock
	now       time.Time // database clock at load
	items     []*item   // in (occurred_at, id) order
	base      map[identity]*profile
	first     *draft     // what to send while nothing is known of the answer
	reserved  []identity // whose traits the events may change
}

// sorted is what Prepare made of a batch.
type sorted struct {
	send      prepared
	settled   []settled
	postponed []postponed
	behind    map[int64][]ref       // by the request they wait for
	overflow  []ref                 // more than one request holds
	touched   wanted                // everybody whose traits the batch touches
	read      wanted                // of those, the ones whose profiles were not known
	states    map[identity]*state   // profiles as the plan leaves them
	moved     map[identity]*profile // those of which only the newest version was written, as they stand now
	bytes     int                   // of the events to send
}

// clone is a copy that can be planned on without changing what it was made of.
func (out *sorted) clone() *sorted {
	c := *out
	c.settled, c.overflow = slices.Clip(c.settled), slices.Clip(c.overflow)
	c.behind = maps.Clone(c.behind)
	for request, refs := range c.behind {
		c.behind[request] = slices.Clip(refs)
	}
	return &c
}

type settled struct {
	it      *item
	outcome string // "" when it had one before
	reason  string
}

type postponed struct {
	it    *item
	until time.Time
	why   string
}

// prepare sorts a batch and, if something has to be sent, writes the request down with
// its reservations, in one transaction.
func (l *loop) prepare(ctx context.Context, refs []ref, life int64, limits requestLimits) (out *sorted, err error) {
	out, items, err := l.load(ctx, refs, life)
	if err != nil {
		return nil, err
	}
	if l.cfg.Mode != Deliver {
		out.send.items = items
		return out, l.recordOutcomes(ctx, out.settled)
	}
	// From here on the request may stand in the database, whatever the answer to the
	// COMMIT: it is this worker's until it is known to be sent or not.
	id := out.send.request
	l.batcher.opened(id)
	defer func() {
		if err != nil || out.send.request == 0 {
			l.batcher.settled(id)
		}
	}()
	done, err := l.takeTurn(ctx, items)
	if err != nil {
		return nil, err
	}
	defer done()
	items = out.notReserved(items, l.batcher.reservedTo(items))
	out.touched = wantedProfiles(items)
	for how := l.access(items); ; {
		try, err := l.writeRequest(ctx, out, items, how, limits)
		switch {
		case err == nil:
			l.known.learn(try)
			l.batcher.reserve(try.send.request, try.send.reserved)
			return try, nil
		case how == trusting && (errors.Is(err, errChanged) || isLocked(err)):
			how = asking
		case errors.Is(err, errShort):
			// Somebody is new, or was cleaned away. Rows are made in a transaction of
			// their own, before any lock is held, so that two flights cannot deadlock.
			made, err := l.makeProfiles(ctx, try.touched.without(try.send.base))
			if err != nil {
				return nil, err
			}
			if made == 0 {
				how = patient
			}
		default:
			l.known.forgetAll()
			return nil, err
		}
	}
}

// access is how a flight may get at its profiles at first. What was settled meanwhile is
// asked with the locks held.
func (l *loop) access(items []*item) access {
	if l.known.trusted.Load() && len(newSettledMeanwhile(items).asked) == 0 {
		return trusting
	}
	return asking
}

// writeRequest plans a request and writes it down, in one transaction. What it answers is a
// copy: out stays as it is, to be tried again.
func (l *loop) writeRequest(ctx context.Context, out *sorted, items []*item, how access, limits requestLimits) (try *sorted, err error) {
	try, items = out.clone(), slices.Clone(items)
	err = pgx.BeginFunc(ctx, l.store.pool, func(tx pgx.Tx) error {
		meanwhile := newSettledMeanwhile(items)
		if try.send.base, try.read, err = l.lockProfiles(ctx, tx, try.touched, how, meanwhile); err != nil {
			return err
		}
		items = try.without(items, meanwhile.found)
		try.pack(l.store.install, try.free(items), limits)
		return l.writeDown(ctx, tx, try, how)
	})
	return try, err
}

// makeProfiles gives a row to each of the wanted that has none, and says to how many.
func (l *loop) makeProfiles(ctx context.Context, w wanted) (made int64, err error) {
	var batch pgx.Batch
	asking.limit(&batch)
	batch.Queue(profilesInsertSQL, l.store.dest, w.kinds, w.ids).Exec(func(written pgconn.CommandTag) error {
		made = written.RowsAffected()
		return nil
	})
	if err := l.store.pool.SendBatch(ctx, &batch).Close(); err != nil { // one transaction
		return 0, fmt.Errorf("make %d profiles: %w", len(w.ids), err)
	}
	return made, nil
}

// writeDown writes what Prepare decided: outcomes that need no request, the request,
// its reservations, and versions that move on although nothing is said.
func (l *loop) writeDown(ctx context.Context, tx pgx.Tx, out *sorted, how access) error {
	var batch pgx.Batch
	if how == trusting {
		how.limit(&batch)
		queueStanding(&batch, l.store.dest, out)
	}
	if len(out.send.items) == 0 {
		out.send.request = 0
	} else {
		ids := make([]int64, len(out.send.items))
		for i, it := range out.send.items {
			ids[i] = it.id
		}
		batch.Queue(requestOpenSQL, out.send.request, l.store.worker, ids).QueryRow(func(row pgx.Row) error {
			err := row.Scan(&out.send.startedAt)
			if errors.Is(err, pgx.ErrNoRows) {
				return errDeclaredDead
			}
			return err
		})
	}
	queueOutcomes(&batch, out.settled)
	queueViolations(&batch, out.send.items)
	queueProfiles(&batch, l.store.dest, out)
	if batch.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("write a request of %d bundles down: %w", len(out.send.items), err)
	}
	return nil
}

// errDeclaredDead says that another worker has taken over: nothing may be sent.
var errDeclaredDead = errors.New("this worker was declared dead by another one")

// queueStanding asks whether the profiles that stay as they are still stand, of those that
// were taken from memory.
func queueStanding(batch *pgx.Batch, dest string, out *sorted) {
	still := out.unchanged()
	if len(still.ids) == 0 {
		return
	}
	tids, xids, had := out.places(still)
	batch.Queue(profilesStandSQL, dest, still.kinds, still.ids, tids, xids, had).QueryRow(func(row pgx.Row) error {
		var standing int
		if err := row.Scan(&standing); err != nil {
			return err
		}
		return allWritten(standing, len(still.ids))
	})
}

func queueProfiles(batch *pgx.Batch, dest string, out *sorted) {
	rows, seen, made := out.profileRows()
	if n := len(made.ids); n > 0 {
		batch.Queue(profilesNewSQL, dest, made.kinds, made.ids, made.traits, made.counters, made.unsure,
			made.seen, made.seenAt, made.seenID, made.requests).Exec(func(written pgconn.CommandTag) error {
			return allWritten(int(written.RowsAffected()), n)
		})
	}
	if n := len(rows.ids); n > 0 {
		tids, xids, had := out.places(wanted{rows.kinds, rows.ids})
		batch.Queue(profilesPrepareSQL, dest, rows.kinds, rows.ids, rows.traits, rows.counters, rows.unsure,
			rows.seen, rows.seenAt, rows.seenID, rows.requests, tids, xids, had).Exec(func(written pgconn.CommandTag) error {
			return allWritten(int(written.RowsAffected()), n)
		})
	}
	if len(seen.ids) > 0 {
		tids, xids, had := out.places(seen.wanted)
		batch.Queue(profilesSeenSQL, dest, seen.kinds, seen.ids, seen.at, seen.bundles, tids, xids, had).QueryRow(func(row pgx.Row) error {
			return out.scanMoved(row, seen)
		})
	}
}

func queueOutcomes(batch *pgx.Batch, all []settled) {
	queueViolations(batch, settledItems(all))
	var ids []int64
	var outcomes, reasons []string
	var attempts []int32
	for _, s := range all {
		if s.outcome == "" {
			continue
		}
		ids, outcomes = append(ids, s.it.id), append(outcomes, s.outcome)
		reasons, attempts = append(reasons, s.reason), append(attempts, int32(s.it.attempt))
	}
	if len(ids) > 0 {
		batch.Queue(outcomesSQL, ids, outcomes, reasons, attempts)
	}
}

// recordOutcomes records outcomes on their own.
func (l *loop) recordOutcomes(ctx context.Context, all []settled) error {
	var batch pgx.Batch
	queueOutcomes(&batch, all)
	if batch.Len() == 0 {
		return nil
	}
	if err := l.store.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("record %d outcomes: %w", len(all), err)
	}
	return nil
}
