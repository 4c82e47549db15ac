//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"waybill/internal/bench/workload"
)

// River's own bench settings (https://riverqueue.com/docs/benchmarks and cmd/river/riverbench in its repository).
const (
	stockWorkers  = 2000
	stockCooldown = 2 * time.Millisecond
	stockPoll     = 20 * time.Millisecond
	stockBatch    = 5000
	// stockConns is as many as our worker opens.
	stockConns = 14
)

// stockArgs is the bundle as the arguments of a stock River job.
type stockArgs workload.Bundle

// Kind implements river.JobArgs.
func (stockArgs) Kind() string { return "bundle" }

// stockWorker does nothing.
type stockWorker struct {
	river.WorkerDefaults[stockArgs]
}

// Work implements river.Worker.
func (stockWorker) Work(context.Context, *river.Job[stockArgs]) error { return nil }

// runStock is the other side's worker process: it completes jobs until ctx ends, and asks for them so often.
func runStock(ctx context.Context, databaseURL string, poll time.Duration, stdout io.Writer) error {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return err
	}
	config.MaxConns = stockConns
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	workers := river.NewWorkers()
	river.AddWorker(workers, stockWorker{})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		FetchCooldown: stockCooldown, FetchPollInterval: poll,
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: stockWorkers}},
		Workers: workers,
	})
	if err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, "started"); err != nil {
		return err
	}
	<-ctx.Done()
	return client.Stop(context.WithoutCancel(ctx))
}

// startStock starts the process of runStock.
func (h *house) startStock(ctx context.Context) (*process, error) {
	return h.startStockAt(ctx, stockPoll)
}

// startStockAsItComes starts one that polls as River does by itself: it is told of jobs that come.
func (h *house) startStockAsItComes(ctx context.Context) (*process, error) {
	return h.startStockAt(ctx, river.FetchPollIntervalDefault)
}

func (h *house) startStockAt(ctx context.Context, poll time.Duration) (*process, error) {
	p, err := spawn(h.logs(), "river", append(os.Environ(), "BENCH_DATABASE_URL="+h.stock.url), h.self, "river", "--poll", poll.String())
	if err != nil {
		return nil, err
	}
	_, err = p.firstLine(ctx)
	return p, err
}

// loadStock inserts n orders the way River's bench does, but for the payload.
func (h *house) loadStock(ctx context.Context, shop workload.Shop, n int) error {
	client, err := river.NewClient(riverpgxv5.New(h.stock.pool), &river.Config{})
	if err != nil {
		return err
	}
	for begin := 0; begin < n; begin += stockBatch {
		var batch []river.InsertManyParams
		for i := begin; i < min(begin+stockBatch, n); i++ {
			batch = append(batch, river.InsertManyParams{Args: stockArgs(shop.Order(i).Bundle())})
		}
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}
