package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sethvargo/go-retry"

	"waybill/internal/amplitude"
)

// lane is this worker's way to one Amplitude project: open, slowed, or closed while
// Amplitude or our key is unwell. A closed lane lets one request at a time through as
// a probe; every other flight waits in line with its request in memory, so that an
// outage costs the database nothing. The line moves: after a failed probe it is another
// flight's turn, so that one bad bundle cannot hold the lane shut.
type lane struct {
	now func() time.Time

	mu      sync.Mutex
	line    []chan struct{} // flights that wait, first come first served; closed to let one in
	alarm   *time.Timer     // lets the first in when a pause is over
	sending int             // requests under way
	limit   int             // requests allowed at once

	closedFor string // the verdict that closed it, "" when open
	detail    string
	since     time.Time
	failedAt  time.Time // last step of the backoff: what was sent before is no probe
	notBefore time.Time // nothing is sent before
	backoff   retry.Backoff

	acceptedFrom time.Time // when the latest request began that was accepted
	pace         pace
	maxBytes     int // learnt from 413, 0 for the documented limit
}

const (
	probeFirst = time.Second
	probeMost  = time.Minute
	slowDown   = time.Minute // https://amplitude.com/docs/apis/analytics/http-v2: wait 60 s
)

func newLane(limit int, now func() time.Time) *lane {
	return &lane{now: now, limit: limit, backoff: newBackoff()}
}

func newBackoff() retry.Backoff {
	return retry.WithFullJitter(retry.WithCappedDuration(probeMost, retry.NewExponential(probeFirst)))
}

// enter waits until a request may be sent and takes a place; the caller calls leave
// with the answer, or abandon. It returns the context's cause when that ends first.
func (l *lane) enter(ctx context.Context) error {
	turn := make(chan struct{})
	l.mu.Lock()
	l.line = append(l.line, turn)
	l.advance()
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.withdraw(turn)
		return context.Cause(ctx)
	}
}

// advance lets in whom there is room for. When time alone is in the way it sets the
// alarm. Everything that makes room or ends a pause calls it.
func (l *lane) advance() {
	for len(l.line) > 0 && l.sending < l.room() {
		if pause := l.pausedUntil().Sub(l.now()); pause > 0 {
			l.wakeIn(pause)
			return
		}
		close(l.line[0])
		l.line = l.line[1:]
		l.sending++
	}
}

func (l *lane) wakeIn(pause time.Duration) {
	if l.alarm != nil {
		l.alarm.Reset(pause)
		return
	}
	l.alarm = time.AfterFunc(pause, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.advance()
	})
}

// room is how many requests may be under way: a closed lane lets a probe through, and
// a slowed one keeps its pace only if requests do not come in bursts.
func (l *lane) room() int {
	if l.closedFor != "" || l.pace.perSecond > 0 {
		return 1
	}
	return l.limit
}

func (l *lane) pausedUntil() time.Time {
	return later(l.notBefore, l.pace.next)
}

func (l *lane) withdraw(turn chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.line, turn); i >= 0 {
		l.line = slices.Delete(l.line, i, i+1)
	} else { // it had been let in just now
		l.sending--
		l.advance()
	}
}

// leave gives the place back and learns from the answer. refusedAll says that a refusal
// concerned everything that was tried, not one bundle. It returns the lane's state before
// and after.
func (l *lane) leave(a amplitude.Answer, events int, refusedAll bool) (was, is LaneState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was = l.stateLocked()
	l.sending--
	now := l.now()
	began := now.Add(-a.Elapsed)
	l.pace.sent(began, events)
	switch a.Verdict {
	case amplitude.Delivered:
		if began.After(l.acceptedFrom) {
			l.acceptedFrom = began
		}
		l.open()
		l.pace.accepted(now)
		if l.maxBytes += l.maxBytes / 64; l.maxBytes > mostBytes { // a proxy's limit may be lifted again
			l.maxBytes = 0
		}
	case amplitude.Rejected, amplitude.Throttled:
		l.open() // Amplitude itself has judged single events: it is well
	case amplitude.TooLarge:
		if a.Status != 0 { // else it was not even sent
			l.open()
			l.tooLarge(a.Bytes)
		}
	case amplitude.Refused:
		l.refused(a, began, now, refusedAll)
	case amplitude.SlowDown:
		l.open()
		l.notBefore = now.Add(max(slowDown, a.RetryAfter))
		l.pace.slow(began, now, l.notBefore)
	default:
		l.close(a, began, now)
	}
	l.advance()
	return was, l.stateLocked()
}

// abandon gives the place back without having sent anything.
func (l *lane) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending--
	l.advance()
}

func (l *lane) open() {
	if l.closedFor == "" {
		return
	}
	l.closedFor, l.detail, l.backoff, l.notBefore = "", "", newBackoff(), time.Time{}
}

// close closes the lane, or keeps it closed for longer. Requests that were under way
// when it closed say nothing new: six that fail together are one failure.
func (l *lane) close(a amplitude.Answer, began, now time.Time) {
	switch {
	case l.closedFor == "":
		l.since = now
	case !began.After(l.failedAt):
		l.notBefore = later(l.notBefore, now.Add(a.RetryAfter))
		return
	}
	l.failedAt = now
	l.closedFor, l.detail = a.Verdict.String(), a.Reason
	pause, _ := l.backoff.Next() // never stops
	l.notBefore = now.Add(max(pause, a.RetryAfter, probeFirst/4))
}

// refused closes the lane if everything is refused. In a lane that is closed every
// refusal counts; one that comes after an outage is the first step of a new ladder,
// because it shows that somebody answers again.
func (l *lane) refused(a amplitude.Answer, began, now time.Time, refusedAll bool) {
	switch l.closedFor {
	case a.Verdict.String():
	case "":
		if !refusedAll {
			return
		}
	default:
		l.backoff = newBackoff()
	}
	l.close(a, began, now)
}

const (
	smallestRequest = 4 << 10 // bytes
	mostBytes       = 32 << 20
)

// tooLarge learns a smaller limit. One that is already smaller stays: a single bundle
// may be larger than the limit and be refused for itself.
func (l *lane) tooLarge(bytes int) {
	half := max(bytes/2, smallestRequest)
	if l.maxBytes == 0 || half < l.maxBytes {
		l.maxBytes = half
	}
}

// acceptedSince says whether a request was accepted that was sent after t, for telling
// a refusal of one bundle from a refusal of everything.
func (l *lane) acceptedSince(t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acceptedFrom.After(t)
}

// bytes is the most that one request may hold.
func (l *lane) bytes(documented int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.maxBytes > 0 {
		return min(l.maxBytes, documented)
	}
	return documented
}

// LaneState is how this worker stands with Amplitude.
type LaneState struct {
	Open      bool
	Reason    string    // the verdict that closed it, e.g. key_refused or unavailable
	Detail    string    // Amplitude's words, without the key
	Since     time.Time // when it closed
	NextProbe time.Time // when it is tried again; also set while an open lane pauses
}

// waits says that nothing is sent for a while.
func (s LaneState) waits() bool { return !s.Open || time.Until(s.NextProbe) > pauseWorthReleasing }

// pauseWorthReleasing is how long a pause must be for flights to give up what they hold.
const pauseWorthReleasing = time.Second

func (l *lane) state() LaneState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stateLocked()
}

func (l *lane) stateLocked() LaneState {
	s := LaneState{Open: l.closedFor == "", Reason: l.closedFor, Detail: l.detail}
	if l.notBefore.After(l.now()) {
		s.NextProbe = l.notBefore
	}
	if !s.Open {
		s.Since = l.since
	}
	return s
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
