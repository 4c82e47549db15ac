package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/sethvargo/go-retry"

	"waybill/internal/amplitude"
	"waybill/internal/plan/check"
)

// What one worker does at once. Found by measuring: more flights compete with the
// database for the same cores, fewer leave Amplitude's latency unused.
const (
	flights   = 6
	batchMost = 1500 // bundles in one request; they make up to 2,000 events
	linger    = 10 * time.Millisecond

	lingerBeside = 50 * time.Millisecond
	jobsAtOnce   = 4500 // three full requests of jobs with one bundle each
	probeBundles = 50
)

const statementTimeout = 30 * time.Second

var errSlowStatement = errors.New("the database did not answer in time")

// loop is what the parts of a running worker share.
type loop struct {
	cfg       Config
	store     *store
	batcher   *batcher
	lane      *lane
	throttled *throttled
	beat      *beat
	turn      chan struct{} // capacity 1: whoever put something in prepares a request
	known     *known
	print     sync.Mutex // debug output is one event a line

	perBundle  atomic.Int64 // bytes, a moving average
	complaints complaints   // about the tracking plan, each logged once
}

// run gathers flights until ctx ends, then waits for those under way. hard ends their
// requests, last their recording.
func (l *loop) run(ctx, hard, last context.Context) {
	var flying sync.WaitGroup
	defer flying.Wait()
	places := make(chan struct{}, flights)
	for {
		select {
		case <-ctx.Done():
			return
		case places <- struct{}{}:
		}
		refs := l.batcher.gather(ctx, l.worth(), lingerBesides(len(places)-1), func() { l.lookAhead(ctx) })
		if refs == nil {
			return
		}
		flying.Go(func() {
			defer func() { <-places }()
			l.fly(ctx, hard, last, refs)
		})
	}
}

// lookAhead brings bundles of one user together where very many wait, as in an import: in one
// request they move the user's profile on once, and Amplitude is told in their order what they
// set. If that fails, nobody's bundles are brought together.
func (l *loop) lookAhead(ctx context.Context) {
	if l.cfg.Mode != Deliver {
		return
	}
	s := l.batcher.ahead(l.worth())
	if len(s.bundles) == 0 {
		return
	}
	bounded, cancel := context.WithTimeoutCause(ctx, lookAheadPatience, errSlowStatement)
	defer cancel()
	users := make(map[int64]int64, len(s.bundles))
	var batch pgx.Batch
	batch.Queue(indexedSQL)
	batch.Queue(lookAheadSQL, s.bundles).Query(func(rows pgx.Rows) error {
		var id, user int64
		_, err := pgx.ForEachRow(rows, []any{&id, &user}, func() error {
			users[id] = user
			return nil
		})
		return err
	})
	if err := l.store.pool.SendBatch(bounded, &batch).Close(); err != nil && ctx.Err() == nil {
		l.cfg.Logger.WarnContext(ctx, "cannot look whose the bundles are that wait; they go out in the order of their ids",
			"bundles", len(s.bundles), "error", err)
		clear(users)
	}
	l.batcher.arrange(s, users)
}

// lookAheadPatience is how long everything waits to be brought into a better order.
const lookAheadPatience = 2 * time.Second

// lingerBesides is how long a batch waits for company: with few requests under way a bundle
// goes out almost at once, and beside many it can wait to fill one.
func lingerBesides(underWay int) time.Duration {
	if underWay >= flights/2 {
		return lingerBeside
	}
	return linger
}

// worth is how many bundles about fill a request.
func (l *loop) worth() int {
	per := l.perBundle.Load()
	if per == 0 {
		return batchMost
	}
	return int(max(1, min(batchMost, int64(l.limits().bytes)*9/10/per)))
}

func (l *loop) limits() requestLimits {
	limits := l.cfg.Sender.Limits()
	return requestLimits{events: limits.MaxEvents, bytes: l.lane.bytes(limits.MaxBytes)}
}

// fly takes one batch from the line to its record. A place in the lane comes first: what
// cannot be sent is not prepared either, and reserves nothing.
func (l *loop) fly(ctx, hard, last context.Context, refs []ref) {
	if l.cfg.Mode == Deliver {
		if err := l.lane.enter(ctx); err != nil {
			l.batcher.putBack(refs)
			return
		}
		refs = l.asProbe(refs)
	}
	life := l.beat.current()
	out, err := l.prepareUntilDone(ctx, refs, life)
	if err != nil {
		l.leaveUnsent()
		l.noticeDeath(ctx, err)
		l.batcher.putBack(refs)
		return
	}
	l.letGo(out)
	switch {
	case len(out.send.items) == 0:
		l.leaveUnsent()
		return
	case l.cfg.Mode != Deliver:
		l.skip(hard, out.send)
		return
	}
	f := l.newFlight(out.send, life)
	defer l.batcher.settled(out.send.request)
	err = f.deliver(ctx, hard, true)
	if err != nil && !errors.Is(err, errStale) && !errors.Is(err, errLaneClosed) && ctx.Err() == nil {
		l.cfg.Logger.ErrorContext(ctx, "flight ended early", "request", out.send.request, "error", err)
	}
	err = f.record(last)
	l.noticeDeath(ctx, err)
	l.land(f, err)
}

