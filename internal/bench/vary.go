//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waybill/internal/bench/endpoint"
	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// The scenarios here drain the usual orders and change one thing. What they are compared with is drained in the same
// round.

// ordinary is the trial that is varied.
func (b *bench) ordinary(load loader) trial {
	return trial{shop: workload.Shop{Name: "vary", Orders: b.sizes.vary}, n: b.sizes.vary, load: load}
}

// calls are the two ways in which bundles are enqueued.
func (b *bench) calls() []call {
	return []call{{"single", "1 a call", b.loadSingle}, {"bulk", "100 a call", b.loadBulk}}
}

type call struct {
	id, what string
	load     loader
}

// behaving lets the endpoint behave otherwise while something is done.
func (h *house) behaving(ctx context.Context, b endpoint.Behaviour, do func() error) error {
	if err := h.endpoint.Behave(ctx, b); err != nil {
		return err
	}
	return errors.Join(do(), h.endpoint.Behave(context.WithoutCancel(ctx), usualBehaviour))
}

// endpoints drains to endpoints of other latencies.
func (b *bench) endpoints(ctx context.Context, round int) error {
	part := figures.Columns{Title: "An endpoint that takes", Ours: "bundle/s", Against: "at 50 ms"}
	for _, c := range b.calls() {
		latencies := []time.Duration{endpointLatency, 0, 250 * time.Millisecond}
		got := make([]drained, len(latencies))
		var steps []func() error
		for i, latency := range latencies {
			steps = append(steps, func() error {
				return b.behaving(ctx, endpoint.Behaviour{Latency: latency}, func() (err error) {
					got[i], err = b.drainOurs(ctx, b.ordinary(c.load))
					return err
				})
			})
		}
		if err := inOrder(round, steps...); err != nil {
			return err
		}
		for i, latency := range latencies[1:] {
			b.compare(figures.Figure{
				ID: fmt.Sprintf("latency_%s_%d", c.id, latency.Milliseconds()), Part: part,
				What: fmt.Sprintf("%d ms, %s", latency.Milliseconds(), c.what), Unit: "bundles/s", Rival: "50 ms",
			}, got[i+1].rate(), got[0].rate(), got[i+1].against(got[0]))
		}
	}
	return nil
}

// failures drains bundles of which the endpoint refuses some by name.
func (b *bench) failures(ctx context.Context, round int) error {
	part := figures.Columns{Title: "Amplitude refuses", Ours: "bundle/s", Against: "none"}
	shares := []int{0, 1, 20}
	got := make([]drained, len(shares))
	var steps []func() error
	for i, percent := range shares {
		steps = append(steps, func() error {
			behaviour := usualBehaviour
			behaviour.Refuse = percent
			return b.behaving(ctx, behaviour, func() (err error) {
				got[i], err = b.drainOurs(ctx, b.ordinary(b.loadSingle))
				return err
			})
		})
	}
	if err := inOrder(round, steps...); err != nil {
		return err
	}
	for i, percent := range shares[1:] {
		one := got[i+1]
		refused := one.against(got[0])
		if share := float64(one.work.refused) / float64(one.n) * 100; refused == "" && (share < float64(percent)/2 || share > float64(percent)*2) {
			refused = fmt.Sprintf("%.1f %% were refused", share)
		}
		b.compare(figures.Figure{
			ID: fmt.Sprintf("failing_%d", percent), Part: part, What: fmt.Sprintf("%d %% of bundles, by name", percent), Unit: "bundles/s", Rival: "none",
		}, one.rate(), got[0].rate(), refused)
	}
	return nil
}

// hotUsers gives half of the orders to one user, whose traits stay or change.
func (b *bench) hotUsers(ctx context.Context, round int) error {
	part := figures.Columns{Title: "One user with half the traffic", Ours: "hot", Against: "even"}
	for _, restless := range []bool{false, true} {
		even := b.ordinary(b.loadSingle)
		even.shop.Restless = restless
		hot := even
		hot.shop.Hot = true
		var evenly, hotly drained
		if err := inOrder(round,
			func() (err error) { evenly, err = b.drainOurs(ctx, even); return err },
			func() (err error) { hotly, err = b.drainOurs(ctx, hot); return err },
		); err != nil {
			return err
		}
		f := figures.Figure{ID: "hot", Part: part, What: "traits stay, bundles/s", Unit: "bundles/s", Rival: "even traffic"}
		if restless {
			f.ID, f.What = "hot_restless", "a trait changes in each, bundles/s"
		}
		b.compare(f, hotly.rate(), evenly.rate(), hotly.against(evenly))
	}
	return nil
}

