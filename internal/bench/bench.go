//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// sizes are how much is measured.
type sizes struct {
	rounds   int
	drain    int           // bundles that wait, one a call
	bulk     int           // the same, 100 a call
	commit   time.Duration // of each producer on each number of connections
	pairs    int           // transactions compared one by one
	steady   time.Duration
	idle     time.Duration
	backlog  int // 0: not measured
	restless bool
}

var (
	full = sizes{
		rounds: 5, drain: 30_000, bulk: 60_000, commit: 2 * time.Second, pairs: 500,
		steady: 20 * time.Second, idle: 20 * time.Second, backlog: 1_000_000, restless: true,
	}
	quick = sizes{
		rounds: 3, drain: 8_000, bulk: 16_000, commit: 300 * time.Millisecond, pairs: 100,
		steady: 4 * time.Second, idle: 5 * time.Second,
	}
)

// connections are the numbers of connections that business transactions are made on.
var connections = []int{1, 4, 16}

// bench collects figures.
type bench struct {
	*house

	sizes    sizes
	progress io.Writer
	figures  map[string]*figures.Figure
	order    []string
	work     []string
}

// figure is the one of that id, made at its first use. The order of first uses is that of the table.
func (b *bench) figure(f figures.Figure) *figures.Figure {
	if b.figures[f.ID] == nil {
		b.figures[f.ID] = &f
		b.order = append(b.order, f.ID)
	}
	return b.figures[f.ID]
}

// compare enters one round of a comparison, or why it is none.
func (b *bench) compare(f figures.Figure, ours, against float64, refused string) {
	into := b.figure(f)
	into.Ours, into.Against = append(into.Ours, ours), append(into.Against, against)
	if refused != "" {
		into.Refused = refused
	}
}

// note enters one round of a figure that stands alone.
func (b *bench) note(f figures.Figure, ours float64) {
	into := b.figure(f)
	into.Ours = append(into.Ours, ours)
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...)
}

// measure goes through the scenarios, most important first within each round, so that whatever else the machine does
// spreads over all of them.
func (b *bench) measure(ctx context.Context) error {
	for round := range b.sizes.rounds {
		b.say("round %d of %d", round+1, b.sizes.rounds)
		for _, scenario := range []func(context.Context, int) error{b.drains, b.enqueues, b.latencies} {
			if err := scenario(ctx, round); err != nil {
				return err
			}
		}
	}
	return b.once(ctx)
}