// asProbe leaves only a few bundles in a batch that goes out to see whether Amplitude is
// well again: what they reserve is written to the database, and most likely for nothing.
// After a refusal it may be one bundle that is not well, and that is found soonest in
// full requests.
func (l *loop) asProbe(refs []ref) []ref {
	lane := l.lane.state()
	if len(refs) <= probeBundles || lane.Open || lane.Reason == amplitude.Refused.String() {
		return refs
	}
	l.batcher.putBack(refs[probeBundles:])
	return refs[:probeBundles]
}

// leaveUnsent gives back a place in the lane that was not used.
func (l *loop) leaveUnsent() {
	if l.cfg.Mode == Deliver {
		l.lane.abandon()
	}
}

// noticeDeath starts a new life at once when the database says that the old one ended,
// instead of at the next beat: what was taken over must not go back in line.
func (l *loop) noticeDeath(ctx context.Context, err error) {
	if !errors.Is(err, errDeclaredDead) {
		return
	}
	if err := l.beat.write(ctx); err != nil {
		l.cfg.Logger.WarnContext(ctx, "heartbeat not written; nothing is sent until one is", "error", err)
	}
}

// prepareUntilDone repeats Prepare while the database is away or another worker's
// transaction is in the way.
func (l *loop) prepareUntilDone(ctx context.Context, refs []ref, life int64) (*sorted, error) {
	var out *sorted
	backoff := retry.WithFullJitter(retry.WithCappedDuration(5*time.Second, retry.NewExponential(100*time.Millisecond)))
	err := retry.Do(ctx, backoff, func(ctx context.Context) error {
		bounded, cancel := context.WithTimeoutCause(ctx, statementTimeout, errSlowStatement)
		defer cancel()
		var err error
		if out, err = l.prepare(bounded, refs, life, l.limits()); err != nil {
			if errors.Is(err, errDeclaredDead) {
				return err
			}
			l.cfg.Logger.WarnContext(ctx, "cannot prepare a request, trying again", "bundles", len(refs), "error", err)
			return retry.RetryableError(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.learnSize(out)
	return out, nil
}

func (l *loop) learnSize(out *sorted) {
	if len(out.send.items) == 0 {
		return
	}
	mean := int64(out.bytes/len(out.send.items) + 1)
	if old := l.perBundle.Load(); old != 0 {
		mean = (3*old + mean) / 4
	}
	l.perBundle.Store(mean)
}

// letGo sends those on their way that need no request.
func (l *loop) letGo(out *sorted) {
	for _, s := range out.settled {
		if s.outcome != "" {
			l.cfg.Meter.Outcome(s.outcome, out.send.now.Sub(s.it.enqueuedAt))
			l.noticeViolations(s.it)
		}
		l.batcher.settle(s.it)
	}
	waiting := map[string]int{}
	for _, p := range out.postponed {
		waiting[p.why]++
		l.batcher.postpone(p.it, p.until)
	}
	for request, refs := range out.behind {
		waiting["reserved"] += len(refs)
		l.batcher.putBackBehind(request, refs)
	}
	for why, n := range waiting {
		l.cfg.Meter.Waiting(why, n)
	}
	if len(out.overflow) > 0 {
		l.batcher.putBack(out.overflow)
	}
}

// land acts on a flight's record.
func (l *loop) land(f *flight, err error) {
	var back []ref
	for i, it := range f.send.items {
		fate := f.fates[i]
		switch {
		case err != nil: // nothing was recorded: all of it goes back in line
			back = append(back, ref{bundle: it.id, job: it.job})
		case fate.outcome != "":
			l.cfg.Meter.Outcome(fate.outcome, f.now().Sub(it.enqueuedAt))
			l.noticeViolations(it)
			l.batcher.settle(it)
		case !fate.until.IsZero():
			l.cfg.Meter.Waiting("parked", 1)
			l.batcher.postpone(it, fate.until)
		default:
			back = append(back, ref{bundle: it.id, job: it.job})
		}
	}
	if len(back) > 0 {
		l.batcher.putBack(back)
	}
	l.noticeRejected(f)
	if err != nil {
		l.cfg.Logger.Warn("a request's outcome is not recorded; its bundles will be looked at again",
			"request", f.send.request, "error", err)
		return
	}
	var cut int
	for _, it := range f.send.items {
		cut += it.cut
	}
	l.cfg.Meter.Events(f.sent, f.elided, cut)
}

// noticeRejected logs the first few rejected bundles of a flight; the rest are counted,
// and all are in waybill.delivery.
func (l *loop) noticeRejected(f *flight) {
	const few = 5
	var n int
	for i, it := range f.send.items {
		if f.fates[i].outcome != "rejected" {
			continue
		}
		if n++; n <= few {
			l.cfg.Logger.Warn("bundle rejected; worker retry brings it back once it is mended",
				"bundle_id", it.id, "action_key", it.bundle.Key, "reason", f.fates[i].reason)
		}
	}
	if n > few {
		l.cfg.Logger.Warn("more bundles of the same request rejected", "bundles", n-few)
	}
}

// skip prints what would be sent, if asked to, and records `skipped`. Profiles are left
// alone: Amplitude was told nothing.
func (l *loop) skip(ctx context.Context, send prepared) {
	all := make([]settled, 0, len(send.items))
	for _, it := range send.items {
		if l.cfg.Mode == Debug {
			l.printEvents(newPlanner(l.store.install, send.now, nil).add(it))
		}
		all = append(all, settled{it, "skipped", l.cfg.Reason})
	}
	backoff := retry.WithFullJitter(retry.WithCappedDuration(5*time.Second, retry.NewExponential(100*time.Millisecond)))
	err := retry.Do(ctx, backoff, func(ctx context.Context) error {
		return retry.RetryableError(l.recordOutcomes(ctx, all))
	})
	for _, s := range all {
		if err == nil {
			l.cfg.Meter.Outcome(s.outcome, send.now.Sub(s.it.enqueuedAt))
			l.noticeViolations(s.it)
		}
		l.batcher.settle(s.it)
	}
}

func (l *loop) printEvents(events []json.RawMessage) {
	l.print.Lock()
	defer l.print.Unlock()
	for _, event := range events {
		if _, err := fmt.Fprintf(l.cfg.DebugWriter, "%s\n", event); err != nil {
			l.cfg.Logger.Warn("cannot print an event", "error", err)
		}
	}
}

// noticeLane logs when the lane closes, for which reason, and when it opens again; an
// unchanged reason is not repeated.
func (l *loop) noticeLane(was, is LaneState, a amplitude.Answer) {
	switch {
	case is.Open && !was.Open:
		l.cfg.Logger.Info("Amplitude is taking events again", "closed_for", time.Since(was.Since).Round(time.Second))
	case !is.Open && is.Reason != was.Reason:
		l.cfg.Logger.Warn("Amplitude is not taking events; they wait, and one request at a time tries again",
			"verdict", is.Reason, "status", a.Status, "reason", a.Reason)
	case a.Verdict == amplitude.SlowDown:
		l.cfg.Logger.Warn("Amplitude asks to slow down", "reason", a.Reason,
			"pause", time.Until(is.NextProbe).Round(time.Second))
	}
}

// takenOver gives up the jobs that another worker holds now, and waits for nothing of the
// life that has ended.
func (l *loop) takenOver(ctx context.Context) {
	l.batcher.reborn()
	held := l.batcher.heldIDs()
	rows, err := l.store.pool.Query(ctx, query("mine"), held, l.store.worker)
	if err != nil {
		return // the next beat that finds the row gone asks again; River's state decides anyway
	}
	defer rows.Close()
	mine := make(map[int64]bool, len(held))
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return
		}
		mine[id] = true
	}
	if rows.Err() == nil {
		l.batcher.lose(held, mine)
	}
}

// Config is what a Runner needs. Pool, Sender, Mode and Destination are required; a
// Runner in a mode other than Deliver never calls Upload.
type Config struct {
	Pool   *pgxpool.Pool
	Sender Sender
	Mode   Mode
	// Reason is recorded with `skipped` in the modes Debug and Discard.
	Reason string
	// Destination names the Amplitude project without revealing its key. What Amplitude
	// was told is remembered per destination.
	Destination string
	// DebugWriter gets one JSON line per event in mode Debug.
	DebugWriter io.Writer
	// Plan is the tracking plan that bundles are held against; nil takes every bundle.
	Plan *check.Plan
	// InstanceLevel makes the id of a bundle's root group its user_id.
	InstanceLevel bool
	// Concurrency is how many jobs are held at once, at most 10,000; 0 means 4,500.
	Concurrency int
	Logger      *slog.Logger // nil: slog.Default
	Meter       Meter        // nil: NoMeter
	// About is what the worker says of itself in its heartbeat row, beside its lane.
	About map[string]string
}
