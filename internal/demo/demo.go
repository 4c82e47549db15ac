//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// The course of the demo.
const (
	killAt       = 0.4 // of the orders
	replaceAfter = time.Second
	tick         = 200 * time.Millisecond
	drainTimeout = 60 * time.Second // after the shop has closed
)

// demo is one showing.
type demo struct {
	*stack
	*screen
	orders int

	kill     kill
	killedAt time.Time
	replaced bool
}

// show runs the whole thing and says whether everything balances.
func (d *demo) show(ctx context.Context, databaseURL string) (ok bool, err error) {
	if err := d.prepare(ctx, databaseURL); err != nil {
		return false, err
	}
	if err := d.openShop(d.orders); err != nil {
		return false, err
	}
	d.step("the shop is open: %s orders", thousands(d.orders))
	if err := d.watch(ctx); err != nil {
		return false, err
	}
	shop, err := d.takings(ctx)
	if err != nil {
		return false, err
	}
	e, err := d.collect(ctx, shop)
	if err != nil {
		return false, err
	}
	e.Held, e.Rescue = len(d.kill.held), d.kill.rescue
	rows := balance(e)
	d.print("\n" + table(rows))
	return balanced(rows), nil
}

// prepare starts everything but the shop.
func (d *demo) prepare(ctx context.Context, databaseURL string) error {
	d.step("building worker, fakeamplitude and shop")
	if err := build(ctx, d.bin, d.logs); err != nil {
		return err
	}
	if err := d.startPostgres(ctx, databaseURL); err != nil {
		return err
	}
	d.step("Postgres on %s (%s)", d.postgres.admin.Host, d.postgres.server.Source())
	if err := d.migrate(ctx); err != nil {
		return err
	}
	d.step("worker migrate; logins for shop, worker and operator")
	if err := d.startFake(ctx); err != nil {
		return err
	}
	d.step("fake Amplitude on %s, not always well", d.fake.url)
	for _, name := range []string{"worker-1", "worker-2"} {
		w, err := d.startWorker(ctx, name)
		if err != nil {
			return err
		}
		d.step("%s on %s", name, w.url)
	}
	return nil
}

// watch follows the queue, does what the time has come for, and returns when the shop
// has closed and everything is delivered, or when that takes too long.
func (d *demo) watch(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var closed time.Time
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		if err := d.fault(d.kill.worker); err != nil {
			return err
		}
		now, err := d.ledger.sample(ctx)
		if err != nil {
			return err
		}
		d.live(time.Now(), now)
		if err := d.act(ctx, now); err != nil {
			return err
		}
		if closed.IsZero() && !d.shop.running() {
			closed = time.Now()
			d.step("the shop has closed")
		}
		quiet := now.Waiting == 0 && now.Unfinished == 0 && d.kill.done()
		if !closed.IsZero() && (quiet || time.Since(closed) > drainTimeout) {
			return nil
		}
	}
}

// act kills a worker, replaces it, and follows what it held to its delivery.
func (d *demo) act(ctx context.Context, now sample) error {
	switch {
	case d.kill.worker == nil:
		if float64(now.Orders) < killAt*float64(d.orders) {
			return nil
		}
		if err := d.kill.strike(ctx, d.ledger, d.workers...); err != nil {
			return err
		}
		d.killedAt = time.Now()
		d.step("SIGKILL for %s, which held %d bundles", d.kill.worker.name, len(d.kill.held))
	case !d.replaced && time.Since(d.killedAt) >= replaceAfter:
		w, err := d.startWorker(ctx, "worker-3")
		if err != nil {
			return err
		}
		d.replaced = true
		d.step("%s on %s takes its place", w.name, w.url)
	case !d.kill.done():
		var err error
		if d.kill.rescue, err = d.ledger.rescued(ctx, d.kill.held, d.kill.at); err != nil {
			return err
		}
		if d.kill.done() {
			d.step("all %d of them are delivered, %.1f s after the kill", len(d.kill.held), d.kill.rescue.Seconds)
		}
	}
	return nil
}

// takings are what the shop says it has sold.
func (d *demo) takings(ctx context.Context) (s summary, err error) {
	printed, err := d.shop.wait(ctx)
	if err != nil {
		return summary{}, err
	}
	if err := json.Unmarshal(printed, &s); err != nil {
		return summary{}, fmt.Errorf("read the shop's summary: %w", err)
	}
	if d.kill.worker == nil {
		return summary{}, errors.New("the shop has closed before a worker could be killed")
	}
	return s, nil
}

// lookAround says what there is to see while everything still runs.
func (d *demo) lookAround() {
	d.print("Everything is still running. In another terminal:\n")
	d.print("  export DATABASE_URL=" + d.postgres.forPeople())
	d.print("  psql $DATABASE_URL -c 'SELECT * FROM waybill.job LIMIT 5'")
	d.print("  " + filepath.Join(d.bin, "worker") + " status")
	for _, w := range d.workers {
		if w.running() {
			d.print("  curl " + w.url + "/metrics")
		}
	}
	d.print("  curl " + d.fake.url + "/_fake/stats")
	d.print("  tail -f " + filepath.Join(d.logs, "worker-2.log"))
	d.print("\nCtrl-C stops it all.")
}
