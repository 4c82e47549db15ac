//go:build unix

package bounds

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"waybill/internal/chaos/scenario"
	"waybill/internal/ops"
)

// restore measures what a restored backup costs. A backup of the whole data directory is
// taken while bundles come and go; the run goes on, and then everything is lost and the
// backup put back, once at once and once eight days later. Amplitude keeps its memory.
func restore(ctx context.Context, b *bench) (rows []Row, err error) {
	const perSecond, users, workers = 200, 500, 2
	rig, err := b.open(ctx, "restore", workers, 200*time.Millisecond)
	if err != nil {
		return nil, err
	}
	defer closing(rig, &err)
	data := rig.Server().DataDir()
	if data == "" {
		return nil, errors.New("this Postgres has no data directory on this machine; set PG_BINDIR or install its programs")
	}
	backup := filepath.Join(b.dir, "backup")
	load := start(ctx, rig.Pool(), "restore", perSecond, true, anybody(users))
	defer load.stop() //nolint:errcheck // a second time
	if err := pause(ctx, b.traffic); err != nil {
		return nil, err
	}
	taken, err := backUp(ctx, rig, backup)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, b.traffic); err != nil {
		return nil, err
	}
	if err := load.stop(); err != nil {
		return nil, err
	}
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return nil, err
	}

	soon, err := afterwards(ctx, rig, backup, taken, 0, false)
	if err != nil {
		return nil, err
	}
	const late = 8 * day
	told, err := afterwards(ctx, rig, backup, taken, late, true)
	if err != nil {
		return nil, err
	}
	untold, err := afterwards(ctx, rig, backup, taken, late, false)
	if err != nil {
		return nil, err
	}
	return []Row{
		{
			Promise: "P3", What: "counted twice after a restore at once", Figure: float64(soon.twice), Sense: Exactly, Bound: 0,
			How: fmt.Sprintf("%d bundles had no outcome in the backup; %d events were sent again and known", soon.open, soon.known),
		},
		{
			Promise: "P4", What: "left without an outcome after it", Figure: float64(soon.open - soon.delivered), Sense: Exactly, Bound: 0,
			How: fmt.Sprintf("%d of %d delivered", soon.delivered, soon.open),
		},
		{
			Promise: "P3", What: "counted twice after a restore 8 d later", Figure: float64(told.twice), Sense: Exactly, Bound: 0,
			How: fmt.Sprintf("with worker restored; without it %d would have been", untold.twice),
		},
		{
			Promise: "P4", What: "beyond Amplitude's memory, named uncertain", Figure: float64(told.uncertain), Sense: Exactly, Bound: float64(told.open),
			How: fmt.Sprintf("of %d without an outcome in the backup; worker resolve decides", told.open),
		},
	}, nil
}

// backUp takes a copy of the data directory as a snapshot of its volume would be: of a
// server that was just cut off. The workers reconnect.
func backUp(ctx context.Context, rig *scenario.Rig, to string) (taken time.Time, err error) {
	if err := rig.Server().Halt(true); err != nil {
		return taken, err
	}
	taken = time.Now()
	if err := copyTree(rig.Server().DataDir(), to); err != nil {
		return taken, err
	}
	return taken, resume(ctx, rig)
}

func resume(ctx context.Context, rig *scenario.Rig) error {
	if err := rig.Server().Resume(ctx); err != nil {
		return err
	}
	rig.Pool().Reset() // its connections are to the server that was
	return nil
}

// tell does what `worker restored` does. The workers' last heartbeats may be so young that it
// asks for patience.
func tell(ctx context.Context, rig *scenario.Rig, at time.Time) error {
	for {
		_, err := ops.MarkRestored(ctx, rig.Pool(), at)
		if !errors.Is(err, ops.ErrWorkersRun) {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// restored is what became of the bundles that had no outcome in the backup.
type restored struct{ open, delivered, uncertain, twice, known int }

// afterwards loses everything, restores the backup, lets time pass since it was taken,
// and runs on until nothing waits. told: the database is told when the backup was taken.
func afterwards(ctx context.Context, rig *scenario.Rig, backup string, taken time.Time, passed time.Duration, told bool) (r restored, err error) {
	for _, w := range rig.Running() {
		if _, err := rig.Kill(ctx, w); err != nil {
			return r, err
		}
	}
	if err := rig.Server().Halt(true); err != nil {
		return r, err
	}
	if err := replaceTree(backup, rig.Server().DataDir()); err != nil {
		return r, err
	}
	if err := resume(ctx, rig); err != nil {
		return r, err
	}
	if passed > 0 {
		if _, err := rig.Pool().Exec(ctx, ageSQL, passed); err != nil {
			return r, err
		}
	}
	fake := rig.Amplitude()
	if passed > 0 && told { // the second restore of that day finds the clock there
		fake.Advance(passed)
	}
	open, err := list[int64](ctx, rig.Pool(), unsettledSQL)
	if err != nil {
		return r, err
	}
	if len(open) == 0 {
		return r, errors.New("nothing was under way when the backup was taken, so it shows nothing")
	}
	if told {
		if err := tell(ctx, rig, taken.Add(-passed)); err != nil {
			return r, err
		}
	}
	before := fake.Stats()
	if err := rig.Fill(ctx); err != nil {
		return r, err
	}
	if err := rig.Drain(ctx, 90*time.Second); err != nil {
		return r, err
	}
	ended, err := outcomes(ctx, rig.Pool(), open)
	if err != nil {
		return r, err
	}
	after := fake.Stats()
	return restored{
		open: len(open), delivered: ended["delivered"].bundles, uncertain: ended["uncertain"].bundles,
		twice: after.Counted - before.Counted, known: after.Duplicates - before.Duplicates,
	}, nil
}
