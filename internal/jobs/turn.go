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
	"github.com/jackc/pgx/v5/pgtype"
)

// takeTurn waits until no other flight of this worker is being prepared. Flights share
// groups: side by side they would only wait for each other's rows, and what Postgres does
// for a queue of waiters on each row costs more than the work itself. done ends the turn.
func (l *loop) takeTurn(ctx context.Context, items []*item) (done func(), err error) {
	if !slices.ContainsFunc(items, func(it *item) bool { return len(it.touches()) > 0 }) {
		return func() {}, nil // it waits for nobody
	}
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// wanted are identities as two columns, sorted.
type wanted struct{ kinds, ids []string }

// wantedProfiles is everybody whose traits the batch touches.
func wantedProfiles(items []*item) wanted {
	touched := make([]identity, 0, 3*len(items))
	for _, it := range items {
		touched = append(touched, it.touches()...)
	}
	slices.SortFunc(touched, compareIdentities)
	touched = slices.Compact(touched)
	w := newWanted(len(touched))
	for _, id := range touched {
		w.add(id)
	}
	return w
}

func newWanted(most int) wanted {
	return wanted{kinds: make([]string, 0, most), ids: make([]string, 0, most)}
}

func (w *wanted) add(id identity) {
	w.kinds, w.ids = append(w.kinds, id.kind), append(w.ids, id.id)
}

func (w wanted) identity(i int) identity { return identity{w.kinds[i], w.ids[i]} }

// without are those that are not among the profiles.
func (w wanted) without(found map[identity]*profile) wanted {
	rest := newWanted(len(w.ids) - len(found))
	for i := range w.ids {
		if id := w.identity(i); found[id] == nil {
			rest.add(id)
		}
	}
	return rest
}

// settledMeanwhile asks which of the items have another fate than when they were read:
// another worker may have had them too, and may have recorded them while their profiles
// were waited for. It matters to what counts.
type settledMeanwhile struct {
	asked []int64
	doubt []int64 // of these, the ones that were in doubt
	found map[int64]bool
}

func newSettledMeanwhile(items []*item) *settledMeanwhile {
	s := &settledMeanwhile{doubt: []int64{}, found: map[int64]bool{}}
	for _, it := range items {
		if it.inDoubt() {
			s.doubt = append(s.doubt, it.id)
		}
		if it.inDoubt() || len(it.bundle.Increment) > 0 {
			s.asked = append(s.asked, it.id)
		}
	}
	return s
}

func (s *settledMeanwhile) queue(batch *pgx.Batch) {
	if len(s.asked) == 0 {
		return
	}
	batch.Queue(settledMeanwhileSQL, s.asked, s.doubt).Query(scanIDs(s.found))
}

func scanIDs(into map[int64]bool) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var id int64
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			into[id] = true
			return nil
		})
		return err
	}
}

// access is how a flight gets at the profiles that it touches.
type access int

const (
	// trusting takes what is known from before as it is, and who has no profile for new. The
	// writes find out if that is wrong.
	trusting access = iota
	// asking locks what is known and has not changed since, and reads the others. Nobody is
	// waited for.
	asking
	// patient locks and reads everybody, and waits for them.
	patient
)

// limit bounds how long a transaction waits for a lock. One that trusts writes before it
// knows that it holds everything, and so may come to wait for somebody who waits for it: it
// gives up sooner than Postgres looks for that, which is after a second.
func (a access) limit(batch *pgx.Batch) {
	wait := "3s"
	if a == trusting {
		wait = "300ms"
	}
	batch.Queue(turnLimitsSQL, wait)
}

// isLocked says that a lock was not to be had.
func isLocked(err error) bool {
	const lockNotAvailable, deadlockDetected = "55P03", "40P01" // https://www.postgresql.org/docs/current/errcodes-appendix.html
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == lockNotAvailable || refused.Code == deadlockDetected)
}

var (
	// errShort says that a wanted profile is missing, or locked by somebody else while this
	// transaction holds locks already: then it must not wait.
	errShort = errors.New("a profile is missing or not to be had without waiting")
	// errChanged says that somebody has changed a profile since it was read. Nothing was
	// written then.
	errChanged = errors.New("a profile has changed since it was read")
)

