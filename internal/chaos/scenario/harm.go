//go:build unix

package scenario

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"waybill/internal/chaos/nemesis"
)

// harm does something to a process, to Postgres or to the way between them.
func (v *villain) harm(ctx context.Context, step nemesis.Step) error {
	fleet := v.house.fleet
	workers := fleet.running()
	if len(workers) == 0 {
		return fleet.fill(ctx)
	}
	one := workers[step.Pick%uint64(len(workers))]
	var err error
	switch step.Kind {
	case nemesis.KillOne:
		err = fleet.kill(ctx, one)
		wait(ctx, step.For)
	case nemesis.KillLeader:
		err = fleet.kill(ctx, v.leader(ctx, workers, one))
		wait(ctx, step.For)
	case nemesis.KillAll:
		err = v.killAll(ctx)
	case nemesis.KillUnwritten:
		err = v.killUnwritten(ctx, one)
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
	case nemesis.OldWorker:
		err = v.previous(ctx, step.For)
	case nemesis.HalfOpen:
		one.link.Freeze()
		wait(ctx, step.For)
		one.link.Thaw()
	case nemesis.Reset:
		v.house.commits.Cut()
		for _, w := range workers {
			w.link.Cut()
		}
	case nemesis.Usurper:
		err = v.usurp(ctx, step.For)
	default:
		err = v.harmPostgres(ctx, step)
	}
	if err != nil {
		return err
	}
	return fleet.fill(ctx)
}

// leader is the worker that does River's housekeeping, or another one if none of ours
// does.
func (v *villain) leader(ctx context.Context, workers []*worker, other *worker) *worker {
	id, err := v.house.referee.leader(ctx)
	for _, w := range workers {
		if err == nil && w.id == id {
			return w
		}
	}
	return other
}

func (v *villain) killAll(ctx context.Context) error {
	for _, w := range v.house.fleet.running() {
		if err := v.house.fleet.kill(ctx, w); err != nil {
			return err
		}
	}
	return nil
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

// previous lets a worker of the previous version work beside the others, and stops it.
func (v *villain) previous(ctx context.Context, lasts time.Duration) error {
	if v.house.previous.Path == "" {
		return unavailable{v.house.previous.Needs}
	}
	w, err := v.house.fleet.start(ctx, v.house.previous.Path)
	const exitDatabase = 4 // how a worker refuses a schema that is too new for it
	if early := (endedEarly{}); errors.As(err, &early) && early.code == exitDatabase {
		return unavailable{fmt.Sprintf("a schema that %s knows: it refuses this one with exit code %d", v.house.previous.Name, early.code)}
	}
	if err != nil {
		return err
	}
	wait(ctx, lasts)
	v.house.fleet.stop(w)
	return nil
}
