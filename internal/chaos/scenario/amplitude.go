//go:build unix

package scenario

import (
	"context"
	"time"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/nemesis"
)

// provoke makes Amplitude misbehave, or gives it reason to.
func (v *villain) provoke(ctx context.Context, step nemesis.Step) error {
	switch step.Kind {
	case nemesis.Poison:
		v.house.poison.Store(true)
		defer v.house.poison.Store(false)
	case nemesis.Quota:
		return v.quota(ctx, step)
	default:
		v.house.sink.Inject(rules(step)...)
		defer v.house.sink.Heal()
	}
	wait(ctx, step.For)
	return nil
}

// quota lets Amplitude refuse users for the rest of the day, and then lets tomorrow come.
func (v *villain) quota(ctx context.Context, step nemesis.Step) error {
	if v.house.library == nil {
		return v.house.noFaults
	}
	v.house.sink.Inject(rules(step)...)
	wait(ctx, step.For)
	v.house.sink.Heal()
	return v.house.setClock(v.house.clock.tomorrow(time.Now()))
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
	case nemesis.Quota:
		return []amplitudetest.Rule{
			{Fault: amplitudetest.Fault{Kind: amplitudetest.DailyQuota, Users: []string{hottest}}, Times: 1},
			{Fault: amplitudetest.Fault{Kind: amplitudetest.DailyQuota}, Probability: 0.2, Times: 3},
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
