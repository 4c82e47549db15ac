//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"

	"github.com/jackc/pgx/v5/pgxpool"

	"waybill/internal/amplitude"
	"waybill/internal/bench/endpoint"
	"waybill/internal/bench/workload"
	"waybill/internal/jobs"
)

// profileDrains drains both ways with a worker that profiles itself, and prints where Postgres spent its time. Nothing
// is compared: profiling costs.
func (b *bench) profileDrains(ctx context.Context, dir string, stdout io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := b.countStatements(ctx, b.ours, true); err != nil {
		return err
	}
	b.ours.pool.Reset()
	for _, way := range []struct {
		name string
		n    int
		load loader
	}{{"single", b.sizes.drain, b.loadSingle}, {"bulk", b.sizes.drain, b.loadBulk}} {
		start := func(ctx context.Context) (*process, error) {
			if err := b.printStatements(ctx, stdout, "enqueue, "+way.name); err != nil {
				return nil, err
			}
			return spawn(b.logs(), "profiled", append(os.Environ(), "BENCH_DATABASE_URL="+b.ours.url),
				b.self, "profiled", b.endpoint.URL, filepath.Join(dir, way.name))
		}
		shop := workload.Shop{Name: "profile", Orders: way.n}
		d, err := b.drain(ctx, b.ours, trial{n: way.n}, start, func(ctx context.Context) error { return way.load(ctx, shop, 0, way.n) })
		if err != nil {
			return err
		}
		if err := b.printStatements(ctx, stdout, "drain, "+way.name); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(stdout, "%.0f bundles/s; a bundle took µs of CPU: Postgres %.0f, worker %.0f, endpoint %.0f\n",
			d.rate(), perAction(d.postgresCPU, d.n), perAction(d.worker.cpu, d.n), perAction(d.sinkCPU, d.n))
	}
	_, err := fmt.Fprintf(stdout, "CPU and heap profiles: %s\n", dir)
	return err
}

// printStatements prints what pg_stat_statements has counted since the last time.
func (b *bench) printStatements(ctx context.Context, stdout io.Writer, title string) error {
	rows, err := b.ours.pool.Query(ctx, query("top"))
	if err != nil {
		return err
	}
	defer rows.Close()
	_, _ = fmt.Fprintf(stdout, "\n%s\n%8s %9s %9s %9s %9s %9s  statement\n", title, "calls", "rows", "ms", "ms each", "WAL KB", "buffers")
	for rows.Next() {
		var calls, count, buffers int64
		var total, mean, wal float64
		var text string
		if err := rows.Scan(&calls, &count, &total, &mean, &wal, &buffers, &text); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(stdout, "%8d %9d %9.0f %9.3f %9.0f %9d  %s\n", calls, count, total, mean, wal/1000, buffers, text)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = b.ours.pool.Exec(ctx, "SELECT pg_stat_statements_reset()")
	return err
}

// runProfiled is a worker that writes its CPU profile from its start to its end, and its heap's at the end.
func runProfiled(ctx context.Context, databaseURL, endpointURL, path string) (err error) {
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
	sender, err := amplitude.New(amplitude.Config{APIKey: "key-of-the-bench", Endpoint: endpoint.Client{URL: endpointURL}.URL, API: amplitude.Batch})
	if err != nil {
		return err
	}
	runner, err := jobs.New(jobs.Config{
		Pool: pool, Sender: sender, Mode: jobs.Deliver, Destination: "bench", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	cpu, err := os.Create(path + ".cpu")
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return errors.Join(err, cpu.Close())
	}
	err = runner.Run(ctx)
	pprof.StopCPUProfile()
	return errors.Join(err, cpu.Close(), writeFile(path+".heap", func(w io.Writer) error { return pprof.Lookup("allocs").WriteTo(w, 0) }))
}