// drains are the figures of what waits: ours one and 100 a call, stock River's no-ops, and ours while it is enqueued.
func (b *bench) drains(ctx context.Context, round int) error {
	shop := workload.Shop{Name: "drain", Orders: b.sizes.drain}
	bulk := workload.Shop{Name: "drain", Orders: b.sizes.bulk}
	restless := workload.Shop{Name: "drain", Orders: b.sizes.drain, Restless: true}
	var single, many, both, moved, stock, stockMany drained
	steps := []func() error{
		func() (err error) { stock, err = b.drainStock(ctx, shop, b.sizes.drain); return err },
		func() (err error) { single, err = b.drainOurs(ctx, shop, b.sizes.drain, b.loadSingle); return err },
		func() (err error) { stockMany, err = b.drainStock(ctx, bulk, b.sizes.bulk); return err },
		func() (err error) { many, err = b.drainOurs(ctx, bulk, b.sizes.bulk, b.loadBulk); return err },
		func() (err error) { both, err = b.enqueueAndDrain(ctx, bulk, b.sizes.bulk); return err },
	}
	if b.sizes.restless {
		steps = append(steps, func() (err error) {
			moved, err = b.drainOurs(ctx, restless, b.sizes.drain, b.loadSingle)
			return err
		})
	}
	if round%2 == 1 {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	ratio := func(atLeast float64) figures.Limit { return figures.Limit{AtLeast: atLeast, OfRatio: true} }
	b.compareDrains(figures.Figure{ID: "drain_single", What: "drain, 1 a call, bundles/s", Limit: ratio(1.3)}, single, stock)
	b.compareDrains(figures.Figure{ID: "drain_bulk", What: "drain, 100 a call, bundles/s", Limit: ratio(3)}, many, stockMany)
	b.compareDrains(figures.Figure{ID: "enqueue_and_drain", What: "enqueue + drain, 100 a call", Limit: ratio(1.5)}, both, stockMany)
	if b.sizes.restless {
		b.compareDrains(figures.Figure{ID: "drain_restless", What: "drain, 1 a call, a trait changes"}, moved, stock)
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
		line += fmt.Sprintf(", %d events in %d requests", d.arrived.Events, d.arrived.Requests)
	}
	return line
}

func (b *bench) compareDrains(f figures.Figure, ours, stock drained) {
	f.Unit, f.Rival = "bundles/s", "stock River, no-op jobs"
	refused := ours.work.asBusyAs(stock.work)
	if refused == "" {
		refused = ours.delivered()
	}
	b.compare(f, ours.rate(), stock.rate(), refused)
}

// costs are what the drains took.
func (b *bench) costs(single, many, stock drained) {
	b.compare(figures.Figure{ID: "wal_single", What: "WAL, 1 a call, KB a bundle", Unit: "KB", Limit: figures.Limit{AtMost: 3}},
		single.kilobytes(), stock.kilobytes(), "")
	b.compare(figures.Figure{ID: "wal_bulk", What: "WAL, 100 a call, KB a bundle", Unit: "KB", Limit: figures.Limit{AtMost: 1.5}},
		many.kilobytes(), stock.kilobytes(), "")
	if single.postgresCPU == 0 {
		return // the system does not tell
	}
	b.compare(figures.Figure{ID: "cpu_postgres_single", What: "Postgres CPU, 1 a call, µs a bundle", Unit: "µs"},
		perAction(single.postgresCPU, single.n), perAction(stock.postgresCPU, stock.n), "")
	b.compare(figures.Figure{ID: "cpu_worker_single", What: "worker CPU, 1 a call, µs a bundle", Unit: "µs"},
		perAction(single.worker.cpu, single.n), perAction(stock.worker.cpu, stock.n), "")
	b.note(figures.Figure{ID: "cpu_postgres_bulk", What: "Postgres CPU, 100 a call", Unit: "µs"}, perAction(many.postgresCPU, many.n))
	b.note(figures.Figure{ID: "cpu_worker_bulk", What: "worker CPU, 100 a call", Unit: "µs"}, perAction(many.worker.cpu, many.n))
	b.note(figures.Figure{ID: "cpu_endpoint", What: "endpoint CPU, µs a bundle", Unit: "µs"}, perAction(many.sinkCPU, many.n))
}

// enqueues are business transactions, with and without their events.
func (b *bench) enqueues(ctx context.Context, round int) error {
	business, ours, insertTx, unique, err := b.producers()
	if err != nil {
		return err
	}
	order := []producer{ours, insertTx, unique, business}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	for _, conns := range connections {
		got := map[string]committed{}
		for _, p := range order {
			if got[p.name], err = b.commit(ctx, p, conns, b.sizes.commit); err != nil {
				return fmt.Errorf("%s on %d connections: %w", p.name, conns, err)
			}
		}
		b.compareProducers(conns, got[ours.name], got[insertTx.name], got[unique.name])
		b.note(figures.Figure{ID: fmt.Sprintf("business_%d", conns), What: fmt.Sprintf("transactions/s, no event, %d conns", conns), Unit: "1/s"},
			got[business.name].rate())
	}
	mine, err := b.compareCommits(ctx, business, ours, b.sizes.pairs)
	if err != nil {
		return err
	}
	theirs, err := b.compareCommits(ctx, business, insertTx, b.sizes.pairs)
	if err != nil {
		return err
	}
	b.compare(figures.Figure{ID: "added_p50", Apart: true, What: "added to a transaction, p50 ms", Unit: "ms", Rival: "InsertTx", Limit: figures.Limit{AtMost: 0.5}}, mine.p50, theirs.p50, "")
	b.compare(figures.Figure{ID: "added_p99", Apart: true, What: "added to a transaction, p99 ms", Unit: "ms", Rival: "InsertTx"}, mine.p99, theirs.p99, "")
	return nil
}

func (b *bench) compareProducers(conns int, ours, insertTx, unique committed) {
	limits := [2]figures.Limit{}
	if conns == 16 {
		limits = [2]figures.Limit{{AtLeast: 1, OfRatio: true}, {AtLeast: 1.15, OfRatio: true}}
	}
	b.compare(figures.Figure{
		ID: fmt.Sprintf("enqueue_%d", conns), What: fmt.Sprintf("÷ InsertTx, %d conns, tx/s", conns),
		Unit: "1/s", Rival: "InsertTx", Limit: limits[0],
	}, ours.rate(), insertTx.rate(), ours.asBusyAs(insertTx))
	b.compare(figures.Figure{
		ID: fmt.Sprintf("enqueue_unique_%d", conns), What: fmt.Sprintf("÷ InsertTx unique, %d conns, tx/s", conns),
		Unit: "1/s", Rival: "InsertTx with UniqueOpts", Limit: limits[1],
	}, ours.rate(), unique.rate(), ours.asBusyAs(unique))
	if conns == 16 && ours.postgresCPU > 0 {
		b.compare(figures.Figure{ID: "cpu_postgres_enqueue", What: "Postgres CPU a transaction, µs", Unit: "µs", Rival: "InsertTx"},
			perAction(ours.postgresCPU, ours.n), perAction(insertTx.postgresCPU, insertTx.n), "")
		b.compare(figures.Figure{ID: "cpu_client_enqueue", What: "client CPU a transaction, µs", Unit: "µs", Rival: "InsertTx"},
			perAction(ours.clientCPU, ours.n), perAction(insertTx.clientCPU, insertTx.n), "")
	}
}

// latencies are the lag of a steady trickle.
func (b *bench) latencies(ctx context.Context, _ int) error {
	_, ours, _, _, err := b.producers()
	if err != nil {
		return err
	}
	l, err := b.steady(ctx, ours, b.sizes.steady)
	if err != nil {
		return err
	}
	b.note(figures.Figure{ID: "lag_p50", What: "commit to request, 200/s, p50 ms", Unit: "ms", Limit: figures.Limit{AtMost: 80}}, l.p50)
	b.note(figures.Figure{ID: "lag_p99", What: "commit to request, 200/s, p99 ms", Unit: "ms", Limit: figures.Limit{AtMost: 250}}, l.p99)
	return nil
}

// once is what one round shows.
func (b *bench) once(ctx context.Context) error {
	business, ours, insertTx, _, err := b.producers()
	if err != nil {
		return err
	}
	var trips [3]float64
	for i, p := range []producer{business, ours, insertTx} {
		if trips[i], err = b.roundTrips(ctx, p); err != nil {
			return err
		}
	}
	b.compare(figures.Figure{ID: "round_trips", Apart: true, What: "round trips added", Unit: "1", Rival: "InsertTx", Limit: figures.Limit{AtMost: 1}},
		trips[1]-trips[0], trips[2]-trips[0], "")
	b.say("an idle worker")
	i, err := b.idleFor(ctx, b.sizes.idle)
	if err != nil {
		return err
	}
	b.note(figures.Figure{ID: "idle_cpu", What: "idle worker, % of a core", Unit: "%", Limit: figures.Limit{AtMost: 1}}, i.cpu)
	b.note(figures.Figure{ID: "idle_queries", What: "idle worker, queries/s", Unit: "1/s", Limit: figures.Limit{AtMost: 30}}, i.queries)
	return b.backlogs(ctx)
}

// backlogs are figures of a long queue.
func (b *bench) backlogs(ctx context.Context) error {
	if b.sizes.backlog == 0 {
		return nil
	}
	const few, rounds = 10_000, 3
	b.say("%d waiting", b.sizes.backlog)
	many, err := b.drainPart(ctx, workload.Shop{Name: "backlog", Orders: b.sizes.backlog}, b.sizes.backlog, few*rounds*2)
	if err != nil {
		return err
	}
	f := figures.Figure{ID: "backlog", What: "drain, 1 M waiting ÷ 10 k", Unit: "bundles/s", Rival: "10 k waiting", Limit: figures.Limit{AtLeast: 0.9, OfRatio: true}}
	for range rounds {
		part, err := b.drainPart(ctx, workload.Shop{Name: "few", Orders: few}, few, few)
		if err != nil {
			return err
		}
		b.compare(f, many.rate, part.rate, "")
	}
	b.note(figures.Figure{ID: "memory", What: "worker memory, 1 M waiting, MiB", Unit: "MiB", Limit: figures.Limit{AtMost: 150}}, many.memory)
	return nil
}
