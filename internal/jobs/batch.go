package jobs

import (
	"context"
	"slices"
	"sync"
	"time"
)

// heldJob is a River job that Work waits on until each of its bundles is settled.
type heldJob struct {
	id       int64
	attempt  int
	priority int

	// The batcher's lock guards the rest.
	open  int       // bundles without an outcome in this run
	later time.Time // when to look at those that must wait, on the database's clock; zero for none
	gone  bool      // Work has returned; nobody waits for its bundles
	lost  bool      // another worker took it over
	done  chan struct{}
}

// ref is one bundle that waits to be gathered.
type ref struct {
	bundle int64
	job    *heldJob
	read   *item // as Prepare has read it and put it back, nil if it has not
}

// batcher holds the bundles of all jobs that Work waits on. It owns no goroutine: Work
// adds, the loop takes, flights settle.
type batcher struct {
	slots int // jobs that River runs at once

	mu       sync.Mutex
	line     line
	since    time.Time          // when the oldest in line came
	open     map[int64]bool     // requests of ours that are under way; false for those of an earlier life
	behind   map[int64][]ref    // waiting for one of them to be settled
	reserved map[identity]int64 // whose traits one of them may be changing
	delayed  []delayedRef
	kept     int // bytes of payload that bundles were read with which wait again
	held     map[*heldJob]struct{}
	packs    int                 // of those held, jobs of packs
	flying   int                 // bundles in flights
	written  map[int64]bool      // jobs that River must not write: completed by a record, or another worker's by now
	putOff   map[int64]time.Time // jobs that River is about to put off, and until when on the database's clock
	changed  chan struct{}       // capacity 1: something came or was put back
}

type delayedRef struct {
	ref
	until time.Time
}

func newBatcher(slots int) *batcher {
	return &batcher{
		slots:    slots,
		open:     map[int64]bool{},
		behind:   map[int64][]ref{},
		reserved: map[identity]int64{},
		held:     map[*heldJob]struct{}{},
		written:  map[int64]bool{},
		putOff:   map[int64]time.Time{},
		changed:  make(chan struct{}, 1),
	}
}

// admit takes a job's bundles in.
func (b *batcher) admit(id int64, attempt, priority int, bundles []int64) *heldJob {
	job := &heldJob{id: id, attempt: attempt, priority: priority, open: len(bundles), done: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[job] = struct{}{}
	if urgency(job) >= packPriority {
		b.packs++
	}
	for _, bundle := range bundles {
		b.push(ref{bundle: bundle, job: job})
	}
	if job.open == 0 {
		b.release(job)
	}
	b.signal()
	return job
}

// withdraw forgets a job whose Work returns before its bundles are settled.
func (b *batcher) withdraw(job *heldJob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !job.gone {
		b.drop(job)
	}
}

// drop forgets a job that is held.
func (b *batcher) drop(job *heldJob) {
	job.gone = true
	delete(b.held, job)
	if urgency(job) >= packPriority {
		b.packs--
	}
}

// ends lists the jobs that end when all of these bundles have their outcome.
func (b *batcher) ends(items []*item) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := map[*heldJob]int{}
	var ended []int64
	for _, it := range items {
		open, seen := left[it.job]
		if !seen {
			open = it.job.open
		}
		left[it.job] = open - 1
		if open == 1 && !it.job.gone && it.job.later.IsZero() {
			ended = append(ended, it.job.id)
		}
	}
	return ended
}

// completed notes that the database has these jobs completed already.
func (b *batcher) completed(jobs []int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range jobs {
		b.written[id] = true
	}
}

// isWritten says that River has nothing to write about the end of a job.
func (b *batcher) isWritten(job int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written[job]
}

// puttingOff notes what River is told next only as a length of time: by the time it writes
// that down, the database's clock may have stepped.
func (b *batcher) puttingOff(job int64, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.putOff[job] = until
}

// putOffUntil is until when a job is put off, on the database's clock.
func (b *batcher) putOffUntil(job int64) (until time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok = b.putOff[job]
	return until, ok
}

// ended forgets jobs that were written, once River is done with them.
func (b *batcher) ended(jobs []int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range jobs {
		delete(b.written, id)
		delete(b.putOff, id)
	}
}

// settle says that a bundle has its outcome.
func (b *batcher) settle(it *item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying--
	b.close(it.job)
}

// postpone gives a bundle back to River until a time of the database's clock; its slot is
// free meanwhile.
func (b *batcher) postpone(it *item, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying--
	if it.job.later.IsZero() || until.Before(it.job.later) {
		it.job.later = until
	}
	b.close(it.job)
}

