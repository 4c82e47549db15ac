package jobs

import "time"

// pace limits events per second after a 429 for the whole project: half of what was
// going when it came, a twentieth more for each second without another, and no limit
// again once that is twice what had been too much.
type pace struct {
	perSecond float64 // 0: no limit
	tooMuch   float64
	next      time.Time // nothing is sent before

	window   time.Time // throughput is measured over windows of 10 s
	inWindow int
	lastRate float64
	raisedAt time.Time
}

const (
	paceWindow  = 10 * time.Second
	slowestPace = 50   // events per second
	unknownPace = 1000 // events per second, when nothing was measured yet
)

// sent counts a request of so many events that began at a time.
func (p *pace) sent(began time.Time, events int) {
	if began.Sub(p.window) > paceWindow {
		if seconds := began.Sub(p.window).Seconds(); p.inWindow > 0 && seconds < 3*paceWindow.Seconds() {
			p.lastRate = float64(p.inWindow) / seconds
		}
		p.window, p.inWindow = began, 0
	}
	p.inWindow += events
	if p.perSecond > 0 {
		p.next = began.Add(time.Duration(float64(events) / p.perSecond * float64(time.Second)))
	}
}

// slow halves the pace, once for all requests that were under way together. Nothing is
// sent until a time; it recovers from then on.
func (p *pace) slow(began, now, until time.Time) {
	if p.perSecond > 0 && began.Before(p.raisedAt) {
		return
	}
	rate := p.perSecond
	if rate == 0 {
		rate = p.lastRate
		if seconds := now.Sub(p.window).Seconds(); seconds > 1 {
			rate = max(rate, float64(p.inWindow)/seconds)
		}
	}
	if rate == 0 {
		rate = unknownPace
	}
	p.tooMuch, p.perSecond, p.raisedAt = rate, max(rate/2, slowestPace), until
}

// accepted raises the pace, or takes the limit away.
func (p *pace) accepted(now time.Time) {
	if p.perSecond == 0 {
		return
	}
	if since := now.Sub(p.raisedAt).Seconds(); since >= 1 {
		p.perSecond += since * p.tooMuch / 20
		p.raisedAt = now
	}
	if p.perSecond > 2*p.tooMuch {
		*p = pace{window: p.window, inWindow: p.inWindow, lastRate: p.lastRate}
	}
}