// lockProfiles locks and reads the wanted profiles, and asks with the locks held what was
// settled meanwhile. What is known from before and has not changed is not read again, and not
// even locked when trusting. With errShort, base holds those that were to be had. read are
// those that were not known.
func (l *loop) lockProfiles(ctx context.Context, tx pgx.Tx, w wanted, how access, meanwhile *settledMeanwhile) (base map[identity]*profile, read wanted, err error) {
	base = make(map[identity]*profile, len(w.ids))
	if how == trusting {
		l.known.all(w, base)
	}
	var batch pgx.Batch
	if len(base) < len(w.ids) || len(meanwhile.asked) > 0 {
		how.limit(&batch)
	}
	if how == asking && l.queueKnown(&batch, w, base) {
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return nil, read, fmt.Errorf("lock %d profiles: %w", len(w.ids), err)
		}
		batch = pgx.Batch{}
	}
	statement := profilesLockSQL
	if len(base) > 0 || how == trusting {
		statement = profilesLockFreeSQL
	}
	read = w.without(base)
	if len(read.ids) > 0 {
		batch.Queue(statement, l.store.dest, read.kinds, read.ids).Query(func(rows pgx.Rows) error {
			return scanProfiles(rows, base)
		})
	}
	meanwhile.queue(&batch)
	if batch.Len() > 0 {
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return nil, read, fmt.Errorf("lock %d profiles: %w", len(w.ids), err)
		}
	}
	if how == trusting {
		for i := range read.ids {
			if id := read.identity(i); base[id] == nil {
				base[id] = &profile{} // whoever is missing is new, or this is found out in writing
			}
		}
	}
	if len(base) < len(w.ids) {
		return base, read, errShort
	}
	return base, read, markHeld(ctx, tx, base)
}

// queueKnown asks which of the profiles that are known still hold, and puts those into base.
// It says whether any is.
func (l *loop) queueKnown(batch *pgx.Batch, w wanted, base map[identity]*profile) bool {
	var (
		most    = len(w.ids)
		asked   = newWanted(most)
		tids    = make([]pgtype.TID, 0, most)
		xids    = make([]uint32, 0, most)
		seenIDs = make([]int64, 0, most)
		all     = make([]*profile, 0, most)
	)
	for i := range w.ids {
		if p := l.known.get(w.identity(i)); p != nil {
			asked.add(w.identity(i))
			tids, xids, seenIDs = append(tids, p.place.tid), append(xids, p.place.xid), append(seenIDs, p.place.seenID)
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return false
	}
	batch.Queue(profilesKnownSQL, l.store.dest, asked.kinds, asked.ids, tids, xids, seenIDs).QueryRow(func(row pgx.Row) error {
		var hold []int64
		if err := row.Scan(&hold); err != nil {
			return err
		}
		for _, n := range hold {
			base[asked.identity(int(n)-1)] = all[n-1]
		}
		return nil
	})
	return true
}

// markHeld says of each reserved profile whether its request is under way, or has been cut
// off and is about to be repeated. It is asked once the profiles are locked.
func markHeld(ctx context.Context, tx pgx.Tx, base map[identity]*profile) error {
	held := map[int64]bool{}
	for _, p := range base {
		if p.heldBy != 0 {
			held[p.heldBy] = true
		}
	}
	if len(held) == 0 {
		return nil
	}
	requests := slices.Sorted(maps.Keys(held))
	type standing struct{ live, doubtful bool }
	known := make(map[int64]standing, len(requests))
	rows, err := tx.Query(ctx, requestsHeldSQL, requests)
	if err != nil {
		return fmt.Errorf("ask after %d requests: %w", len(requests), err)
	}
	var id int64
	var is standing
	if _, err := pgx.ForEachRow(rows, []any{&id, &is.live, &is.doubtful}, func() error {
		known[id] = is
		return nil
	}); err != nil {
		return fmt.Errorf("ask after %d requests: %w", len(requests), err)
	}
	for _, p := range base {
		if p.heldBy != 0 {
			p.live, p.doubtful = known[p.heldBy].live, known[p.heldBy].doubtful
		}
	}
	return nil
}

// scanProfiles reads all rows into the same variables: what is scanned escapes to the heap,
// and a flight reads thousands.
func scanProfiles(rows pgx.Rows, into map[identity]*profile) error {
	var (
		id     identity
		row    profileRow
		sentAt *time.Time
		heldBy int64
		stands place
	)
	_, err := pgx.ForEachRow(rows, []any{
		&id.kind, &id.id, &row.traits, &row.counters, &row.unsure, &row.seen, &row.seenAt, &row.seenID, &sentAt, &heldBy, &stands.tid, &stands.xid,
	}, func() error {
		p, err := readProfile(row)
		if err != nil {
			return err
		}
		if sentAt != nil {
			p.sentAt = *sentAt
		}
		stands.seenID = row.seenID
		p.heldBy, p.place = heldBy, stands
		into[id] = p
		return nil
	})
	return err
}
