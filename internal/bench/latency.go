//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// steadyRate is bundles a second, one a transaction.
const steadyRate = 200

// commitTimes is filled by several goroutines.
type commitTimes struct {
	mu sync.Mutex
	at map[string]time.Time // by action key
}

// lag is the time from a commit to the arrival of its event, in ms.
type lag struct {
	p50, p99 float64
	waiting  int // jobs when the last of them was committed
}

// steady commits orders at a steady rate for a while, beside a number of others that were imported before, and asks the
// endpoint when their events came. One machine, one clock.
func (h *house) steady(ctx context.Context, p producer, d time.Duration, imported int) (l lag, err error) {
	if err := h.fresh(ctx); err != nil {
		return l, err
	}
	const conns = 4
	pool, err := p.pool(ctx, conns, nil)
	if err != nil {
		return l, err
	}
	defer pool.Close()
	if err := h.loadBulk(ctx, workload.Shop{Name: "import", Orders: imported}, 0, imported); err != nil {
		return l, err
	}
	worker, err := launch(ctx, 1, h.startWorker)
	if err != nil {
		return l, err
	}
	defer worker.kill()

	times := commitTimes{at: map[string]time.Time{}}
	shop := workload.Shop{Name: "steady", Orders: int(d.Seconds() * steadyRate)}
	ticker := time.NewTicker(time.Second / steadyRate)
	defer ticker.Stop()
	group, committing := errgroup.WithContext(ctx)
	group.SetLimit(conns)
	for i := 0; i < shop.Orders && committing.Err() == nil; i++ {
		<-ticker.C
		group.Go(func() error {
			o := shop.Order(i)
			if err := p.transaction(committing, pool, o); err != nil {
				return err
			}
			now := time.Now()
			times.mu.Lock()
			defer times.mu.Unlock()
			times.at[o.Key] = now
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return l, err
	}
	if err := h.ours.pool.QueryRow(ctx, query("waiting"), imported).Scan(&l.waiting); err != nil {
		return l, err
	}
	if _, err := h.ours.awaitDrained(ctx, worker); err != nil {
		return l, err
	}
	lags, err := h.lags(ctx, times.at)
	if err != nil {
		return l, err
	}
	if len(lags) != shop.Orders {
		return l, fmt.Errorf("%d of %d events arrived", len(lags), shop.Orders)
	}
	if _, err := worker.stop(); err != nil {
		return l, err
	}
	l.p50, l.p99 = figures.Percentile(lags, 50), figures.Percentile(lags, 99)
	return l, nil
}

// lags are sorted, in ms.
func (h *house) lags(ctx context.Context, committed map[string]time.Time) ([]float64, error) {
	arrivals, err := h.endpoint.Arrivals(ctx)
	if err != nil {
		return nil, err
	}
	var lags []float64
	for _, a := range arrivals {
		// <install>:<action key>:<part>
		key, track := strings.CutSuffix(a.InsertID, ":track")
		_, key, _ = strings.Cut(key, ":")
		if at, known := committed[key]; known && track {
			lags = append(lags, a.At.Sub(at).Seconds()*1000)
		}
	}
	slices.Sort(lags)
	return lags, nil
}

// latencies are the lag of a steady trickle, alone and beside an import.
func (b *bench) latencies(ctx context.Context, _ int) error {
	_, ours, _, _, err := b.producers()
	if err != nil {
		return err
	}
	l, err := b.steady(ctx, ours, b.sizes.steady, 0)
	if err != nil {
		return err
	}
	part := figures.Columns{Title: "Commit to request, 200/s", Ours: "waybill"}
	b.note(figures.Figure{ID: "lag_p50", Part: part, What: "p50, ms", Unit: "ms", Limit: atMost(80)}, l.p50)
	b.note(figures.Figure{ID: "lag_p99", Part: part, What: "p99, ms", Unit: "ms", Limit: atMost(250)}, l.p99)
	if b.sizes.beside == 0 {
		return nil
	}
	const besides = 5 * time.Second
	if l, err = b.steady(ctx, ours, besides, b.sizes.beside); err != nil {
		return err
	}
	p50 := figures.Figure{ID: "lag_import_p50", Part: part, What: "beside an import, p50, ms", Unit: "ms"}
	p99 := figures.Figure{ID: "lag_import_p99", Part: part, What: "beside an import, p99, ms", Unit: "ms"}
	if l.waiting < b.sizes.beside/perCall/20 {
		b.absent(p50, "the import was over too soon")
		b.absent(p99, "the import was over too soon")
		return nil
	}
	b.note(p50, l.p50)
	b.note(p99, l.p99)
	return nil
}

// How long nothing has come when a worker is looked at. Ours asks for jobs less often twice, and then as seldom as ever.
const (
	calm  = time.Minute
	quiet = 2*time.Minute + 5*time.Second
)

// idles are what a worker takes that has nothing to do, beside a client of River's as it comes: most of both is
// waking up. Both are there at the same time.
func (b *bench) idles(ctx context.Context, _ int) (err error) {
	if err := b.fresh(ctx); err != nil {
		return err
	}
	pair := []*idler{{side: b.ours, start: b.startWorker}, {side: b.stock, start: b.startStockAsItComes}}
	for _, one := range pair {
		if err := b.countStatements(ctx, one.side, true); err != nil {
			return err
		}
		defer b.countStatements(ctx, one.side, false) //nolint:errcheck // the database is dropped anyway
		if one.worker, err = one.start(ctx); err != nil {
			return err
		}
		defer one.worker.kill()
	}
	part := figures.Columns{Title: "An idle worker", Ours: "waybill", Against: "river"}
	begun := time.Now()
	if err := pause(ctx, calm); err != nil {
		return err
	}
	taken, err := b.watch(ctx, pair)
	if err != nil {
		return err
	}
	soon := figures.Figure{ID: "idle_soon_cpu", Part: part, What: "a minute after the last job, %", Unit: "%", Apart: true}
	b.compare(soon, taken[0].cpu, taken[1].cpu, "")
	if err := pause(ctx, time.Until(begun.Add(quiet))); err != nil {
		return err
	}
	if taken, err = b.watch(ctx, pair); err != nil {
		return err
	}
	b.compare(figures.Figure{ID: "idle_cpu", Part: part, What: "% of a core", Unit: "%", Apart: true, Limit: atMost(1)}, taken[0].cpu, taken[1].cpu, "")
	b.compare(figures.Figure{ID: "idle_queries", Part: part, What: "queries/s", Unit: "1/s", Apart: true, Limit: atMost(30)}, taken[0].queries, taken[1].queries, "")
	for _, one := range pair {
		if _, err := one.worker.stop(); err != nil {
			return err
		}
	}
	return nil
}

// idler is one side's worker with nothing to do.
type idler struct {
	side   *side
	start  starter
	worker *process
}

// idle is what a worker with nothing to do takes.
type idle struct {
	cpu     float64 // percent of a core; 0 if the system does not tell
	queries float64 // a second
}

// watch measures what workers take in the same while.
func (b *bench) watch(ctx context.Context, all []*idler) (taken []idle, err error) {
	look := func() (found []idle, err error) {
		for _, one := range all {
			cpu, _ := processCPU(one.worker.pid)
			var statements int64
			if err := one.side.pool.QueryRow(ctx, query("statements")).Scan(&statements); err != nil {
				return nil, err
			}
			found = append(found, idle{cpu.Seconds() * 100, float64(statements)})
		}
		return found, nil
	}
	begun := time.Now()
	before, err := look()
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, b.sizes.idle); err != nil {
		return nil, err
	}
	after, err := look()
	if err != nil {
		return nil, err
	}
	took := time.Since(begun).Seconds()
	for i := range all {
		taken = append(taken, idle{(after[i].cpu - before[i].cpu) / took, (after[i].queries - before[i].queries) / took})
	}
	return taken, nil
}

// countStatements switches pg_stat_statements for the connections to come to a side.
func (h *house) countStatements(ctx context.Context, s *side, on bool) error {
	alter := "ALTER DATABASE " + pgx.Identifier{s.name}.Sanitize()
	if !on {
		_, err := h.control.Exec(ctx, alter+" RESET pg_stat_statements.track")
		return err
	}
	if _, err := h.control.Exec(ctx, alter+" SET pg_stat_statements.track = 'all'"); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, `SELECT pg_stat_statements_reset()`)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
