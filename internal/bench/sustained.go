//go:build unix

package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"waybill/internal/bench/endpoint"
	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// load is enqueuing and draining at the same time.
type load struct {
	producer producer
	start    starter
	conns    int
	lasts    time.Duration
	rate     float64 // actions a second, 0 for as many as are drained
	// watch, if there is one, is called about twice a second.
	watch func(ctx context.Context, elapsed time.Duration) error
}

// sustained is how a load went.
type sustained struct {
	n           int
	took        time.Duration // from the first call to the last completion
	wal         int64
	first, last float64 // actions finished a second, in the first and the last third
	worker      usage
	work        work
	arrived     endpoint.Counts
}

func (s sustained) rate() float64 { return float64(s.n) / s.took.Seconds() }

// waitingAtMost is how many actions may wait before producers pause: enough for full batches, too few to become a
// measurement of the backlog.
const waitingAtMost = 20_000

// carry enqueues for a while, as fast as a worker drains or at a rate, waits for the rest, and counts.
func (h *house) carry(ctx context.Context, l load) (s sustained, err error) {
	side := l.producer.side
	if err := h.fresh(ctx); err != nil {
		return s, err
	}
	pool, err := l.producer.pool(ctx, l.conns, nil)
	if err != nil {
		return s, err
	}
	defer pool.Close()
	worker, err := launch(ctx, 1, l.start)
	if err != nil {
		return s, err
	}
	defer worker.kill()
	var enqueued atomic.Int64
	var curve []sample
	begin := time.Now()
	s.wal, err = h.walOf(ctx, func() (err error) {
		if curve, err = h.produce(ctx, l, pool, begin, &enqueued); err != nil {
			return err
		}
		_, err = side.awaitDrained(ctx, worker)
		return err
	})
	if err != nil {
		return s, err
	}
	s.n, s.took = int(enqueued.Load()), time.Since(begin)
	s.first, s.last = thirds(curve)
	if s.worker, err = worker.stop(); err != nil {
		return s, err
	}
	if s.work, err = side.work(ctx); err != nil {
		return s, err
	}
	s.arrived, err = h.endpoint.Counts(ctx)
	return s, err
}

// produce keeps enqueuing until the load's time is over.
func (h *house) produce(ctx context.Context, l load, pool *pgxpool.Pool, begin time.Time, enqueued *atomic.Int64) (curve []sample, err error) {
	var next atomic.Int64
	var full atomic.Bool
	shop, per := workload.Shop{Name: "sustained", Orders: 100_000}, l.producer.perCall()
	group, ctx := errgroup.WithContext(ctx)
	for range l.conns {
		group.Go(func() error {
			for time.Since(begin) < l.lasts {
				if full.Load() {
					if err := pause(ctx, 20*time.Millisecond); err != nil {
						return err
					}
					continue
				}
				from := int(next.Add(int64(per))) - per
				if l.rate > 0 {
					due := begin.Add(time.Duration(float64(from) / l.rate * float64(time.Second)))
					if err := pause(ctx, time.Until(due)); err != nil {
						return err
					}
				}
				if err := l.producer.call(ctx, pool, shop, from, per); err != nil {
					return err
				}
				enqueued.Add(int64(per))
			}
			return nil
		})
	}
	group.Go(func() (err error) {
		curve, err = h.observe(ctx, l, begin, enqueued, &full)
		return err
	})
	err = group.Wait()
	return curve, err
}

// sample is how much was finished when.
type sample struct {
	at       time.Duration
	finished int64
}

// observe tells the producers when too much waits, and keeps how much was finished.
func (h *house) observe(ctx context.Context, l load, begin time.Time, enqueued *atomic.Int64, full *atomic.Bool) (curve []sample, err error) {
	per := int64(l.producer.perCall())
	for time.Since(begin) < l.lasts {
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
		before := enqueued.Load()
		var jobs int64
		if err := l.producer.side.pool.QueryRow(ctx, query("waiting"), 2*waitingAtMost).Scan(&jobs); err != nil {
			return nil, err
		}
		full.Store(jobs*per > waitingAtMost)
		curve = append(curve, sample{time.Since(begin), before - jobs*per})
		if l.watch != nil {
			if err := l.watch(ctx, time.Since(begin)); err != nil {
				return nil, err
			}
		}
	}
	return curve, nil
}

// thirds are the rates in the first and the last third of what was seen.
func thirds(curve []sample) (first, last float64) {
	if len(curve) < 4 {
		return 0, 0
	}
	rate := func(from, to sample) float64 {
		return float64(to.finished-from.finished) / (to.at - from.at).Seconds()
	}
	third := len(curve) / 3
	return rate(curve[0], curve[third]), rate(curve[len(curve)-1-third], curve[len(curve)-1])
}

// sustained enqueues and drains at once, one and 100 a call. River does the same for a fifth of the time, with its own
// inserts and its no-ops.
func (b *bench) sustained(ctx context.Context, _ int) error {
	_, one, insertTx, _, err := b.producers()
	if err != nil {
		return err
	}
	hundred, _, fast, err := b.bulkProducers()
	if err != nil {
		return err
	}
	part := figures.Columns{Title: fmt.Sprintf("Enqueued and drained for %v", b.sizes.sustain), Ours: "waybill", Against: "river"}
	for _, way := range []struct {
		id, what     string
		ours, theirs producer
		conns        int
	}{
		{"single", "1 a call", one, insertTx, 4},
		{"bulk", "100 a call", hundred, fast, 2},
	} {
		b.say("  %s", way.what)
		stock, err := b.carry(ctx, load{producer: way.theirs, start: b.startStock, conns: way.conns, lasts: b.sizes.sustain / 5})
		if err != nil {
			return err
		}
		ours, err := b.carry(ctx, load{producer: way.ours, start: b.startWorker, conns: way.conns, lasts: b.sizes.sustain})
		if err != nil {
			return err
		}
		refused := ours.refused()
		if refused == "" {
			refused = stock.unfinished()
		}
		b.compare(figures.Figure{ID: "sustained_" + way.id, Part: part, What: way.what + ", bundles/s", Unit: "bundles/s", Rival: "stock River, no-op jobs", Chart: "enqueue and drain, " + way.what},
			ours.rate(), stock.rate(), refused)
		b.compare(figures.Figure{ID: "sustained_wal_" + way.id, Part: part, What: way.what + ", WAL, KB", Unit: "KB", Rival: "stock River"},
			float64(ours.wal)/float64(ours.n)/1000, float64(stock.wal)/float64(stock.n)/1000, refused)
		b.note(figures.Figure{ID: "sustained_drift_" + way.id, Part: part, What: way.what + ", last third ÷ first", Unit: "1"}, ours.last/ours.first)
		b.noteMemory(figures.Figure{ID: "sustained_memory_" + way.id, Part: part, What: way.what + ", worker memory, MiB"}, ours.worker.maxBytes)
	}
	return nil
}

// unfinished says what was not done, "" if all was.
func (s sustained) unfinished() string {
	if s.work.actions != s.n || s.work.done != s.n || s.work.completed != s.work.jobs {
		return fmt.Sprintf("%d of %d done, %d of %d jobs completed", s.work.done, s.n, s.work.completed, s.work.jobs)
	}
	return ""
}

// refused says why a load of ours does not count.
func (s sustained) refused() string {
	if why := s.unfinished(); why != "" {
		return why
	}
	return drained{n: s.n, work: s.work, arrived: s.arrived}.delivered()
}
