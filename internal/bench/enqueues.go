//go:build unix

package main

import (
	"context"
	"fmt"

	"waybill/internal/bench/figures"
)

// connections are the numbers of connections that business transactions are made on.
var connections = []int{1, 4, budgeted}

// budgeted is the number of connections that has a budget. A few seconds of 16 connections on two cores vary more than
// what is compared, so that they take turns more often.
const budgeted = 16

// on says on how many connections.
func on(conns int) string {
	if conns == 1 {
		return "1 conn"
	}
	return fmt.Sprintf("%d conns", conns)
}

// alternate lets producers commit in turn.
func (b *bench) alternate(ctx context.Context, round, conns int, all ...producer) (got map[string]committed, err error) {
	got = map[string]committed{}
	var steps []func() error
	for _, p := range all {
		steps = append(steps, func() (err error) {
			if got[p.name], err = b.commit(ctx, p, conns, b.sizes.commit); err != nil {
				err = fmt.Errorf("%s on %d connections: %w", p.name, conns, err)
			}
			return err
		})
	}
	return got, inOrder(round, steps...)
}

// enqueues are business transactions, with and without their events.
func (b *bench) enqueues(ctx context.Context, round int) error {
	business, ours, insertTx, unique, err := b.producers()
	if err != nil {
		return err
	}
	for _, conns := range connections {
		turns := 1
		if conns == budgeted {
			turns = b.sizes.turns
		}
		for turn := range turns {
			got, err := b.alternate(ctx, round+turn, conns, ours, insertTx, unique, business)
			if err != nil {
				return err
			}
			b.compareProducers(conns, got[ours.name], got[insertTx.name], got[unique.name], got[business.name])
		}
	}
	return b.added(ctx, business, ours, insertTx)
}

// added is what one event adds to a transaction on a database that does nothing else.
func (b *bench) added(ctx context.Context, business, ours, insertTx producer) error {
	mine, err := b.compareCommits(ctx, business, ours, b.sizes.pairs)
	if err != nil {
		return err
	}
	theirs, err := b.compareCommits(ctx, business, insertTx, b.sizes.pairs)
	if err != nil {
		return err
	}
	part := figures.Columns{Title: "Added to a lone transaction", Ours: "waybill", Against: "river"}
	apart := func(id, what, unit string, limit figures.Limit, mine, theirs float64) {
		b.compare(figures.Figure{ID: id, Part: part, Apart: true, What: what, Unit: unit, Rival: "InsertTx", Limit: limit}, mine, theirs, "")
	}
	apart("added_p50", "p50, ms", "ms", atMost(0.5), mine.p50, theirs.p50)
	apart("added_p99", "p99, ms", "ms", figures.Limit{}, mine.p99, theirs.p99)
	apart("round_trips", "round trips", "1", atMost(1), mine.trips, theirs.trips)
	return nil
}

