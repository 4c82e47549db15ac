//go:build unix

package bounds

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/scenario"
)

// away is what one outage costs.
type away struct {
	rowsAMinute, walAMinute float64 // of each worker
	reservations            float64 // share of the rows
	probes                  int
	grown                   float64 // resident memory of the worker that grew most, after ÷ before
	memory                  float64 // MiB, of the largest worker at the end
	probed                  time.Duration
	drain                   float64 // rate while the backlog drains ÷ inflow
}

const (
	outageWorkers = 2
	inflow        = 300                    // bundles a second, once Amplitude is back
	rarely        = 400 * time.Millisecond // between two questions that read the whole ledger
)

// outage measures P10: Amplitude answers 503 to everything while a backlog waits, a small
// one and then a large one.
func outage(ctx context.Context, b *bench) (rows []Row, err error) {
	rig, err := b.open(ctx, "outage", outageWorkers, 0)
	if err != nil {
		return nil, err
	}
	defer closing(rig, &err)
	if err := fill(ctx, rig.Pool(), "warm", thousand); err != nil {
		return nil, err
	}
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return nil, err
	}
	var got [len(b.backlogs)]away
	for i, backlog := range b.backlogs {
		if got[i], err = b.away(ctx, rig, backlog); err != nil {
			return nil, err
		}
		b.say("outage: %d waiting, %.0f rows and %.0f KB of WAL a minute and worker", backlog, got[i].rowsAMinute, got[i].walAMinute/1000)
	}
	spent, err := one[int](ctx, rig.Pool(), spentSQL)
	if err != nil {
		return nil, err
	}
	small, large := got[0], got[len(got)-1]
	how := fmt.Sprintf("%d workers, %d waiting, %.0f s", outageWorkers, b.backlogs[1], b.outage.Seconds())
	return []Row{
		{
			Promise: "P10", What: "rows written a minute and worker", Figure: math.Round(large.rowsAMinute), Sense: AtMost, Bound: 5000,
			How: how + large.written(),
		},
		{
			Promise: "P10", What: "the same with a smaller backlog", Figure: math.Round(small.rowsAMinute), Sense: AtMost, Bound: 5000,
			How: fmt.Sprintf("%d waiting", b.backlogs[0]) + small.written(),
		},
		{Promise: "P10", What: "attempts spent by outages", Figure: float64(spent), Sense: Exactly, Bound: 0, How: "of all jobs"},
		{
			Promise: "P10", What: "resident memory, end ÷ beginning", Unit: "×", Figure: large.grown, Sense: AtMost, Bound: 1.1,
			How: fmt.Sprintf("%s; %.0f MiB at the end", how, large.memory),
		},
		{
			Promise: "P10", What: "drain rate afterwards ÷ inflow", Unit: "×", Figure: large.drain, Sense: AtLeast, Bound: 3,
			How: fmt.Sprintf("%d waiting, %d/s coming in; the first probe came after %.0f s", b.backlogs[1], inflow, large.probed.Seconds()),
		},
	}, nil
}

func (a away) written() string {
	return fmt.Sprintf("; %.0f KB of WAL; %d probes, %.0f %% of the rows are reservations", a.walAMinute/1000, a.probes, 100*a.reservations)
}

// away does one outage, from the first refusal to the drained backlog.
func (b *bench) away(ctx context.Context, rig *scenario.Rig, backlog int) (a away, err error) {
	pool, fake := rig.Pool(), rig.Amplitude()
	fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.Unavailable}})
	if err := fill(ctx, pool, fmt.Sprintf("outage-%d", backlog), backlog); err != nil {
		return a, err
	}
	if err := settled(ctx, rig); err != nil {
		return a, err
	}
	before, err := written(ctx, pool)
	if err != nil {
		return a, err
	}
	probes := fake.Stats().Requests
	memory, err := memories(rig)
	if err != nil {
		return a, err
	}
	if err := pause(ctx, b.outage); err != nil {
		return a, err
	}
	after, err := written(ctx, pool)
	if err != nil {
		return a, err
	}
	later, err := memories(rig)
	if err != nil {
		return a, err
	}
	for i := range memory {
		a.grown = max(a.grown, later[i]/memory[i])
		a.memory = max(a.memory, later[i])
	}
	minutes := b.outage.Minutes() * outageWorkers
	a.rowsAMinute, a.walAMinute = float64(after.rows-before.rows)/minutes, float64(after.wal-before.wal)/minutes
	a.reservations = float64(after.profiles-before.profiles) / float64(max(1, after.rows-before.rows))
	a.probes = fake.Stats().Requests - probes
	return a, b.heal(ctx, rig, backlog, &a)
}

// heal ends the outage, lets new bundles come in, and measures how fast the old ones go.
func (b *bench) heal(ctx context.Context, rig *scenario.Rig, backlog int, a *away) error {
	pool, fake := rig.Pool(), rig.Amplitude()
	newest, err := one[int64](ctx, pool, newestSQL)
	if err != nil {
		return err
	}
	load := start(ctx, pool, fmt.Sprintf("after-%d", backlog), inflow, false, anybody(backlog))
	defer load.stop() //nolint:errcheck // a second time
	accepted := fake.Stats().Accepted
	healed := time.Now()
	fake.Heal()
	if err := until(ctx, "the first probe", func() (bool, error) { return fake.Stats().Accepted > accepted, nil }); err != nil {
		return err
	}
	begun := time.Now()
	a.probed = begun.Sub(healed)
	var drained time.Time
	err = until(ctx, "the drained backlog", func() (bool, error) {
		var left int
		err := pool.QueryRow(ctx, waitingSQL, newest).Scan(&left, &drained)
		return left == 0, errors.Join(err, pause(ctx, rarely))
	})
	if err != nil {
		return err
	}
	a.drain = float64(backlog) / drained.Sub(begun).Seconds() / inflow
	if err := load.stop(); err != nil {
		return err
	}
	return rig.Drain(ctx, time.Minute)
}

// settled waits until the workers hold what they can.
func settled(ctx context.Context, rig *scenario.Rig) error {
	const still = 5 * time.Second
	held, since := -1, time.Now()
	return until(ctx, "workers that hold what they can", func() (bool, error) {
		now, err := one[int](ctx, rig.Pool(), runningSQL)
		if err != nil {
			return false, err
		}
		if now != held {
			held, since = now, time.Now()
		}
		return held > 0 && time.Since(since) > still, nil
	})
}

func memories(rig *scenario.Rig) ([]float64, error) {
	var all []float64
	for _, w := range rig.Running() {
		mib, err := residentMiB(w.PID())
		if err != nil {
			return nil, err
		}
		all = append(all, mib)
	}
	return all, nil
}
