//go:build unix

package bounds

import (
	"context"
	"fmt"
	"slices"
	"time"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/scenario"
)

// kills measures P6: workers are killed one after the other until one is left, and the
// orphans of each are followed to their outcome. Nothing else goes wrong. Only kills of
// workers that held something count.
func kills(ctx context.Context, b *bench) (rows []Row, err error) {
	const perSecond, users = 200, 500
	rig, err := b.open(ctx, "kill", b.wave+1, 250*time.Millisecond)
	if err != nil {
		return nil, err
	}
	defer closing(rig, &err)
	load := start(ctx, rig.Pool(), "kill", perSecond, false, anybody(users))
	defer load.stop() //nolint:errcheck // a second time

	var took []time.Duration
	orphans, random := 0, b.random()
	for len(took) < b.kills {
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
		victims := rig.Running()
		random.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
		wave, err := killWave(ctx, rig, victims[:min(b.wave, b.kills-len(took))])
		if err != nil {
			return nil, err
		}
		for _, k := range wave {
			rescued, err := follow(ctx, rig, k)
			if err != nil {
				return nil, err
			}
			took, orphans = append(took, rescued), orphans+len(k.Held)
		}
		b.say("kill: %d of %d, worst %.1f s", len(took), b.kills, slices.Max(took).Seconds())
		if err := rig.Fill(ctx); err != nil {
			return nil, err
		}
	}
	if err := load.stop(); err != nil {
		return nil, err
	}
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return nil, err
	}
	slices.Sort(took)
	return []Row{
		{
			Promise: "P6", What: "SIGKILL to the last orphan's outcome, worst", Unit: "s",
			Figure: took[len(took)-1].Seconds(), Sense: AtMost, Bound: 15,
			How: fmt.Sprintf("%d kills with %d orphans, median %.1f s; %d at a time, one worker left, %d bundles/s",
				len(took), orphans, took[len(took)/2].Seconds(), b.wave, perSecond),
		},
		{
			Promise: "P3", What: "events counted twice after kills", Sense: Exactly, Bound: 0,
			Figure: float64(rig.Amplitude().Stats().StoredTwice),
			How:    fmt.Sprintf("%d were sent again, and Amplitude knew them", rig.Amplitude().Stats().Duplicates),
		},
	}, nil
}

// killWave kills workers, and returns the kills that left orphans.
func killWave(ctx context.Context, rig *scenario.Rig, victims []scenario.RigWorker) ([]checker.Kill, error) {
	var wave []checker.Kill
	for _, w := range victims {
		k, err := rig.Kill(ctx, w)
		if err != nil {
			return nil, err
		}
		if len(k.Held) > 0 {
			wave = append(wave, k)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return wave, nil
}

// follow waits for the outcome of everything that a killed worker held, and returns how
// long after the kill the last one came.
func follow(ctx context.Context, rig *scenario.Rig, k checker.Kill) (time.Duration, error) {
	var last time.Time
	err := until(ctx, "the orphans of "+k.Worker, func() (bool, error) {
		var left int
		err := rig.Pool().QueryRow(ctx, heldSQL, k.Held).Scan(&left, &last)
		return left == 0, err
	})
	return max(0, last.Sub(k.At)), err
}
