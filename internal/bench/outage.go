//go:build unix

package main

import (
	"context"
	"errors"
	"time"

	"waybill/internal/bench/endpoint"
	"waybill/internal/bench/figures"
)

// outage is what it costs when Amplitude is away, and how it ends.
type outage struct {
	wal    float64 // KB a second
	memory int64   // bytes resident at most
	until  float64 // s from its return to the first outcome
	before float64 // bundles a second
	after  float64
}

// outages let the endpoint turn everything away for a while in the middle of a drain.
func (b *bench) outages(ctx context.Context, _ int) error {
	o, err := b.outageOf(ctx, b.ordinary(b.loadSingle), b.sizes.outage)
	if err != nil {
		return err
	}
	part := figures.Columns{Title: "An outage of " + b.sizes.outage.String(), Ours: "waybill", Against: "before"}
	b.compare(figures.Figure{ID: "outage_after", Part: part, What: "drain when it is over, bundles/s", Unit: "bundles/s", Rival: "before"}, o.after, o.before, "")
	b.note(figures.Figure{ID: "outage_until", Part: part, What: "to the first outcome after it, s", Unit: "s"}, o.until)
	b.note(figures.Figure{ID: "outage_wal", Part: part, What: "WAL meanwhile, KB/s", Unit: "KB/s"}, o.wal)
	b.noteMemory(figures.Figure{ID: "outage_memory", Part: part, What: "worker memory, MiB"}, o.memory)
	return nil
}

func (h *house) outageOf(ctx context.Context, t trial, d time.Duration) (o outage, err error) {
	if err := errors.Join(h.fresh(ctx), t.load(ctx, t.shop, 0, t.n), h.settle(ctx, h.ours)); err != nil {
		return o, err
	}
	worker, err := launch(ctx, 1, h.startWorker)
	if err != nil {
		return o, err
	}
	defer worker.kill()
	if err := h.awaitRecorded(ctx, worker, 0, t.n/2); err != nil {
		return o, err
	}
	var back time.Time
	if err := h.behaving(ctx, endpoint.Behaviour{Latency: endpointLatency, Down: true}, func() error {
		if err := h.ours.pool.QueryRow(ctx, query("recorded_rate"), t.n/2).Scan(&o.before); err != nil {
			return err
		}
		if err := h.meanwhile(ctx, d, &o); err != nil {
			return err
		}
		return h.ours.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&back)
	}); err != nil {
		return o, err
	}
	if _, err := h.ours.awaitDrained(ctx, worker); err != nil {
		return o, err
	}
	took, err := worker.stop()
	if err != nil {
		return o, err
	}
	o.memory = took.maxBytes
	return o, h.ours.pool.QueryRow(ctx, query("recorded_since"), back).Scan(&o.until, &o.after)
}

// meanwhile measures what is written during the outage, once what was under way has ended.
func (h *house) meanwhile(ctx context.Context, d time.Duration, o *outage) error {
	settling := min(3*time.Second, d/2)
	if err := pause(ctx, settling); err != nil {
		return err
	}
	wal, err := h.walOf(ctx, func() error { return pause(ctx, d-settling) })
	o.wal = float64(wal) / 1000 / (d - settling).Seconds()
	return err
}
