package jobs

import (
	"context"
	"errors"
	"slices"
	"time"

	"waybill/internal/amplitude"
)

// flight is one prepared request on its way: it is sent, split, sent again, until every
// bundle in it has a verdict or has to wait.
type flight struct {
	loop *loop
	send prepared
	life int64 // the worker's life it was prepared in; a later one must not send it

	split     *splitter
	fates     []fate // by position
	draft     *draft // what was planned last, nil once its base has changed
	parks     map[identity]time.Time
	doubted   []int     // positions sent together that may have been accepted since the last certain answer
	refusedAt time.Time // when the last refusal came that named no event
	began     time.Time

	sent, elided int
}

// fate is what one bundle of a flight has come to.
type fate struct {
	outcome string // delivered or rejected; "" while there is none
	reason  string
	until   time.Time // wait until then; zero: none
	doubt   bool      // an attempt of this flight may have been accepted
}

func (l *loop) newFlight(send prepared, life int64) *flight {
	return &flight{
		loop: l, send: send, life: life,
		split: newSplitter(len(send.items)), fates: make([]fate, len(send.items)),
		draft: send.first, parks: map[identity]time.Time{}, began: time.Now(),
	}
}

// now is the database's clock, as far as this machine can tell.
func (f *flight) now() time.Time { return f.send.now.Add(time.Since(f.began)) }

// errStale says that a flight may not be sent any more and must be prepared anew.
var errStale = errors.New("the flight is stale")

// staleAfter bounds how long a request whose fate is in doubt is repeated from memory.
// Preparing it anew checks the doubt clock on database time.
const staleAfter = time.Hour

// deliver sends until nothing is left to send. ctx ends the waiting in a closed lane,
// hard ends the request under way; admitted says that the lane has let it in already.
// Whatever it returns, the flight is then recorded.
func (f *flight) deliver(ctx, hard context.Context, admitted bool) error {
	defer func() {
		if admitted { // nothing had to be sent
			f.loop.lane.abandon()
		}
	}()
	for {
		f.listen()
		at := f.split.next()
		if at == nil {
			return nil
		}
		next := f.plan(at)
		if len(next.events) == 0 { // another bundle that is through has told it all
			f.accept(next)
			continue
		}
		if !admitted {
			if err := f.loop.lane.enter(ctx); err != nil {
				return err
			}
		}
		admitted = false
		if time.Since(f.began) > staleAfter {
			f.loop.lane.abandon()
			return errStale
		}
		if err := f.loop.beat.maySend(hard, f.life); err != nil {
			f.loop.lane.abandon()
			return errStale
		}
		answer := f.loop.cfg.Sender.Upload(hard, next.events)
		f.loop.cfg.Meter.Request(answer.Verdict.String(), len(next.events), answer.Bytes, answer.Elapsed)
		stuck := f.take(next, answer)
		was, is := f.loop.lane.leave(answer, len(next.events), stuck)
		f.loop.noticeLane(was, is, answer)
		if is.waits() && answer.Verdict != amplitude.Refused && !f.inDoubt() {
			return errLaneClosed
		}
	}
}

// errLaneClosed says that nothing more can be sent for a while and that nothing of the
// flight is in doubt: its bundles go back in line, and its reservations are given up
// instead of kept from other workers. A flight that was refused stays: what it has learnt
// of its bundles would be lost, and the next one would be refused as a whole again.
var errLaneClosed = errors.New("the lane has closed")

// inDoubt says that a bundle without a verdict may have been accepted. Such a flight
// stays together and is repeated unchanged.
func (f *flight) inDoubt() bool {
	for i, it := range f.send.items {
		if fate := f.fates[i]; fate.outcome == "" && fate.until.IsZero() && (fate.doubt || it.inDoubt()) {
			return true
		}
	}
	return false
}

// listen tells the splitter when a request was accepted that was sent after the last
// refusal, be it another flight's. One that was sent before proves nothing.
func (f *flight) listen() {
	if !f.refusedAt.IsZero() && f.loop.lane.acceptedSince(f.refusedAt) {
		f.split.elsewhere()
	}
}

// plan turns positions into events. The same positions give the same events until an
// answer is certain.
func (f *flight) plan(at []int) *draft {
	if !slices.Equal(at, f.doubted) {
		f.foldDoubt()
	}
	return f.planOn(at)
}

// foldDoubt makes what may have been accepted the base of what is sent in other company.
func (f *flight) foldDoubt() {
	at := slices.DeleteFunc(f.doubted, func(i int) bool { return f.fates[i].outcome != "" })
	f.doubted = nil
	if len(at) > 0 {
		f.send.base = f.planOn(at).plan.attempted()
		f.draft = nil
	}
}

