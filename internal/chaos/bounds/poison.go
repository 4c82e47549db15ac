//go:build unix

package bounds

import (
	"context"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/scenario"
)

const (
	thousand = 1000
	silenced = "a-silenced-device"
)

// poison measures P8: a thousand bundles in one call, one of them bad, at changing
// positions.
func poison(ctx context.Context, b *bench) (rows []Row, err error) {
	rig, err := b.open(ctx, "poison", 1, 0)
	if err != nil {
		return nil, err
	}
	defer closing(rig, &err)
	fake := rig.Amplitude()
	fake.Silence(silenced)
	// The first call finds every profile missing and fills the caches.
	if _, err := b.trial(ctx, rig, "warm", -1, ""); err != nil {
		return nil, err
	}
	plain, err := b.trial(ctx, rig, "plain", -1, "")
	if err != nil {
		return nil, err
	}

	bisected := bits.Len(thousand-1) + 3
	kinds := []struct {
		name, more string
		rule       []amplitudetest.Rule
		most       int
		what       string
	}{
		{
			name: "named", more: `,"device":1`, most: 1,
			what: "requests more, when Amplitude names the event",
		},
		{
			name: "unnamed", more: `,"poison":true`, most: bisected,
			rule: []amplitudetest.Rule{{Fault: amplitudetest.Fault{Kind: amplitudetest.BadRequest}, Property: "poison"}},
			what: "requests in all, when a 400 names nothing",
		},
		{
			name: "firewall", more: `,"poison":true`, most: bisected,
			rule: []amplitudetest.Rule{{Fault: amplitudetest.Fault{Kind: amplitudetest.Forbidden}, Property: "poison"}},
			what: "requests in all, when a firewall says 403",
		},
	}
	random := b.random()
	for _, kind := range kinds {
		fake.Heal()
		fake.Inject(kind.rule...)
		var worst poisoned
		for i := range b.poisons {
			got, err := b.trial(ctx, rig, fmt.Sprintf("%s-%d", kind.name, i), random.IntN(thousand), kind.more)
			if err != nil {
				return nil, err
			}
			worst.add(got)
		}
		requests := worst.requests
		if kind.name == "named" {
			requests -= plain.requests
		}
		how := fmt.Sprintf("%d positions among %d; %d without poison", b.poisons, thousand, plain.requests)
		rows = append(rows,
			Row{Promise: "P8", What: kind.what, Figure: float64(requests), Sense: AtMost, Bound: float64(kind.most), How: how},
			Row{
				Promise: "P8", What: "delivered, " + kind.name + " poison beside them", Figure: float64(worst.delivered),
				Sense: Exactly, Bound: thousand - 1, How: "one rejected each time: " + worst.reason,
			})
	}
	return rows, nil
}

// poisoned is what became of a thousand, or the worst of several such.
type poisoned struct {
	requests, delivered int
	reason              string
}

func (p *poisoned) add(other poisoned) {
	p.requests = max(p.requests, other.requests)
	if p.reason == "" || other.delivered < p.delivered {
		p.delivered, p.reason = other.delivered, other.reason
	}
}

// trial enqueues a thousand bundles, the one at bad with more in its properties, and
// waits until they have an outcome.
func (b *bench) trial(ctx context.Context, rig *scenario.Rig, name string, bad int, more string) (poisoned, error) {
	bundles := make([]string, thousand)
	for i := range bundles {
		key, user := fmt.Sprintf("%s:%d", name, i), fmt.Sprintf("u-%d", i)
		bundles[i] = bundle(key, user, "")
		if i == bad {
			bundles[i] = bundle(key, user, more)
			if strings.Contains(more, "device") {
				bundles[i] = strings.Replace(bundles[i], `"identify"`, `"device_id":"`+silenced+`","identify"`, 1)
			}
		}
	}
	before := rig.Amplitude().Stats().Requests
	ids, err := enqueue(ctx, rig.Pool(), bundles...)
	if err != nil {
		return poisoned{}, err
	}
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return poisoned{}, err
	}
	ended, err := outcomes(ctx, rig.Pool(), ids)
	if err != nil {
		return poisoned{}, err
	}
	got := poisoned{requests: rig.Amplitude().Stats().Requests - before, delivered: ended["delivered"].bundles}
	got.reason = ended["rejected"].reason
	if bad >= 0 && (ended["rejected"].bundles != 1 || !strings.HasPrefix(got.reason, "Amplitude")) {
		got.delivered = 0
		got.reason = fmt.Sprintf("not one bundle with Amplitude's reason: %v", ended)
	}
	return got, nil
}