// payloads drains bundles of other sizes, beside stock River with the same bytes.
func (b *bench) payloads(ctx context.Context, round int) error {
	part := figures.Columns{Title: "Payload, 1 a call", Ours: "waybill", Against: "river"}
	for _, size := range []int{300, 1000, 8000} {
		t := b.ordinary(b.loadSingle)
		t.shop.Bytes = size
		var ours, stock drained
		if err := inOrder(round,
			func() (err error) { ours, err = b.drainOurs(ctx, t); return err },
			func() (err error) { stock, err = b.drainStock(ctx, t); return err },
		); err != nil {
			return err
		}
		refused := ours.work.asBusyAs(stock.work)
		if refused == "" {
			refused = ours.delivered()
		}
		b.compare(figures.Figure{
			ID: fmt.Sprintf("payload_%d", size), Part: part, What: fmt.Sprintf("%d bytes, bundles/s", size), Unit: "bundles/s", Rival: "stock River, no-op jobs", Chart: fmt.Sprintf("drain, 1 a call, %d bytes", size),
		}, ours.rate(), stock.rate(), refused)
		b.compare(figures.Figure{
			ID: fmt.Sprintf("payload_wal_%d", size), Part: part, What: fmt.Sprintf("%d bytes, WAL, KB", size), Unit: "KB", Rival: "stock River",
		}, ours.kilobytes(), stock.kilobytes(), refused)
	}
	return nil
}

// fleets drains with more worker processes on the one Postgres.
func (b *bench) fleets(ctx context.Context, round int) error {
	part := figures.Columns{Title: "Worker processes on one Postgres", Ours: "bundle/s", Against: "one"}
	for _, c := range b.calls() {
		numbers := []int{1, 2, 4}
		got := make([]drained, len(numbers))
		var steps []func() error
		for i, workers := range numbers {
			t := b.ordinary(c.load)
			t.workers = workers
			steps = append(steps, func() (err error) { got[i], err = b.drainOurs(ctx, t); return err })
		}
		if err := inOrder(round, steps...); err != nil {
			return err
		}
		for i, workers := range numbers[1:] {
			b.compare(figures.Figure{
				ID: fmt.Sprintf("workers_%s_%d", c.id, workers), Part: part, What: fmt.Sprintf("%d workers, %s", workers, c.what), Unit: "bundles/s", Rival: "one worker",
			}, got[i+1].rate(), got[0].rate(), got[i+1].against(got[0]))
		}
	}
	return nil
}

// cleaners drains while completed jobs of more than an hour ago have to go.
func (b *bench) cleaners(ctx context.Context, round int) error {
	part := figures.Columns{Title: "Old completed jobs are removed", Ours: "with", Against: "without"}
	t := b.ordinary(b.loadSingle)
	laden := t
	laden.before = func(ctx context.Context) error {
		_, err := b.ours.pool.Exec(ctx, query("overdue"), b.sizes.overdue)
		return err
	}
	var with, without drained
	var left int
	if err := inOrder(round,
		func() (err error) { without, err = b.drainOurs(ctx, t); return err },
		func() (err error) {
			if with, err = b.drainOurs(ctx, laden); err != nil {
				return err
			}
			return b.ours.pool.QueryRow(ctx, query("overdue_left")).Scan(&left)
		},
	); err != nil {
		return err
	}
	b.compare(figures.Figure{ID: "cleaner_drain", Part: part, What: "drain, 1 a call, bundles/s", Unit: "bundles/s", Rival: "nothing to remove"},
		with.rate(), without.rate(), with.against(without))
	b.note(figures.Figure{ID: "cleaner_rate", Part: part, What: "jobs removed meanwhile, 1/s", Unit: "1/s"}, float64(b.sizes.overdue-left)/with.took.Seconds())
	return nil
}