func (b *batcher) close(job *heldJob) {
	job.open--
	if job.open == 0 {
		b.release(job)
	}
}

func (b *batcher) release(job *heldJob) {
	if !job.gone {
		close(job.done)
		b.drop(job)
	}
}

// putBack returns bundles that could not fly.
func (b *batcher) putBack(refs []ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying -= len(refs)
	b.line.putBack(b.keep(refs))
	b.signal()
}

// keepMost bounds what is kept of bundles that wait again, in bytes of payload. Once it is read,
// a bundle takes more than that.
const keepMost = 3 << 20

// keep is a copy of refs that go back in line: what does not fit beside the others that wait
// is read again when its turn comes.
func (b *batcher) keep(refs []ref) []ref {
	refs = slices.Clone(refs)
	for i := range refs {
		switch read := refs[i].read; {
		case read == nil:
		case b.kept+read.bytes > keepMost:
			refs[i].read = nil
		default:
			b.kept += read.bytes
		}
	}
	return refs
}

// leave takes a ref's bundle out of what is kept.
func (b *batcher) leave(r ref) {
	if r.read != nil {
		b.kept -= r.read.bytes
	}
}

func (b *batcher) push(r ref) {
	if b.line.length == 0 {
		b.since = time.Now()
	}
	b.line.push(r)
}

func (b *batcher) signal() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// take removes up to n bundles from the front of the line.
func (b *batcher) take(n int) []ref {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dueNow(time.Now())
	taken := make([]ref, 0, min(n, b.line.length))
	b.line.take(func(r ref) bool {
		if len(taken) == n {
			return false
		}
		b.leave(r)
		if !r.job.gone {
			taken = append(taken, r)
		}
		return true
	})
	b.since = time.Now()
	b.flying += len(taken)
	return taken
}

func (b *batcher) dueNow(now time.Time) {
	waiting := b.delayed[:0]
	for _, d := range b.delayed {
		if d.until.After(now) {
			waiting = append(waiting, d)
		} else {
			b.push(d.ref)
		}
	}
	clear(b.delayed[len(waiting):])
	b.delayed = waiting
}

// ahead is a stretch of the line that is worth arranging before up to n bundles are taken.
func (b *batcher) ahead(n int) stretch {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.line.ahead(n, lookAheadFrom, lookAheadMost)
}

// arrange arranges a stretch that ahead has named. Only whoever takes may call it.
func (b *batcher) arrange(s stretch, users map[int64]int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line.arrange(s, users)
}

// How far the line is looked through for bundles of one user. It is so long only where packs
// wait, unless ANALYTICS_CONCURRENCY was raised.
const (
	lookAheadFrom = 4 * batchMost
	lookAheadMost = 20 * batchMost
)

// gather waits until a request's worth of bundles is ready, the oldest has lingered
// long enough, or no further one can come because every job that River may run is
// waiting already. Before it takes them it lets lookAhead arrange the line. It returns nil
// when ctx ends.
func (b *batcher) gather(ctx context.Context, n int, linger time.Duration, lookAhead func()) []ref {
	for {
		ready, wait := b.look(n, linger)
		if ready {
			lookAhead()
			if taken := b.take(n); len(taken) > 0 {
				return taken
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-b.changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// look says whether to take now, else how long to wait for a change.
func (b *batcher) look(n int, linger time.Duration) (ready bool, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.dueNow(now)
	if b.line.length == 0 {
		wait = time.Minute
		for _, d := range b.delayed {
			wait = min(wait, max(d.until.Sub(now), time.Millisecond))
		}
		return false, wait
	}
	full := b.line.length >= n || len(b.held) >= b.slots && b.flying == 0
	if wait = linger - now.Sub(b.since); full || wait <= 0 {
		return true, 0
	}
	return false, wait
}

// counts are the jobs held and the bundles in flights.
func (b *batcher) counts() (jobs, flying int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held), b.flying
}

// idle says that no job is held.
func (b *batcher) idle() bool {
	jobs, _ := b.counts()
	return jobs == 0
}

// heldIDs are the ids of all held jobs.
func (b *batcher) heldIDs() []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]int64, 0, len(b.held))
	for job := range b.held {
		ids = append(ids, job.id)
	}
	return ids
}

// lose gives up those of the held jobs that are not mine any more. One that has come
// since they were listed is not among them.
func (b *batcher) lose(held []int64, mine map[int64]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := make(map[int64]bool, len(held))
	for _, id := range held {
		asked[id] = true
	}
	for job := range b.held {
		if asked[job.id] && !mine[job.id] {
			job.lost, b.written[job.id] = true, true
			b.release(job)
		}
	}
}
