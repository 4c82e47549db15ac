//go:build unix

package scenario

import (
	"context"
	"errors"
	"sync"
	"time"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
	"waybill/internal/chaos/nemesis"
)

// Band is a fault as it happened, for the picture.
type Band struct {
	Kind     nemesis.Kind
	From, To time.Duration // since the start of the run
}

// villain does what a schedule says.
type villain struct {
	house *house
	start time.Time

	mu      sync.Mutex
	bands   []Band
	skipped map[nemesis.Kind]string // what was not done, and what it needs
	faults  []checker.Interval
	pauses  []checker.Interval
	err     error
}

// act goes through the schedule and returns when the time is over. Steps of one moment
// run side by side.
func (v *villain) act(ctx context.Context, schedule nemesis.Schedule, length time.Duration) error {
	var under sync.WaitGroup
	defer under.Wait()
	for i, step := range schedule.Steps {
		if i > 0 && step.At != schedule.Steps[i-1].At {
			under.Wait()
		}
		if !wait(ctx, time.Until(v.start.Add(step.At))) || v.failed() != nil {
			break
		}
		under.Go(func() { v.do(ctx, step) })
	}
	under.Wait()
	v.house.sink.Heal()
	if v.failed() == nil {
		wait(ctx, time.Until(v.start.Add(length)))
	}
	return v.failed()
}

func (v *villain) failed() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// afterwards is how long a fault is felt when it is over: the lane's backoff, and the
// fifteen seconds of those whom Amplitude has throttled.
const afterwards = 20 * time.Second

func (v *villain) do(ctx context.Context, step nemesis.Step) {
	from := time.Now()
	v.house.nemesis.Append(history.Record{Op: history.Fault, Type: history.Invoke, Detail: string(step.Kind)})
	var err error
	if step.Kind.OfAmplitude() {
		err = v.provoke(ctx, step)
	} else {
		err = v.harm(ctx, step)
	}
	to := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if lacks := (unavailable{}); errors.As(err, &lacks) {
		v.house.nemesis.Append(history.Record{Op: history.Fault, Type: history.Fail, Detail: string(step.Kind) + ": " + lacks.Error()})
		v.skipped[step.Kind] = lacks.needs
		return
	}
	v.house.nemesis.Append(history.Record{Op: history.Fault, Type: history.OK, Detail: string(step.Kind)})
	v.bands = append(v.bands, Band{step.Kind, from.Sub(v.start), to.Sub(v.start)})
	if !killsOne(step.Kind) {
		v.faults = append(v.faults, checker.Interval{From: from, To: to.Add(afterwards)})
	}
	if step.Kind == nemesis.Pause || step.Kind == nemesis.HalfOpen {
		v.pauses = append(v.pauses, checker.Interval{From: from, To: to.Add(5 * time.Second)})
	}
	if err != nil && ctx.Err() == nil {
		v.err = err
	}
}

// killsOne says that a fault is a kill and nothing else: a rescue is measured after it.
func killsOne(kind nemesis.Kind) bool {
	return kind == nemesis.KillOne || kind == nemesis.KillLeader || kind == nemesis.KillUnwritten
}

// wait lets time pass, and says whether ctx allows to go on.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(0, d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
