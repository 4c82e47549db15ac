//go:build unix

package bounds

import (
	"context"
	"fmt"
	"time"
)

// stops measures what a deployment costs: workers are asked to end one after the other,
// under load, each followed by its successor.
func stops(ctx context.Context, b *bench) (rows []Row, err error) {
	const workers, perSecond, users = 3, 200, 500
	rig, err := b.open(ctx, "stop", workers, 150*time.Millisecond)
	if err != nil {
		return nil, err
	}
	defer closing(rig, &err)
	load := start(ctx, rig.Pool(), "stop", perSecond, false, anybody(users))
	defer load.stop() //nolint:errcheck // a second time

	var worst time.Duration
	failed := 0
	for i := range b.restarts {
		s := rig.Stop(rig.Running()[0])
		worst = max(worst, s.Took)
		if s.Code != 0 {
			failed++
		}
		if err := rig.Fill(ctx); err != nil {
			return nil, err
		}
		if (i+1)%20 == 0 {
			b.say("stop: %d of %d, worst %.1f s", i+1, b.restarts, worst.Seconds())
		}
	}
	if err := load.stop(); err != nil {
		return nil, err
	}
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return nil, err
	}
	spent, err := one[int](ctx, rig.Pool(), spentSQL)
	if err != nil {
		return nil, err
	}
	stats := rig.Amplitude().Stats()
	how := fmt.Sprintf("%d restarts of %d workers in turn, %d bundles/s", b.restarts, workers, perSecond)
	return []Row{
		{Promise: "P6", What: "SIGTERM to exit, worst", Unit: "s", Figure: worst.Seconds(), Sense: AtMost, Bound: 25, How: how},
		{Promise: "P6", What: "exits other than 0", Figure: float64(failed), Sense: Exactly, Bound: 0, How: how},
		{
			Promise: "P4", What: "attempts spent by restarts", Figure: float64(spent), Sense: Exactly, Bound: 0,
			How: fmt.Sprintf("of %d jobs", load.sent),
		},
		{
			Promise: "P3", What: "events sent twice by restarts", Figure: float64(stats.Duplicates + stats.StoredTwice),
			Sense: Exactly, Bound: 0, How: fmt.Sprintf("of %d, in %d requests", stats.Received, stats.Requests),
		},
	}, nil
}
