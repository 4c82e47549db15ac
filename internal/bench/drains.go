//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"

	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// inOrder takes steps forwards and, every other round, backwards.
func inOrder(round int, steps ...func() error) error {
	if round%2 == 1 {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// warmUp lets both sides drain a little, unmeasured, so that nobody meets files, programs and catalogues for the first
// time.
func (b *bench) warmUp(ctx context.Context) error {
	t := trial{shop: workload.Shop{Name: "warm", Orders: 2000}, n: 2000, load: b.loadSingle}
	if _, err := b.drainStock(ctx, t); err != nil {
		return err
	}
	_, err := b.drainOurs(ctx, t)
	return err
}

// drains are the figures of what waits: ours one and 100 a call, stock River's no-ops, and ours while it is enqueued.
func (b *bench) drains(ctx context.Context, round int) error {
	if round == 0 {
		if err := b.warmUp(ctx); err != nil {
			return err
		}
	}
	n := b.sizes.drain
	one := trial{shop: workload.Shop{Name: "drain", Orders: n}, n: n, load: b.loadSingle}
	hundred, restless := one, one
	hundred.load = b.loadBulk
	restless.shop.Restless = true
	var single, many, both, moved, stock drained
	steps := []func() error{
		func() (err error) { single, err = b.drainOurs(ctx, one); return err },
		func() (err error) { stock, err = b.drainStock(ctx, one); return err },
		func() (err error) { many, err = b.drainOurs(ctx, hundred); return err },
		func() (err error) { both, err = b.enqueueAndDrain(ctx, one.shop, n); return err },
	}
	if b.sizes.moving {
		steps = append(steps, func() (err error) { moved, err = b.drainOurs(ctx, restless); return err })
	}
	if err := inOrder(round, steps...); err != nil {
		return err
	}
	part := figures.Columns{Title: "Drained, bundles/s ÷ no-ops", Ours: "waybill", Against: "river"}
	compare := func(id, what, chart string, ours drained, limit figures.Limit) {
		refused := ours.work.asBusyAs(stock.work)
		if refused == "" {
			refused = ours.delivered()
		}
		b.compare(figures.Figure{ID: id, Part: part, What: what, Unit: "bundles/s", Rival: "stock River, no-op jobs", Chart: chart, Limit: limit}, ours.rate(), stock.rate(), refused)
	}
	compare("drain_single", "1 a call", "drain, 1 a call", single, atLeast(1.3))
	compare("drain_bulk", "100 a call", "drain, 100 a call", many, atLeast(3))
	compare("enqueue_and_drain", "100 a call, enqueued meanwhile", "drain, 100 a call, while enqueuing", both, atLeast(1.5))
	if moved.n > 0 {
		compare("drain_restless", "1 a call, a trait changes in each", "drain, 1 a call, a trait changes", moved, figures.Limit{})
	}
	b.costs(single, many, stock)
	b.work = []string{
		workLine("river", stock), workLine("waybill, 1 a call", single), workLine("waybill, 100 a call", many),
	}
	return nil
}

func workLine(name string, d drained) string {
	line := fmt.Sprintf("%s: %d actions, %d done, %d bytes", name, d.work.actions, d.work.done, d.work.bytes)
	if d.arrived.Requests > 0 {
		line += fmt.Sprintf(", %d events\n  in %d requests", d.arrived.Events, d.arrived.Requests)
	}
	return line
}

// costs are what the drains took.
func (b *bench) costs(single, many, stock drained) {
	part := figures.Columns{Title: "What a bundle costs, CPU in µs", Ours: "waybill", Against: "river"}
	b.compare(figures.Figure{ID: "wal_single", Part: part, What: "WAL, 1 a call, KB", Unit: "KB", Limit: atMost(3)},
		single.kilobytes(), stock.kilobytes(), "")
	b.compare(figures.Figure{ID: "wal_bulk", Part: part, What: "WAL, 100 a call, KB", Unit: "KB", Limit: atMost(1.5)},
		many.kilobytes(), stock.kilobytes(), "")
	b.note(figures.Figure{ID: "events", Part: part, What: "Amplitude events", Unit: "1"}, float64(single.arrived.Events)/float64(single.n))
	if single.postgresCPU == 0 {
		return // the system does not tell
	}
	cpu := func(id, what string, ours, river float64) {
		b.compare(figures.Figure{ID: id, Part: part, What: what, Unit: "µs"}, ours, river, "")
	}
	cpu("cpu_enqueue_single", "Postgres, to enqueue, 1 a call", perAction(single.loadCPU, single.n), perAction(stock.loadCPU, stock.n))
	cpu("cpu_enqueue_bulk", "Postgres, to enqueue, 100 a call", perAction(many.loadCPU, many.n), perAction(stock.loadCPU, stock.n))
	cpu("cpu_postgres_single", "Postgres, to drain, 1 a call", perAction(single.postgresCPU, single.n), perAction(stock.postgresCPU, stock.n))
	cpu("cpu_worker_single", "worker, 1 a call", perAction(single.worker.cpu, single.n), perAction(stock.worker.cpu, stock.n))
	cpu("cpu_postgres_bulk", "Postgres, to drain, 100 a call", perAction(many.postgresCPU, many.n), perAction(stock.postgresCPU, stock.n))
	cpu("cpu_worker_bulk", "worker, 100 a call", perAction(many.worker.cpu, many.n), perAction(stock.worker.cpu, stock.n))
	b.note(figures.Figure{ID: "cpu_endpoint", Part: part, What: "endpoint", Unit: "µs"}, perAction(many.sinkCPU, many.n))
	b.noteMemory(figures.Figure{ID: "memory_drain", Part: part, What: "worker memory, 1 a call, MiB", Limit: atMost(150)}, single.worker.maxBytes)
}
