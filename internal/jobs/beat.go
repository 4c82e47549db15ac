package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// The heartbeat's times. A worker that was killed is noticed by the others at most
// 11 s later: its last beat, a look, 8 s without change, a look.
const (
	beatEvery  = 2 * time.Second
	lookEvery  = time.Second
	deadAfter  = 8 * time.Second
	freshFor   = 5 * time.Second // a request goes out only this soon after a beat
	lookMissed = 3 * time.Second // a longer gap between looks proves nothing about others
)

// beat tells the other workers that this one lives, and finds those that do not. There
// is no leader and no lock: both survive a stopped process or die with the database.
type beat struct {
	store   *store
	clock   *databaseClock
	log     *slog.Logger
	meter   Meter
	about   func() string
	onDeath func(ctx context.Context) // another worker took over everything we held
	onLook  func(others int)          // how many other workers there are

	mu   sync.Mutex
	last time.Time // of the last beat that was written; monotonic and wall clock
	life int64     // how often this worker has been declared dead

	seen map[string]sighting // by worker; owned by run
}

// sighting is how another worker's row was last seen to change.
type sighting struct {
	beat  int64
	since time.Time
}

// start writes the row; jobs may be fetched only afterwards.
func (b *beat) start(ctx context.Context) error {
	before := time.Now()
	var dbNow time.Time
	if err := b.store.pool.QueryRow(ctx, query("beat_first"), b.store.worker, b.about()).Scan(&dbNow); err != nil {
		return fmt.Errorf("write the first heartbeat: %w", err)
	}
	b.written(before, dbNow)
	return nil
}

// run beats and looks until ctx ends.
func (b *beat) run(ctx context.Context) {
	b.seen = map[string]sighting{}
	var nextBeat, lastLook time.Time
	for {
		now := time.Now()
		if !now.Before(nextBeat) {
			if err := b.write(ctx); err != nil && ctx.Err() == nil {
				b.log.WarnContext(ctx, "heartbeat not written; nothing is sent until one is", "error", err)
			}
			nextBeat = now.Add(beatEvery)
		}
		if err := b.look(ctx, time.Since(lastLook) > lookMissed); err != nil {
			if ctx.Err() == nil {
				b.log.WarnContext(ctx, "cannot look after the other workers", "error", err)
			}
		} else {
			lastLook = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
	}
}

// stop takes the row away, unless requests of ours are still open.
func (b *beat) stop(ctx context.Context) error {
	_, err := b.store.pool.Exec(ctx, query("beat_last"), b.store.worker)
	return err
}

// write beats once. A worker that finds its row gone was declared dead: it starts a new
// life, and whatever it prepared in the old one is not sent.
func (b *beat) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, beatEvery, errSlowStatement)
	defer cancel()
	before := time.Now()
	var dbNow time.Time
	err := b.store.pool.QueryRow(ctx, query("beat"), b.store.worker, b.about()).Scan(&dbNow)
	if errors.Is(err, pgx.ErrNoRows) {
		return b.reborn(ctx)
	}
	if err != nil {
		return err
	}
	b.written(before, dbNow)
	return nil
}

// written notes a beat. It counts from when it was asked for: it may have been written at
// once and answered late.
func (b *beat) written(asked, dbNow time.Time) {
	b.clock.learn(asked, time.Now(), dbNow)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = asked
}

func (b *beat) reborn(ctx context.Context) error {
	b.mu.Lock()
	b.life++
	b.mu.Unlock()
	b.log.ErrorContext(ctx, "declared dead by another worker, probably after a pause of this process; starting over",
		"worker", b.store.worker)
	if err := b.start(ctx); err != nil {
		return err
	}
	b.onDeath(ctx)
	return nil
}

// current is the worker's life; what is prepared in it may be sent only in it.
func (b *beat) current() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.life
}

// maySend says whether a flight of a life may be sent now: only if this worker's own
// beat is fresh by the monotonic and by the wall clock, so that a machine that was
// suspended does not speak for bundles that others took over.
func (b *beat) maySend(ctx context.Context, life int64) error {
	b.mu.Lock()
	last, now := b.last, b.life
	b.mu.Unlock()
	if now != life {
		return errDeclaredDead
	}
	if isFresh(last, time.Now()) {
		return nil
	}
	if err := b.write(ctx); err != nil {
		return err
	}
	if b.current() != life {
		return errDeclaredDead
	}
	return nil
}

func isFresh(last, now time.Time) bool {
	wall := now.Round(0).Sub(last.Round(0))
	return now.Sub(last) < freshFor && wall < freshFor && wall > -freshFor
}

// look finds workers whose row has not changed for a while in which this one could see
// it, and takes over from them.
func (b *beat) look(ctx context.Context, blind bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, beatEvery, errSlowStatement)
	defer cancel()
	rows, err := b.store.pool.Query(ctx, query("others"), b.store.worker)
	if err != nil {
		return err
	}
	now := time.Now()
	seen := map[string]sighting{}
	var id string
	var count int64
	_, err = pgx.ForEachRow(rows, []any{&id, &count}, func() error {
		was, known := b.seen[id]
		if !known || was.beat != count || blind {
			was = sighting{beat: count, since: now}
		}
		seen[id] = was
		return nil
	})
	if err != nil {
		return err
	}
	b.seen = seen
	b.onLook(len(seen))
	for id, was := range seen {
		if now.Sub(was.since) >= deadAfter {
			if err := b.rescue(ctx, id, was.beat); err != nil {
				return fmt.Errorf("take over from worker %s: %w", id, err)
			}
		}
	}
	return nil
}

func (b *beat) rescue(ctx context.Context, id string, count int64) error {
	var dead, jobs, bundles int
	if err := b.store.pool.QueryRow(ctx, query("rescue"), id, count).Scan(&dead, &jobs, &bundles); err != nil {
		return err
	}
	if dead == 0 {
		return nil // it lives, or somebody else was faster
	}
	b.meter.Rescued(jobs, bundles)
	b.log.WarnContext(ctx, "took over from a worker without heartbeat", "worker", id, "jobs", jobs, "in_doubt", bundles)
	return nil
}

// lastWritten is when the last beat was written.
func (b *beat) lastWritten() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}
