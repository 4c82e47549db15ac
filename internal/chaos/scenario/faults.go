//go:build unix

package scenario

import (
	"context"
	"sync"
	"syscall"
	"time"

	"waybill/internal/amplitude/amplitudetest"
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

	mu     sync.Mutex
	bands  []Band
	faults []checker.Interval
	pauses []checker.Interval
	err    error
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
		v.house.sink.Inject(rules(step)...)
		wait(ctx, step.For)
		v.house.sink.Heal()
	} else {
		err = v.harm(ctx, step)
	}
	v.house.nemesis.Append(history.Record{Op: history.Fault, Type: history.OK, Detail: string(step.Kind)})
	to := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.bands = append(v.bands, Band{step.Kind, from.Sub(v.start), to.Sub(v.start)})
	if step.Kind != nemesis.KillOne && step.Kind != nemesis.KillUnwritten {
		v.faults = append(v.faults, checker.Interval{From: from, To: to.Add(afterwards)})
	}
	if step.Kind == nemesis.Pause || step.Kind == nemesis.HalfOpen {
		v.pauses = append(v.pauses, checker.Interval{From: from, To: to.Add(5 * time.Second)})
	}
	if err != nil && ctx.Err() == nil {
		v.err = err
	}
}

// harm does something to a process, to Postgres or to the way between them.
func (v *villain) harm(ctx context.Context, step nemesis.Step) error {
	fleet := v.house.fleet
	workers := fleet.running()
	if len(workers) == 0 {
		return fleet.fill(ctx)
	}
	one := workers[step.Pick%uint64(len(workers))]
	switch step.Kind {
	case nemesis.KillOne:
		if err := fleet.kill(ctx, one); err != nil {
			return err
		}
		wait(ctx, step.For)
	case nemesis.KillAll:
		for _, w := range workers {
			if err := fleet.kill(ctx, w); err != nil {
				return err
			}
		}
	case nemesis.KillUnwritten:
		if err := v.killUnwritten(ctx, one); err != nil {
			return err
		}
	case nemesis.Pause:
		one.signal(syscall.SIGSTOP)
		wait(ctx, step.For)
		one.signal(syscall.SIGCONT)
	case nemesis.RollingStop:
		for _, w := range workers {
			fleet.stop(w)
			if err := fleet.fill(ctx); err != nil {
				return err
			}
		}
	case nemesis.PostgresCrash:
		if err := v.house.server.Halt(true); err != nil {
			return err
		}
		wait(ctx, step.For/2)
		if err := v.house.server.Resume(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	case nemesis.Backends:
		v.storm(ctx, step.For)
	case nemesis.ReadOnly:
		if err := v.readOnly(ctx, step.For); err != nil {
			return err
		}
	case nemesis.TableLock:
		v.lock(ctx, lockJobsSQL, func() { wait(ctx, step.For) })
	case nemesis.HalfOpen:
		one.link.Freeze()
		wait(ctx, step.For)
		one.link.Thaw()
	case nemesis.Reset:
		v.house.commits.Cut()
		for _, w := range workers {
			w.link.Cut()
		}
	default:
	}
	return fleet.fill(ctx)
}

// killUnwritten kills a worker that has Amplitude's answer and cannot record it: the
// table is locked against it, and when it is gone its waiting connections are ended
// before the lock is.
func (v *villain) killUnwritten(ctx context.Context, w *worker) error {
	const patience = 3 * time.Second
	var err error
	v.lock(ctx, lockDeliverySQL, func() {
		for until := time.Now().Add(patience); time.Now().Before(until); {
			if stuck, err := v.house.referee.recording(ctx, w.name); err == nil && stuck > 0 {
				break
			}
			if !wait(ctx, 5*time.Millisecond) {
				return
			}
		}
		err = v.house.fleet.kill(ctx, w)
	})
	return err
}

// lock does something while a table is locked, and nothing if Postgres is away.
func (v *villain) lock(ctx context.Context, statement string, do func()) {
	tx, err := v.house.referee.pool.Begin(ctx)
	if err != nil {
		return
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it only holds a lock
	if _, err := tx.Exec(ctx, statement); err == nil {
		do()
	}
}

// readOnly makes the server refuse writes for a while.
func (v *villain) readOnly(ctx context.Context, lasts time.Duration) error {
	set := func(ctx context.Context, statement string) error {
		return patiently(ctx, func(ctx context.Context) error {
			if _, err := v.house.referee.pool.Exec(ctx, statement); err != nil {
				return err
			}
			_, err := v.house.referee.pool.Exec(ctx, "SELECT pg_reload_conf()")
			return err
		})
	}
	if err := set(ctx, "ALTER SYSTEM SET default_transaction_read_only = on"); err != nil {
		return err
	}
	wait(ctx, lasts)
	return set(context.WithoutCancel(ctx), "ALTER SYSTEM RESET default_transaction_read_only")
}

// storm ends connections ten times a second.
func (v *villain) storm(ctx context.Context, lasts time.Duration) {
	for until := time.Now().Add(lasts); time.Now().Before(until); {
		_, _ = v.house.referee.pool.Exec(ctx, terminateSQL)
		if !wait(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// rules are how the fake misbehaves during a step. Refusals that name no event concern
// every request: one that comes and goes looks like a bad event, and is taken for one.
func rules(step nemesis.Step) []amplitudetest.Rule {
	always := func(f amplitudetest.Fault) []amplitudetest.Rule { return []amplitudetest.Rule{{Fault: f}} }
	sometimes := func(share float64, faults ...amplitudetest.Fault) (rules []amplitudetest.Rule) {
		for _, f := range faults {
			rules = append(rules, amplitudetest.Rule{Fault: f, Probability: share})
		}
		return rules
	}
	switch step.Kind {
	case nemesis.Throttle:
		return []amplitudetest.Rule{
			{Fault: amplitudetest.Fault{Kind: amplitudetest.Throttle}, Probability: 0.2, Times: 5},
			{Fault: amplitudetest.Fault{Kind: amplitudetest.Throttle, Users: []string{hottest}}, Times: 1},
		}
	case nemesis.SlowDown:
		return []amplitudetest.Rule{{Fault: amplitudetest.Fault{Kind: amplitudetest.TooManyRequests}, Times: 1}}
	case nemesis.Errors:
		return sometimes(0.12,
			amplitudetest.Fault{Kind: amplitudetest.InternalError, Stored: true},
			amplitudetest.Fault{Kind: amplitudetest.BadGateway},
			amplitudetest.Fault{Kind: amplitudetest.Unavailable},
			amplitudetest.Fault{Kind: amplitudetest.GatewayTimeout, Stored: true},
			amplitudetest.Fault{Kind: amplitudetest.GatewayTimeout})
	case nemesis.Lost:
		return sometimes(0.4, amplitudetest.Fault{Kind: amplitudetest.StoredLost})
	case nemesis.Late:
		return sometimes(0.3, amplitudetest.Fault{Kind: amplitudetest.StoredLate, After: 3 * time.Second})
	case nemesis.Resets:
		return sometimes(0.25, amplitudetest.Fault{Kind: amplitudetest.Reset}, amplitudetest.Fault{Kind: amplitudetest.Reset, Stored: true})
	case nemesis.Trickle:
		return sometimes(0.5, amplitudetest.Fault{Kind: amplitudetest.Trickle, Interval: 15 * time.Millisecond})
	case nemesis.Pages:
		return always(amplitudetest.Fault{Kind: amplitudetest.HTMLPage, Status: 403})
	case nemesis.OtherShape:
		return sometimes(0.4, amplitudetest.Fault{Kind: amplitudetest.OtherShape, Stored: true})
	case nemesis.TooLarge:
		return always(amplitudetest.Fault{Kind: amplitudetest.PayloadTooLarge, MaxEvents: 40})
	case nemesis.FirstIndex:
		return always(amplitudetest.Fault{Kind: amplitudetest.FirstIndex})
	case nemesis.RefuseAll:
		return always(amplitudetest.Fault{Kind: amplitudetest.BadRequest})
	case nemesis.KeyRefused:
		return always(amplitudetest.Fault{Kind: amplitudetest.InvalidKey})
	default:
		return always(amplitudetest.Fault{Kind: amplitudetest.Unavailable})
	}
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
