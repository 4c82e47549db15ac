package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/riverqueue/river/rivershared/riverpilot"
	"github.com/riverqueue/river/rivertype"
)

// When River asks for jobs. Polling alone finds them: NOTIFY takes a database-wide lock at
// commit, and polling also works through a transaction pooler. Most of what an idle worker
// costs is waking up to ask, so that it asks the less often the longer nothing has come. A
// worker that has just started asks as if jobs were coming: usually another one has ended.
const (
	fetchCooldown = 20 * time.Millisecond
	busyPoll      = 100 * time.Millisecond
	calmPoll      = 330 * time.Millisecond // the first bundles after a short pause are among the slowest hundredth of a stream
	quietPoll     = 900 * time.Millisecond // River adds up to a tenth: a bundle waits 990 ms at most
	calmAfter     = 30 * time.Second       // without a job
	quietAfter    = 2 * time.Minute        // without a job
)

// nextPoll is how long after a claim the next one is due.
func nextPoll(sinceJob time.Duration) time.Duration {
	switch {
	case sinceJob < calmAfter:
		return busyPoll
	case sinceJob < quietAfter:
		return calmPoll
	}
	return quietPoll
}

// polls makes River ask more often than by itself, which is every quietPoll, while jobs come
// and for a while after. It owns one timer, which each claim sets anew.
type polls struct {
	mu      sync.Mutex
	ask     func()    // makes River claim; nil before it has said how
	job     time.Time // when jobs were last claimed; before the first one when the worker started
	timer   *time.Timer
	stopped bool
}

// newPolls asks as if a job had just come.
func newPolls() *polls { return &polls{job: time.Now()} }

// claimed notes a claim of n jobs, and sees to the next one unless River's own comes soon
// enough: at once when there is more.
func (p *polls) claimed(n int, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if n > 0 {
		p.job = now
	}
	wait := nextPoll(now.Sub(p.job))
	if more {
		wait = fetchCooldown
	}
	switch {
	case p.stopped || p.ask == nil || wait >= quietPoll:
	case p.timer == nil:
		p.timer = time.AfterFunc(wait, p.ask)
	default:
		p.timer.Reset(wait)
	}
}

// stop makes River ask no more than it does by itself. It may be called twice.
func (p *polls) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// pilot is River's own, but for the rhythm of its claims. It is how a driver may tell River
// that jobs have come, as drivers do whose database cannot notify:
// https://github.com/riverqueue/river/blob/v0.51.1/plugin.go
type pilot struct {
	riverpilot.StandardPilot
	polls *polls
	more  func() bool // whether the last claim has left packs that may be claimed soon
}

// PilotInit implements riverpilot.Pilot.
func (p *pilot) PilotInit(_ *baseservice.Archetype, params *riverpilot.PilotInitParams) {
	come := []*rivertype.JobInsertResult{{Job: &rivertype.JobRow{Queue: Queue}}}
	p.polls.mu.Lock()
	defer p.polls.mu.Unlock()
	p.polls.ask = func() { params.NotifyNonTxJobInsert(context.Background(), come) }
}

// JobGetAvailable implements riverpilot.Pilot.
func (p *pilot) JobGetAvailable(ctx context.Context, exec riverdriver.Executor, state riverpilot.ProducerState, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	claimed, err := p.StandardPilot.JobGetAvailable(ctx, exec, state, params)
	if err != nil {
		p.polls.claimed(0, false)
		return nil, err
	}
	p.polls.claimed(len(claimed.Jobs), p.more())
	return claimed, nil
}
