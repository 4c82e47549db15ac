//go:build unix

package bounds

import (
	"context"
	"fmt"
	"slices"
	"time"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/scenario"
)

const hot = "u-hot"

// throttle measures P9: the same traffic with and without a user whom Amplitude
// throttles, in turn. Half of all actions are that user's.
func throttle(ctx context.Context, b *bench) (rows []Row, err error) {
	rig, err := b.open(ctx, "throttle", 2, 0)
	if err != nil {
		return nil, err
	}
	defer closing(rig, &err)
	var ratios, calm, beside []float64
	for i := range b.pairs {
		p99 := map[bool]float64{}
		for n, throttled := range []bool{i%2 == 0, i%2 != 0} {
			if p99[throttled], err = b.lag(ctx, rig, fmt.Sprintf("pair-%d-%d", i, n), b.pairLasts, throttled); err != nil {
				return nil, err
			}
		}
		b.say("throttle: pair %d of %d, p99 %.0f ms beside the throttled user, %.0f ms without",
			i+1, b.pairs, 1000*p99[true], 1000*p99[false])
		ratios = append(ratios, p99[true]/p99[false])
		calm, beside = append(calm, p99[false]), append(beside, p99[true])
	}
	return []Row{{
		Promise: "P9", What: "others' p99 beside a throttled user ÷ without", Unit: "×",
		Figure: median(ratios), Sense: AtMost, Bound: 1.5,
		How: fmt.Sprintf("median of %d pairs of %.0f s, %.2f to %.2f; p99 %.0f ms beside, %.0f ms without",
			b.pairs, b.pairLasts.Seconds(), slices.Min(ratios), slices.Max(ratios), 1000*median(beside), 1000*median(calm)),
	}}, nil
}

// lag runs traffic for a while and returns the others' 99th percentile from enqueue to
// delivery, in seconds. It ends with an empty queue.
func (b *bench) lag(ctx context.Context, rig *scenario.Rig, name string, lasts time.Duration, throttled bool) (float64, error) {
	fake := rig.Amplitude()
	if err := renew(ctx, rig, name); err != nil {
		return 0, err
	}
	if throttled {
		fake.Inject(amplitudetest.Rule{
			Fault: amplitudetest.Fault{Kind: amplitudetest.Throttle, Users: []string{hot}}, User: hot,
		})
	}
	refused := fake.Stats().Faults[amplitudetest.Throttle]
	before, err := one[int64](ctx, rig.Pool(), newestSQL)
	if err != nil {
		return 0, err
	}
	if err := everybody(ctx, rig, name, lasts); err != nil {
		return 0, err
	}
	var p99 float64
	var delivered, not int
	if err := rig.Pool().QueryRow(ctx, lagSQL, before, hot).Scan(&p99, &delivered, &not); err != nil {
		return 0, err
	}
	if not > 0 {
		return 0, fmt.Errorf("%d bundles of other users are not delivered, %d are", not, delivered)
	}
	if refusals := fake.Stats().Faults[amplitudetest.Throttle] - refused; (refusals > 0) != throttled {
		return 0, fmt.Errorf("%d requests were throttled", refusals)
	}
	fake.Heal()
	return p99, nil
}

// renew starts other workers, which know of nobody who has to wait, lets them deliver
// what the throttled user has left, and warms them up.
func renew(ctx context.Context, rig *scenario.Rig, name string) error {
	for _, w := range rig.Running() {
		rig.Stop(w)
	}
	if _, err := rig.Pool().Exec(ctx, unparkSQL); err != nil {
		return err
	}
	if err := rig.Fill(ctx); err != nil {
		return err
	}
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return err
	}
	return everybody(ctx, rig, name+"-warm", 2*time.Second)
}

// everybody is the traffic: half of it is the hot user's. It returns when the others'
// last bundles have had time to arrive.
func everybody(ctx context.Context, rig *scenario.Rig, name string, lasts time.Duration) error {
	const perSecond, users = 200, 500
	load := start(ctx, rig.Pool(), name, perSecond, false, func(n int) string {
		if n%2 == 0 {
			return hot
		}
		return fmt.Sprintf("u-%d", n%users)
	})
	if err := pause(ctx, lasts); err != nil {
		return err
	}
	if err := load.stop(); err != nil {
		return err
	}
	return pause(ctx, time.Second)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