func (f *flight) planOn(at []int) *draft {
	if f.draft == nil || !slices.Equal(f.draft.at, at) {
		f.draft = &draft{plan: newPlanner(f.loop.store.install, f.send.now, f.send.base)}
		for _, i := range at {
			f.draft.add(i, f.draft.plan.add(f.send.items[i]))
		}
	}
	return f.draft
}

// take applies an answer. It says whether a refusal concerned everything.
func (f *flight) take(sent *draft, a amplitude.Answer) (stuck bool) {
	if a.MaybeAccepted() && a.Verdict != amplitude.Delivered {
		for _, i := range sent.at {
			f.fates[i].doubt = true
		}
		f.doubted = slices.Clone(sent.at)
	}
	switch a.Verdict {
	case amplitude.Delivered:
		f.accept(sent)
	case amplitude.Rejected:
		f.reject(sent.owners, a)
	case amplitude.Throttled:
		f.park(sent.at, sent.owners, a)
	case amplitude.TooLarge:
		if fault := f.split.tooLarge(); fault >= 0 {
			f.refuse(fault, "Amplitude: too large for one request")
		}
	case amplitude.Refused:
		f.listen()
		fault, all := f.split.refused(a.Status)
		if fault >= 0 {
			f.refuse(fault, reasonOf(a))
		}
		f.refusedAt = time.Now()
		return all
	default: // the lane waits, and the same request goes out again
	}
	return false
}

func (f *flight) accept(sent *draft) {
	for _, i := range sent.at {
		f.fates[i] = fate{outcome: "delivered", reason: f.send.items[i].plan.said()}
	}
	f.send.base, f.doubted, f.draft = sent.plan.accepted(), nil, nil
	f.sent += len(sent.events)
	f.elided += sent.plan.elided
	if len(sent.events) > 0 {
		f.split.accepted()
	} else {
		f.split.passed()
	}
}

// refuse ends a bundle. What it added to counters, if an earlier attempt had it counted,
// is taken back.
func (f *flight) refuse(i int, reason string) {
	f.fates[i] = fate{outcome: "rejected", reason: reason}
	f.draft = nil
	it := f.send.items[i]
	if len(it.bundle.Increment) == 0 {
		return
	}
	counts := f.send.base[it.user()].clone() // others may be reading it
	for name, delta := range it.bundle.Increment {
		counts.uncount(name, delta, it.id)
	}
	f.send.base[it.user()] = counts
}

// reject ends the bundles whose events Amplitude names; the rest goes out at once.
func (f *flight) reject(owners []int, a amplitude.Answer) {
	var gone []int
	for event, reason := range a.Rejected {
		if event < 0 || event >= len(owners) {
			continue
		}
		i := owners[event]
		f.refuse(i, "Amplitude: "+reason)
		gone = append(gone, i)
	}
	f.split.without(gone...)
}

// park sets the bundles of throttled users and devices aside; the rest goes out at once.
func (f *flight) park(at, owners []int, a amplitude.Answer) {
	now := f.now()
	named := map[identity]bool{} // value: daily quota
	for id, daily := range a.ThrottledUsers {
		named[identity{kindUser, id}] = daily
	}
	for id, daily := range a.ThrottledDevices {
		named[identity{kindDevice, id}] = daily
	}
	if len(named) == 0 { // only events were named: whoever they belong to
		for _, event := range a.ThrottledEvents {
			if event < len(owners) {
				ids := f.send.items[owners[event]].limitedAs()
				named[ids[len(ids)-1]] = false
			}
		}
	}
	pause := f.loop.cfg.Sender.Limits().ThrottlePause
	var gone []int
	for _, i := range f.split.left() {
		for _, id := range f.send.items[i].limitedAs() {
			daily, throttled := named[id]
			if !throttled {
				continue
			}
			until := now.Add(pause)
			if daily {
				until = nextUTCDay(now)
			}
			if _, seen := f.parks[id]; !seen {
				f.loop.throttled.refused(id, until, pause, a.EPSThreshold)
				f.parks[id] = until
			}
			f.fates[i].until = later(f.fates[i].until, f.loop.throttled.due(id, until))
		}
		if !f.fates[i].until.IsZero() {
			gone = append(gone, i)
		}
	}
	if len(gone) == 0 { // nobody in this request: let it rest instead of asking again at once
		for _, i := range at {
			f.fates[i].until = now.Add(pause)
		}
		gone = at
	}
	f.split.without(gone...)
}

func reasonOf(a amplitude.Answer) string {
	if a.Reason == "" {
		return "Amplitude refused it without a reason"
	}
	return "Amplitude: " + a.Reason
}
