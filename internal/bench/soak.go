//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/bench/figures"
)

// soaks let a worker run for long at half of what it can carry, and look at what the tables have become in the middle
// and at the end. Completed jobs that are nearly an hour old are there from the start, so that as many fall due as are
// added: the tables should not grow, but for the ledger, which keeps every bundle.
func (b *bench) soaks(ctx context.Context, _ int) error {
	_, one, _, _, err := b.producers()
	if err != nil {
		return err
	}
	const conns = 4
	capacity, err := b.carry(ctx, load{producer: one, start: b.startWorker, conns: conns, lasts: max(b.sizes.soak/60, 5*time.Second)})
	if err != nil {
		return err
	}
	rate := capacity.rate() / 2
	b.say("  %v at %.0f bundles/s", b.sizes.soak, rate)
	seed := int(rate * b.sizes.soak.Seconds())
	seeded := false
	var middle, end tables
	l := load{producer: one, start: b.startWorker, conns: conns, lasts: b.sizes.soak, rate: rate}
	l.watch = func(ctx context.Context, elapsed time.Duration) (err error) {
		switch {
		case !seeded:
			seeded = true
			_, err = b.ours.pool.Exec(ctx, query("soak_seed"), seed, b.sizes.soak.Seconds())
		case middle == nil && elapsed > b.sizes.soak/2:
			middle, err = b.look(ctx)
		case end == nil && elapsed > b.sizes.soak-time.Second:
			end, err = b.look(ctx)
		}
		return err
	}
	s, err := b.carry(ctx, l)
	if err != nil {
		return err
	}
	if end == nil || middle == nil {
		return fmt.Errorf("%v are too short for two looks", b.sizes.soak)
	}
	b.soaked(s, rate, middle, end)
	return nil
}

// soaked enters what a soak has shown.
func (b *bench) soaked(s sustained, rate float64, middle, end tables) {
	part := figures.Columns{Title: fmt.Sprintf("Soak: %v at %.0f bundles/s", b.sizes.soak, rate), Ours: "end", Against: "middle"}
	refused := s.refused()
	for _, f := range []struct {
		id, what string
		of       func(tables) float64
	}{
		{"river_job_mb", "river_job with indexes, MB", func(t tables) float64 { return t["river_job"].bytes / 1e6 }},
		{"river_job_dead", "river_job, dead rows", func(t tables) float64 { return t["river_job"].dead }},
		{"river_job_due", "completed jobs due to be removed", func(t tables) float64 { return t["river_job"].due }},
		{"profile_mb", "profile with index, MB", func(t tables) float64 { return t["profile"].bytes / 1e6 }},
		{"profile_dead", "profile, dead rows", func(t tables) float64 { return t["profile"].dead }},
		{"small_kb", "request, worker, walk, KB", func(t tables) float64 {
			return (t["request"].bytes + t["worker"].bytes + t["walk"].bytes) / 1e3
		}},
		{"bundle_row", "bundle, bytes a row", func(t tables) float64 { return t["bundle"].bytes / t["bundle"].rows }},
		{"delivery_row", "delivery, bytes a row", func(t tables) float64 { return t["delivery"].bytes / t["delivery"].rows }},
		{"lag_p50", "enqueued to recorded, p50, ms", func(t tables) float64 { return t["delivery"].p50 }},
		{"lag_p99", "enqueued to recorded, p99, ms", func(t tables) float64 { return t["delivery"].p99 }},
	} {
		b.compare(figures.Figure{ID: "soak_" + f.id, Part: part, Apart: true, What: f.what, Rival: "the middle"}, f.of(end), f.of(middle), refused)
	}
	b.note(figures.Figure{ID: "soak_rate", Part: part, What: "bundles/s", Unit: "bundles/s"}, s.rate())
	b.note(figures.Figure{ID: "soak_wal", Part: part, What: "WAL, KB a bundle", Unit: "KB"}, float64(s.wal)/float64(s.n)/1000)
	b.noteMemory(figures.Figure{ID: "soak_memory", Part: part, What: "worker memory, MiB"}, s.worker.maxBytes)
}

// tables are what there is to know about each, by name.
type tables map[string]table

type table struct {
	bytes float64 // with indexes
	rows  float64
	dead  float64
	due   float64 // completed jobs of more than an hour ago, of river_job
	// Of delivery: how long the last 20,000 took from being enqueued to being recorded, in ms.
	p50, p99 float64
}

func (b *bench) look(ctx context.Context) (tables, error) {
	rows, err := b.ours.pool.Query(ctx, query("tables"))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := tables{}
	for rows.Next() {
		var name string
		var t table
		if err := rows.Scan(&name, &t.bytes, &t.rows, &t.dead); err != nil {
			return nil, err
		}
		all[name] = t
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	jobs, delivery := all["river_job"], all["delivery"]
	if err := b.ours.pool.QueryRow(ctx, query("overdue_left")).Scan(&jobs.due); err != nil {
		return nil, err
	}
	if err := b.ours.pool.QueryRow(ctx, query("lags")).Scan(&delivery.p50, &delivery.p99); err != nil {
		return nil, err
	}
	all["river_job"], all["delivery"] = jobs, delivery
	return all, nil
}
