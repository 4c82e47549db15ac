package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// inTurn runs a transaction that locks profiles, one at a time in this worker. Flights
// share groups: side by side they would only wait for each other's rows, and what Postgres
// does for a queue of waiters on each row costs more than the work itself.
func (l *loop) inTurn(ctx context.Context, w wanted, do func(tx pgx.Tx) error) error {
	if len(w.ids) == 0 { // it waits for nobody
		return pgx.BeginFunc(ctx, l.store.pool, do)
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return pgx.BeginFunc(ctx, l.store.pool, do)
}

// wanted are identities as two columns, sorted.
type wanted struct{ kinds, ids []string }

// wantedProfiles is everybody whose traits the batch touches.
func wantedProfiles(items []*item) wanted {
	touched := map[identity]bool{}
	for _, it := range items {
		for _, id := range it.touches() {
			touched[id] = true
		}
	}
	var w wanted
	for _, id := range slices.SortedFunc(maps.Keys(touched), compareIdentities) {
		w.kinds, w.ids = append(w.kinds, id.kind), append(w.ids, id.id)
	}
	return w
}

// settledMeanwhile asks which of the items have another fate than when they were read:
// another worker may have had them too, and may have recorded them while their profiles
// were waited for. It matters to what counts, and to what was read a while ago.
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
		if it.again || it.inDoubt() || len(it.bundle.Increment) > 0 {
			s.asked = append(s.asked, it.id)
		}
	}
	return s
}

// lockProfiles locks and reads those of the wanted profiles that exist, and asks with the
// locks held what was settled meanwhile.
func (l *loop) lockProfiles(ctx context.Context, tx pgx.Tx, w wanted, meanwhile *settledMeanwhile) (map[identity]*profile, error) {
	base := make(map[identity]*profile, len(w.ids))
	held := map[int64]bool{}
	var batch pgx.Batch
	if len(w.ids) > 0 {
		batch.Queue(profilesLockSQL, l.store.dest, w.kinds, w.ids).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				id, p, err := scanProfile(rows)
				if err != nil {
					return err
				}
				if base[id] = p; p.heldBy != 0 {
					held[p.heldBy] = true
				}
			}
			return rows.Err()
		})
	}
	if len(meanwhile.asked) > 0 {
		batch.Queue(settledMeanwhileSQL, meanwhile.asked, meanwhile.doubt).Query(func(rows pgx.Rows) error {
			var id int64
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				meanwhile.found[id] = true
				return nil
			})
			return err
		})
	}
	if batch.Len() == 0 {
		return base, nil
	}
	if _, err := tx.Exec(ctx, turnLimitsSQL); err != nil {
		return nil, fmt.Errorf("bound the wait for profiles: %w", err)
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("lock %d profiles: %w", len(w.ids), err)
	}
	if len(held) == 0 {
		return base, nil
	}
	return base, markHeld(ctx, tx, base, slices.Sorted(maps.Keys(held)))
}

// markHeld says of each reserved profile whether its request is under way, or has been cut
// off and is about to be repeated. It is asked once the profiles are locked.
func markHeld(ctx context.Context, tx pgx.Tx, base map[identity]*profile, requests []int64) error {
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
		p.live, p.doubtful = known[p.heldBy].live, known[p.heldBy].doubtful
	}
	return nil
}

func scanProfile(rows pgx.Rows) (identity, *profile, error) {
	var (
		id     identity
		row    profileRow
		sentAt *time.Time
		heldBy int64
	)
	if err := rows.Scan(&id.kind, &id.id, &row.traits, &row.counters, &row.unsure, &row.seen, &row.seenAt, &row.seenID, &sentAt, &heldBy); err != nil {
		return id, nil, err
	}
	p, err := readProfile(row)
	if err != nil {
		return id, nil, err
	}
	if sentAt != nil {
		p.sentAt = *sentAt
	}
	p.heldBy = heldBy
	return id, p, nil
}