func (b *bench) compareProducers(conns int, ours, insertTx, unique, business committed) {
	var limits [2]figures.Limit
	if conns == budgeted {
		limits = [2]figures.Limit{atLeast(1), atLeast(1.15)}
	}
	part := figures.Columns{Title: "Business transactions/s", Ours: "waybill", Against: "river"}
	var charts [2]string
	if conns == budgeted {
		charts = [2]string{"enqueue ÷ InsertTx, 16 connections", "enqueue ÷ unique InsertTx, 16 connections"}
	}
	b.compare(figures.Figure{
		ID: fmt.Sprintf("enqueue_%d", conns), Part: part, What: fmt.Sprintf("%s ÷ InsertTx", on(conns)),
		Unit: "1/s", Rival: "InsertTx", Chart: charts[0], Limit: limits[0],
	}, ours.rate(), insertTx.rate(), ours.asBusyAs(insertTx))
	b.compare(figures.Figure{
		ID: fmt.Sprintf("enqueue_unique_%d", conns), Part: part, What: fmt.Sprintf("%s ÷ unique InsertTx", on(conns)),
		Unit: "1/s", Rival: "InsertTx with UniqueOpts", Chart: charts[1], Limit: limits[1],
	}, ours.rate(), unique.rate(), ours.asBusyAs(unique))
	b.note(figures.Figure{ID: fmt.Sprintf("business_%d", conns), Part: part, What: fmt.Sprintf("%s, nothing tracked", on(conns)), Unit: "1/s"}, business.rate())
	for _, percent := range []float64{50, 99} {
		more := func(c committed) float64 {
			return figures.Percentile(c.each, percent) - figures.Percentile(business.each, percent)
		}
		b.compare(figures.Figure{
			ID: fmt.Sprintf("added_%d_p%.0f", conns, percent), Part: part, Apart: true,
			What: fmt.Sprintf("%s, added p%.0f, ms", on(conns), percent), Unit: "ms", Rival: "InsertTx",
		}, more(ours), more(insertTx), "")
	}
	if conns != budgeted {
		return
	}
	b.compare(figures.Figure{ID: "wal_enqueue", Part: part, What: "WAL of a transaction, KB", Unit: "KB", Rival: "InsertTx"}, ours.kilobytes(), insertTx.kilobytes(), "")
	if ours.postgresCPU > 0 {
		b.compare(figures.Figure{ID: "cpu_postgres_enqueue", Part: part, What: "Postgres CPU, µs", Unit: "µs", Rival: "InsertTx"},
			perAction(ours.postgresCPU, ours.n), perAction(insertTx.postgresCPU, insertTx.n), "")
		b.note(figures.Figure{ID: "cpu_postgres_business", Part: part, What: "Postgres CPU, nothing tracked, µs", Unit: "µs"}, perAction(business.postgresCPU, business.n))
		b.compare(figures.Figure{ID: "cpu_client_enqueue", Part: part, What: "client CPU, µs", Unit: "µs", Rival: "InsertTx"},
			perAction(ours.clientCPU, ours.n), perAction(insertTx.clientCPU, insertTx.n), "")
	}
}

// bulks are calls of 100.
func (b *bench) bulks(ctx context.Context, round int) error {
	ours, many, fast, err := b.bulkProducers()
	if err != nil {
		return err
	}
	part := figures.Columns{Title: "Bulk calls of 100, bundles/s", Ours: "waybill", Against: "river"}
	for _, conns := range connections {
		got, err := b.alternate(ctx, round, conns, ours, many, fast)
		if err != nil {
			return err
		}
		mine := got[ours.name]
		for _, rival := range []producer{many, fast} {
			theirs := got[rival.name]
			b.compare(figures.Figure{
				ID: fmt.Sprintf("bulk_%d_%s", conns, rival.name), Part: part, What: fmt.Sprintf("%s ÷ %s", on(conns), rival.name), Unit: "1/s", Rival: rival.name,
			}, mine.rate(), theirs.rate(), mine.asBusyAs(theirs))
		}
		theirs := got[many.name]
		for _, percent := range []float64{50, 99} {
			b.compare(figures.Figure{
				ID: fmt.Sprintf("bulk_%d_p%.0f", conns, percent), Part: part, Apart: true,
				What: fmt.Sprintf("%s, p%.0f of a call, ms", on(conns), percent), Unit: "ms", Rival: many.name,
			}, figures.Percentile(mine.each, percent), figures.Percentile(theirs.each, percent), "")
		}
		if conns == connections[0] {
			b.compare(figures.Figure{ID: "bulk_wal", Part: part, What: "WAL of a bundle, KB", Unit: "KB", Rival: many.name}, mine.kilobytes(), theirs.kilobytes(), "")
			b.compare(figures.Figure{ID: "bulk_trips", Part: part, Apart: true, What: "round trips of a call, with BEGIN", Unit: "1", Rival: many.name}, mine.trips, theirs.trips, "")
		}
	}
	return nil
}
