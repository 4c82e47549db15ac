//go:build unix

package bounds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/scenario"
	"waybill/internal/ops"
)

const (
	day = 24 * time.Hour
	// almost and limit are the two sides of what docs/guarantees.md says about doubt.
	almost = 6*day - time.Hour
	limit  = 6 * day
	month  = 30 * day
)

// doubt measures the boundaries of P3. What Waybill remembers is made older, and the
// fake's clock goes ahead by as much.
func doubt(ctx context.Context, b *bench) (rows []Row, err error) {
	rig, err := b.open(ctx, "doubt", 1, 0)
	if err != nil {
		return nil, err
	}
	defer closing(rig, &err)
	for _, check := range []func(context.Context, *scenario.Rig) ([]Row, error){young, old, refused} {
		found, err := check(ctx, rig)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

// young is a doubt within the limit: it is sent again, and Amplitude knows it.
func young(ctx context.Context, rig *scenario.Rig) ([]Row, error) {
	before := rig.Amplitude().Stats()
	ids, err := lost(ctx, rig, almost, amplitudetest.StoredLost, "young")
	if err != nil {
		return nil, err
	}
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return nil, err
	}
	ended, err := outcomes(ctx, rig.Pool(), ids)
	if err != nil {
		return nil, err
	}
	after := rig.Amplitude().Stats()
	if after.Duplicates == before.Duplicates {
		return nil, errors.New("a bundle in doubt was not sent again")
	}
	return []Row{{
		Promise: "P3", What: "times counted, in doubt for 5 d 23 h", Sense: Exactly, Bound: 1,
		Figure: float64(after.Counted - before.Counted),
		How:    fmt.Sprintf("sent again and known to Amplitude; %d of 1 delivered", ended["delivered"].bundles),
	}}, nil
}

// old is a doubt of six days: nothing is sent until a person decides.
func old(ctx context.Context, rig *scenario.Rig) ([]Row, error) {
	pool, fake := rig.Pool(), rig.Amplitude()
	ids, err := lost(ctx, rig, limit, amplitudetest.StoredLost, "assumed", "known", "forgotten")
	if err != nil {
		return nil, err
	}
	before := fake.Stats()
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return nil, err
	}
	ended, err := outcomes(ctx, pool, ids)
	if err != nil {
		return nil, err
	}
	rows := []Row{{
		Promise: "P3", What: "sent again after 6 d of doubt", Sense: Exactly, Bound: 0,
		Figure: float64(fake.Stats().Received - before.Received),
		How:    fmt.Sprintf("%d of 3 are uncertain: %s", ended["uncertain"].bundles, ended["uncertain"].reason),
	}}

	resolve := func(how, key string) (delivered, counted int, err error) {
		before := fake.Stats()
		if err := decide(ctx, rig, how, key); err != nil {
			return 0, 0, err
		}
		if err := rig.Drain(ctx, time.Minute); err != nil {
			return 0, 0, err
		}
		ended, err := outcomes(ctx, pool, ids)
		return ended["delivered"].bundles, fake.Stats().Counted - before.Counted, err
	}
	for _, c := range []struct {
		how, key, what string
		later          time.Duration
		counted        float64
	}{
		{"--assume-delivered", "assumed", "counted by resolve --assume-delivered", 0, 0},
		{"--resend", "known", "counted again by resolve --resend after 6 d", 0, 0},
		{"--resend", "forgotten", "counted again by resolve --resend after 7 d", day, 1},
	} {
		if err := age(ctx, rig, c.later); err != nil {
			return nil, err
		}
		delivered, counted, err := resolve(c.how, c.key)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row{
			Promise: "P3", What: c.what, Figure: float64(counted), Sense: Exactly, Bound: c.counted,
			How: fmt.Sprintf("Amplitude's memory is 7 d; %d of 3 are delivered now", delivered),
		})
	}
	return rows, nil
}

// decide has `worker resolve` act on one bundle.
func decide(ctx context.Context, rig *scenario.Rig, how, key string) error {
	output, err := rig.Command(ctx, "resolve", how, "--key", key, "--yes", "--json")
	if err != nil {
		return err
	}
	var tally ops.Tally
	if err := json.Unmarshal([]byte(output), &tally); err != nil {
		return fmt.Errorf("read what worker resolve prints: %w", err)
	}
	if tally.Moved != 1 {
		return fmt.Errorf("worker resolve %s of bundle %s: %s", how, key, output)
	}
	return nil
}

// refused is a bundle that certainly was never accepted: it is tried for ever.
func refused(ctx context.Context, rig *scenario.Rig) ([]Row, error) {
	ids, err := lost(ctx, rig, month, amplitudetest.Unavailable, "refused")
	if err != nil {
		return nil, err
	}
	if err := rig.Drain(ctx, time.Minute); err != nil {
		return nil, err
	}
	ended, err := outcomes(ctx, rig.Pool(), ids)
	if err != nil {
		return nil, err
	}
	return []Row{{
		Promise: "P4", What: "delivered, after 30 d of refusals", Sense: Exactly, Bound: 1,
		Figure: float64(ended["delivered"].bundles), How: "503 promises that nothing was taken, so there is no doubt",
	}}, nil
}

// lost sends bundles whose answer goes wrong, stops the worker, lets time pass, and
// starts another one.
func lost(ctx context.Context, rig *scenario.Rig, passes time.Duration, fault amplitudetest.Kind, keys ...string) ([]int64, error) {
	fake := rig.Amplitude()
	fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: fault}})
	before := fake.Stats().Requests
	var bundles []string
	for _, key := range keys {
		bundles = append(bundles, bundle(key, "u-"+key, ""))
	}
	ids, err := enqueue(ctx, rig.Pool(), bundles...)
	if err != nil {
		return nil, err
	}
	if err := until(ctx, "the first request", func() (bool, error) { return fake.Stats().Requests > before, nil }); err != nil {
		return nil, err
	}
	rig.Stop(rig.Running()[0])
	fake.Heal()
	if err := age(ctx, rig, passes); err != nil {
		return nil, err
	}
	return ids, rig.Fill(ctx)
}

// age lets time pass for the database's rows and for Amplitude.
func age(ctx context.Context, rig *scenario.Rig, passes time.Duration) error {
	rig.Amplitude().Advance(passes)
	_, err := rig.Pool().Exec(ctx, ageSQL, passes)
	return err
}
