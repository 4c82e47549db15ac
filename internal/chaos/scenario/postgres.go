//go:build unix

package scenario

import (
	"context"
	"time"

	"waybill/internal/chaos/interpose"
	"waybill/internal/chaos/nemesis"
)

// harmPostgres does something to the server.
func (v *villain) harmPostgres(ctx context.Context, step nemesis.Step) error {
	switch step.Kind {
	case nemesis.PostgresCrash:
		if err := v.house.current.Halt(true); err != nil {
			return err
		}
		wait(ctx, step.For/2)
		return v.revive(ctx)
	case nemesis.Failover:
		return v.failover(ctx, step.For)
	case nemesis.Backends:
		v.storm(ctx, step.For)
	case nemesis.ReadOnly:
		return v.readOnly(ctx, step.For)
	case nemesis.TableLock:
		v.lock(ctx, lockJobsSQL, func() { wait(ctx, step.For) })
	case nemesis.DiskFull:
		return v.fill(interpose.Tables, func() { wait(ctx, step.For) })
	case nemesis.LogFull:
		if err := v.fill(interpose.WAL, func() { v.writeLog(ctx, step.For) }); err != nil {
			return err
		}
		return v.revive(ctx)
	case nemesis.ClockAhead:
		return v.stepClock(ctx, 2*time.Hour, step.For)
	case nemesis.ClockBehind:
		return v.stepClock(ctx, -2*time.Hour, step.For)
	default:
	}
	return nil
}

// revive brings Postgres back, whatever state it is in, and what others hold open there.
func (v *villain) revive(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	return patiently(ctx, func(ctx context.Context) error {
		if err := v.house.current.Resume(ctx); err != nil {
			return err
		}
		if err := v.house.referee.pool.Ping(ctx); err != nil {
			return err
		}
		return v.house.burden.take(ctx, v.house.current.URL())
	})
}

// failover lets a standby take over. When the primary is gone, everybody is led to the
// standby while it still refuses writes.
func (v *villain) failover(ctx context.Context, lasts time.Duration) error {
	h := v.house
	next, err := h.openStandby(ctx)
	if err != nil {
		return err
	}
	wait(ctx, lasts/2)
	if err := patiently(ctx, h.referee.follow); err != nil {
		return err
	}
	if err := h.current.Halt(true); err != nil {
		return err
	}
	if err := h.lead(next); err != nil {
		return err
	}
	wait(ctx, lasts/2)
	if err := next.promote(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return v.revive(ctx)
}

// fill does something while a part of the disk is full.
func (v *villain) fill(disk interpose.Disk, do func()) error {
	if v.house.library == nil {
		return v.house.noFaults
	}
	if err := v.house.library.Fill(disk); err != nil {
		return err
	}
	do()
	return v.house.library.Fill(0)
}

// writeLog makes the server begin new files of its log, one after the other.
func (v *villain) writeLog(ctx context.Context, lasts time.Duration) {
	for until := time.Now().Add(lasts); time.Now().Before(until); {
		_, _ = v.house.referee.pool.Exec(ctx, switchWALSQL)
		if !wait(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// stepClock moves the database's clock away for a while: two steps, there and back.
func (v *villain) stepClock(ctx context.Context, by, lasts time.Duration) error {
	before := v.house.clock.ahead()
	if err := v.house.setClock(before + by); err != nil {
		return err
	}
	wait(ctx, lasts)
	return v.house.setClock(before)
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
		return patiently(ctx, func(ctx context.Context) error { return v.house.referee.alter(ctx, statement) })
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
