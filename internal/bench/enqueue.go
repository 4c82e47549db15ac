//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"golang.org/x/sync/errgroup"

	"waybill"
	"waybill/internal/bench/figures"
	"waybill/internal/bench/workload"
)

// producer records an order's event in its transaction, in one of the ways that are compared.
type producer struct {
	name string
	side *side
	put  func(ctx context.Context, tx pgx.Tx, o workload.Order) error
}

// producers are: nothing beside the business row, package waybill, and River's client without and with a unique key,
// which still promises less: a finished job that was cleaned away does not hold its key.
func (h *house) producers() (business, ours, insertTx, unique producer, err error) {
	client, err := waybill.New(waybill.Config{})
	if err != nil {
		return business, ours, insertTx, unique, err
	}
	stock, err := river.NewClient(riverpgxv5.New(h.stock.pool), &river.Config{})
	if err != nil {
		return business, ours, insertTx, unique, err
	}
	business = producer{"business row alone", h.ours, func(context.Context, pgx.Tx, workload.Order) error { return nil }}
	ours = producer{"waybill.Track", h.ours, func(ctx context.Context, tx pgx.Tx, o workload.Order) error {
		_, err := client.Track(ctx, tx, actor(o), event(o))
		return err
	}}
	insert := func(opts *river.InsertOpts) func(context.Context, pgx.Tx, workload.Order) error {
		return func(ctx context.Context, tx pgx.Tx, o workload.Order) error {
			_, err := stock.InsertTx(ctx, tx, stockArgs(o.Bundle()), opts)
			return err
		}
	}
	insertTx = producer{"InsertTx", h.stock, insert(nil)}
	unique = producer{"InsertTx, unique", h.stock, insert(&river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}})}
	return business, ours, insertTx, unique, nil
}

func actor(o workload.Order) waybill.Actor {
	traits := make([]waybill.Trait, 0, 2)
	for name, value := range o.Traits() {
		traits = append(traits, waybill.Set(name, value))
	}
	return waybill.User(o.User).With(traits...).
		In(waybill.Account(o.Account, waybill.Set("name", o.AccountName())), waybill.Workspace(o.Workspace, waybill.Set("name", o.WorkspaceName()))).
		Via(waybill.Context{Platform: "web", AppVersion: "4.2.0", Language: "de"})
}

func event(o workload.Order) waybill.Event {
	return waybill.Event{Name: workload.EventName, Version: workload.Version, Key: o.Key, Properties: o.Properties()}
}

// transaction is one business transaction: a row of the business, and its event.
func (p producer) transaction(ctx context.Context, pool *pgxpool.Pool, o workload.Order) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, query("order"), o.User, o.Cents); err != nil {
			return err
		}
		return p.put(ctx, tx, o)
	})
}

// pool has so many connections, each with its statements prepared by some first transactions.
func (p producer) pool(ctx context.Context, conns int, trips *atomic.Int64) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(p.side.url)
	if err != nil {
		return nil, err
	}
	config.MinConns, config.MaxConns = int32(conns), int32(conns)
	if trips != nil {
		config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return countedConn{conn, trips}, err
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	const first = 10
	shop := workload.Shop{Name: "warm", Orders: conns * first}
	group, warming := errgroup.WithContext(ctx)
	for c := range conns {
		group.Go(func() error {
			for i := range first {
				if err := p.transaction(warming, pool, shop.Order(c*first+i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, p.side.clear(ctx)
}

// committed is what a producer achieved.
type committed struct {
	n           int
	took        time.Duration
	postgresCPU time.Duration
	clientCPU   time.Duration // of this process
	work        work
}

func (c committed) rate() float64 { return float64(c.n) / c.took.Seconds() }

// asBusyAs says why two producers cannot be compared, "" if they can. One commits more than the other, so each action
// has to be as large as the other's.
func (c committed) asBusyAs(other committed) string {
	for _, side := range []committed{c, other} {
		if side.work.actions != side.n || side.work.orders != side.n {
			return fmt.Sprintf("%d commits made %d orders and %d actions", side.n, side.work.orders, side.work.actions)
		}
	}
	mine, theirs := float64(c.work.bytes)/float64(c.n), float64(other.work.bytes)/float64(other.n)
	if mine < theirs*0.99 || mine > theirs*1.01 {
		return fmt.Sprintf("%.0f bytes a payload against %.0f", mine, theirs)
	}
	return ""
}

// commit makes business transactions on so many connections for a while.
func (h *house) commit(ctx context.Context, p producer, conns int, d time.Duration) (c committed, err error) {
	if err := h.fresh(ctx, p.side); err != nil {
		return c, err
	}
	pool, err := p.pool(ctx, conns, nil)
	if err != nil {
		return c, err
	}
	defer pool.Close()
	shop := workload.Shop{Name: "enqueue", Orders: 10_000}
	var next, done atomic.Int64
	postgres, _ := familyCPU(h.server.PID())
	client, _ := processCPU(os.Getpid())
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range conns {
		group.Go(func() error {
			for time.Since(begin) < d {
				if err := p.transaction(ctx, pool, shop.Order(int(next.Add(1)))); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err = group.Wait()
	c.n, c.took = int(done.Load()), time.Since(begin)
	postgresThen, _ := familyCPU(h.server.PID())
	clientThen, _ := processCPU(os.Getpid())
	c.postgresCPU, c.clientCPU = postgresThen-postgres, clientThen-client
	if err != nil {
		return c, err
	}
	c.work, err = p.side.work(context.WithoutCancel(ctx))
	return c, err
}

// added is what a producer adds to a business transaction on a database that does nothing else.
type added struct{ p50, p99 float64 } // ms

// compareCommits makes n business transactions without and with the event, in turn, on one connection each.
func (h *house) compareCommits(ctx context.Context, without, with producer, n int) (a added, err error) {
	var took [2][]float64
	var pools [2]*pgxpool.Pool
	both := [2]producer{without, with}
	for i, p := range both {
		if err := h.fresh(ctx, p.side); err != nil {
			return a, err
		}
		if pools[i], err = p.pool(ctx, 1, nil); err != nil {
			return a, err
		}
		defer pools[i].Close()
	}
	shop := workload.Shop{Name: "added", Orders: n}
	for i := range n {
		for side, p := range both {
			begin := time.Now()
			if err := p.transaction(ctx, pools[side], shop.Order(i)); err != nil {
				return a, err
			}
			took[side] = append(took[side], time.Since(begin).Seconds()*1000)
		}
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	at := func(percent float64) float64 {
		return figures.Percentile(took[1], percent) - figures.Percentile(took[0], percent)
	}
	return added{at(50), at(99)}, nil
}

// roundTrips is how often a business transaction with this producer speaks to the server.
func (h *house) roundTrips(ctx context.Context, p producer) (float64, error) {
	var trips atomic.Int64
	pool, err := p.pool(ctx, 1, &trips)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	const n = 50
	shop := workload.Shop{Name: "trips", Orders: n}
	before := trips.Load()
	for i := range n {
		if err := p.transaction(ctx, pool, shop.Order(i)); err != nil {
			return 0, err
		}
	}
	return float64(trips.Load()-before) / n, nil
}

// countedConn counts what is written at once: pgx collects what it sends until it has to wait for an answer.
type countedConn struct {
	net.Conn
	trips *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	c.trips.Add(1)
	return c.Conn.Write(b)
}
