//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sync/errgroup"

	"waybill/internal/bench/endpoint"
	"waybill/internal/bench/workload"
)

// perCall is how many bundles a bulk call of waybill.enqueue carries.
const perCall = 100

// startWorker starts a worker process and returns when it is ready.
func (h *house) startWorker(ctx context.Context) (*process, error) { return h.startWorkerAt(ctx, "") }

// startWorkerAt starts one that connects through another URL than the server's own.
func (h *house) startWorkerAt(ctx context.Context, databaseURL string) (*process, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	p, err := spawn(h.logs(), "worker", []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"DATABASE_URL=" + cmp.Or(databaseURL, h.ours.url),
		"ANALYTICS_ENV=production",
		"AMPLITUDE_API_KEY=key-of-the-bench",
		"AMPLITUDE_ENDPOINT=" + h.endpoint.URL,
		"ANALYTICS_HTTP_ADDR=" + address,
		"ANALYTICS_LOG_FORMAT=text",
	}, h.worker(), "run")
	if err != nil {
		return nil, err
	}
	return p, p.await(ctx, func(ctx context.Context) bool {
		var alive bool
		return h.ours.pool.QueryRow(ctx, query("alive")).Scan(&alive) == nil && alive && endpoint.Ready(ctx, "http://"+address+"/readyz")
	})
}

var errNotQueued = errors.New("not every bundle was queued")

// loadSingle enqueues orders from..to one a call, as applications do. The calls share transactions, because what a
// commit costs is the application's own.
func (h *house) loadSingle(ctx context.Context, shop workload.Shop, from, to int) error {
	const perTransaction = 500
	return h.load(ctx, from, to, perTransaction, func(ctx context.Context, begin, end int) error {
		texts := make([]string, 0, end-begin)
		for i := begin; i < end; i++ {
			texts = append(texts, string(shop.Order(i).JSON()))
		}
		var queued int
		if err := h.ours.pool.QueryRow(ctx, query("load_single"), texts).Scan(&queued); err != nil {
			return err
		}
		if queued != len(texts) {
			return fmt.Errorf("%w: %d of %d", errNotQueued, queued, len(texts))
		}
		return nil
	})
}

// loadBulk enqueues them 100 a call, each call its own transaction, as backfills do.
func (h *house) loadBulk(ctx context.Context, shop workload.Shop, from, to int) error {
	return h.load(ctx, from, to, perCall, func(ctx context.Context, begin, end int) error {
		return enqueueMany(ctx, h.ours.pool, shop.OrdersFrom(begin, end))
	})
}

// load divides from..to into steps that two connections work on.
func (h *house) load(ctx context.Context, from, to, step int, one func(ctx context.Context, begin, end int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for begin := from; begin < to && ctx.Err() == nil; begin += step {
		group.Go(func() error { return one(ctx, begin, min(begin+step, to)) })
	}
	return group.Wait()
}
