//go:build unix

package scenario

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/checker"
	"waybill/migrations"
)

// invoice is a job of an application that has nothing to do with Waybill.
type invoice struct{}

// Kind implements river.JobArgs.
func (invoice) Kind() string { return "invoice" }

type invoicing struct{ river.WorkerDefaults[invoice] }

// Work implements river.Worker.
func (invoicing) Work(context.Context, *river.Job[invoice]) error { return nil }

// newForeign is such an application's River client, in a schema.
func newForeign(pool *pgxpool.Pool, schema string, adapt func(*river.Config)) (*river.Client[pgx.Tx], error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &invoicing{})
	config := &river.Config{
		ID: "foreign-" + schema, Schema: schema, PollOnly: true, Workers: workers,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 5}},
		Logger: slog.New(slog.DiscardHandler),
	}
	adapt(config)
	return river.NewClient(riverpgxv5.New(pool), config)
}

// neighbour is an application that uses River in schema public of the same database,
// for a whole run. One goroutine of ours belongs to it and ends with stop.
type neighbour struct {
	pool     *pgxpool.Pool
	client   *river.Client[pgx.Tx]
	inserted atomic.Int64 // confirmed
	cancel   context.CancelFunc
	ended    chan struct{}
}

const betweenInvoices = 50 * time.Millisecond

func openNeighbour(ctx context.Context, url string) (_ *neighbour, err error) {
	n := &neighbour{ended: make(chan struct{})}
	if n.pool, err = pgxpool.New(ctx, url); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.pool.Close()
		}
	}()
	migrator, err := rivermigrate.New(riverpgxv5.New(n.pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	if n.client, err = newForeign(n.pool, "public", func(*river.Config) {}); err != nil {
		return nil, err
	}
	if err := n.client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go n.insert(ctx)
	return n, nil
}

func (n *neighbour) insert(ctx context.Context) {
	defer close(n.ended)
	for wait(ctx, betweenInvoices) {
		if _, err := n.client.Insert(ctx, invoice{}, nil); err == nil {
			n.inserted.Add(1)
		}
	}
}

// end stops the application and says what became of its jobs.
func (n *neighbour) end(ctx context.Context) (checker.Neighbour, error) {
	n.cancel()
	<-n.ended
	const patience = 10 * time.Second
	stopping, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := n.client.StopAndCancel(stopping); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return checker.Neighbour{}, err
	}
	defer n.pool.Close()
	found := checker.Neighbour{Inserted: int(n.inserted.Load())}
	return found, patiently(ctx, func(ctx context.Context) error {
		return n.pool.QueryRow(ctx, neighbourSQL).Scan(&found.Left, &found.Worked, &found.GivenUp)
	})
}

// usurp lets a River application that was given the wrong schema lead there. It takes
// jobs that run for longer than a second for stuck, knows nobody who could work them, and
// discards them. Amplitude is away, so that they do, and then all workers are killed, so
// that nobody remembers their bundles. By its own clock nothing is stuck while the
// database's is ahead.
func (v *villain) usurp(ctx context.Context, lasts time.Duration) error {
	h := v.house
	if h.clock.ahead() > 0 {
		return unavailable{"a database clock that is not ahead of its own"}
	}
	h.sink.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.Unavailable}})
	defer h.sink.Heal()
	wait(ctx, lasts/2)
	const stuck = time.Second
	client, err := newForeign(h.referee.pool, migrations.Schema, func(c *river.Config) {
		c.JobTimeout, c.RescueStuckJobsAfter = stuck, stuck
	})
	if err != nil {
		return err
	}
	discarded, err := h.referee.discarded(ctx)
	if err != nil {
		return err
	}
	if err := h.referee.seat(ctx, client.ID()); err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	const patience = 20 * time.Second
	now := discarded
	for until := time.Now().Add(patience); now == discarded && time.Now().Before(until); {
		if !wait(ctx, 100*time.Millisecond) {
			break
		}
		if err = h.referee.seat(ctx, client.ID()); err != nil {
			break
		}
		if now, err = h.referee.discarded(ctx); err != nil {
			break
		}
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := errors.Join(err, client.StopAndCancel(stopping)); err != nil {
		return err
	}
	if now == discarded {
		return unavailable{"a leader's seat, which it was not elected to"}
	}
	h.usurped = true
	return v.killAll(ctx)
}
