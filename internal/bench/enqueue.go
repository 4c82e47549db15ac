//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
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

// producer records orders, in one of the ways that are compared.
type producer struct {
	name string
	side *side
	// put records an order's event in its business transaction.
	put func(ctx context.Context, tx pgx.Tx, o workload.Order) error
	// many, instead of put, records orders of which there is no business row.
	many func(ctx context.Context, pool *pgxpool.Pool, orders []workload.Order) error
}

// perCall is how many actions a call carries.
func (p producer) perCall() int {
	if p.many != nil {
		return perCall
	}
	return 1
}

// call makes one transaction, of n orders from the given one on.
func (p producer) call(ctx context.Context, pool *pgxpool.Pool, shop workload.Shop, from, n int) error {
	if p.many == nil {
		return p.transaction(ctx, pool, shop.Order(from))
	}
	return p.many(ctx, pool, shop.OrdersFrom(from, from+n))
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
	business = producer{name: "business row alone", side: h.ours, put: func(context.Context, pgx.Tx, workload.Order) error { return nil }}
	ours = producer{name: "waybill.Track", side: h.ours, put: func(ctx context.Context, tx pgx.Tx, o workload.Order) error {
		_, err := client.Track(ctx, tx, actor(o), event(o))
		return err
	}}
	insert := func(opts *river.InsertOpts) func(context.Context, pgx.Tx, workload.Order) error {
		return func(ctx context.Context, tx pgx.Tx, o workload.Order) error {
			_, err := stock.InsertTx(ctx, tx, stockArgs(o.Bundle()), opts)
			return err
		}
	}
	insertTx = producer{name: "InsertTx", side: h.stock, put: insert(nil)}
	unique = producer{name: "InsertTx, unique", side: h.stock, put: insert(&river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}})}
	return business, ours, insertTx, unique, nil
}

// bulkProducers are calls of 100: waybill.enqueue, and River's InsertManyTx and its faster form without results.
func (h *house) bulkProducers() (ours, many, fast producer, err error) {
	stock, err := river.NewClient(riverpgxv5.New(h.stock.pool), &river.Config{})
	if err != nil {
		return ours, many, fast, err
	}
	params := func(orders []workload.Order) (all []river.InsertManyParams) {
		for _, o := range orders {
			all = append(all, river.InsertManyParams{Args: stockArgs(o.Bundle())})
		}
		return all
	}
	inTx := func(insert func(ctx context.Context, tx pgx.Tx, all []river.InsertManyParams) error) func(context.Context, *pgxpool.Pool, []workload.Order) error {
		return func(ctx context.Context, pool *pgxpool.Pool, orders []workload.Order) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return insert(ctx, tx, params(orders)) })
		}
	}
	ours = producer{name: "waybill.enqueue", side: h.ours, many: enqueueMany}
	many = producer{name: "InsertManyTx", side: h.stock, many: inTx(func(ctx context.Context, tx pgx.Tx, all []river.InsertManyParams) error {
		_, err := stock.InsertManyTx(ctx, tx, all)
		return err
	})}
	fast = producer{name: "InsertManyFastTx", side: h.stock, many: inTx(func(ctx context.Context, tx pgx.Tx, all []river.InsertManyParams) error {
		_, err := stock.InsertManyFastTx(ctx, tx, all)
		return err
	})}
	return ours, many, fast, nil
}

// enqueueMany is one transaction with one call of waybill.enqueue, as River's are one with one call.
func enqueueMany(ctx context.Context, pool *pgxpool.Pool, orders []workload.Order) error {
	return enqueueArray(ctx, pool, array(orders), len(orders))
}

// enqueueArray is enqueueMany of n bundles that are built already.
func enqueueArray(ctx context.Context, pool *pgxpool.Pool, bundles string, n int) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var queued int
		if err := tx.QueryRow(ctx, query("load_bulk"), bundles).Scan(&queued); err != nil {
			return err
		}
		if queued != n {
			return fmt.Errorf("%w: %d of %d", errNotQueued, queued, n)
		}
		return nil
	})
}

// array is the orders' bundles as waybill.enqueue takes them.
func array(orders []workload.Order) string {
	var text strings.Builder
	for i, o := range orders {
		text.WriteByte("[,"[min(i, 1)])
		text.Write(o.JSON())
	}
	text.WriteByte(']')
	return text.String()
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
	shop := workload.Shop{Name: "warm", Orders: conns * first * p.perCall()}
	group, warming := errgroup.WithContext(ctx)
	for c := range conns {
		group.Go(func() error {
			for i := range first {
				if err := p.call(warming, pool, shop, (c*first+i)*p.perCall(), p.perCall()); err != nil {
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
	n           int // actions
	orders      int // business rows that belong to them
	took        time.Duration
	wal         int64 // bytes, of the business rows too
	postgresCPU time.Duration
	clientCPU   time.Duration // of this process
	each        []float64     // ms of every transaction, sorted
	trips       float64       // a transaction
	work        work
}

func (c committed) rate() float64 { return float64(c.n) / c.took.Seconds() }

// kilobytes is the WAL of one action.
func (c committed) kilobytes() float64 { return float64(c.wal) / float64(c.n) / 1000 }

// asBusyAs says why two producers cannot be compared, "" if they can. One commits more than the other, so each action
// has to be as large as the other's.
func (c committed) asBusyAs(other committed) string {
	for _, side := range []committed{c, other} {
		if side.work.actions != side.n || side.work.orders != side.orders {
			return fmt.Sprintf("%d commits made %d orders and %d actions", side.n, side.work.orders, side.work.actions)
		}
	}
	mine, theirs := float64(c.work.bytes)/float64(c.n), float64(other.work.bytes)/float64(other.n)
	if mine < theirs*0.99 || mine > theirs*1.01 {
		return fmt.Sprintf("%.0f bytes a payload against %.0f", mine, theirs)
	}
	return ""
}

// commit makes calls of so many actions on so many connections for a while.
func (h *house) commit(ctx context.Context, p producer, conns int, d time.Duration) (c committed, err error) {
	if err := h.fresh(ctx); err != nil {
		return c, err
	}
	var trips, next atomic.Int64
	pool, err := p.pool(ctx, conns, &trips)
	if err != nil {
		return c, err
	}
	defer pool.Close()
	shop := workload.Shop{Name: "enqueue", Orders: 10_000}
	each := make([][]float64, conns)
	postgres, _ := familyCPU(h.server.PID())
	client, _ := processCPU(os.Getpid())
	tripsBefore := trips.Load()
	c.wal, err = h.walOf(ctx, func() error {
		begin := time.Now()
		group, ctx := errgroup.WithContext(ctx)
		for conn := range conns {
			group.Go(func() error {
				for time.Since(begin) < d {
					began := time.Now()
					if err := p.call(ctx, pool, shop, int(next.Add(int64(p.perCall()))), p.perCall()); err != nil {
						return err
					}
					each[conn] = append(each[conn], time.Since(began).Seconds()*1000)
				}
				return nil
			})
		}
		err := group.Wait()
		c.took = time.Since(begin)
		return err
	})
	postgresThen, _ := familyCPU(h.server.PID())
	clientThen, _ := processCPU(os.Getpid())
	c.postgresCPU, c.clientCPU = postgresThen-postgres, clientThen-client
	if err != nil {
		return c, err
	}
	c.each = slices.Concat(each...)
	slices.Sort(c.each)
	c.n = len(c.each) * p.perCall()
	if p.many == nil {
		c.orders = c.n
	}
	c.trips = float64(trips.Load()-tripsBefore) / float64(len(c.each))
	c.work, err = p.side.work(ctx)
	return c, err
}

// added is what a producer adds to a business transaction on a database that does nothing else: ms, and round trips.
type added struct{ p50, p99, trips float64 }

// compareCommits makes n business transactions without and with the event, in turn, on one connection each.
func (h *house) compareCommits(ctx context.Context, without, with producer, n int) (a added, err error) {
	var took [2][]float64
	var pools [2]*pgxpool.Pool
	var trips [2]atomic.Int64
	var before [2]int64
	both := [2]producer{without, with}
	for i, p := range both {
		if err := h.fresh(ctx); err != nil {
			return a, err
		}
		if pools[i], err = p.pool(ctx, 1, &trips[i]); err != nil {
			return a, err
		}
		defer pools[i].Close()
		before[i] = trips[i].Load()
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
	spoke := func(i int) int64 { return trips[i].Load() - before[i] }
	return added{at(50), at(99), float64(spoke(1)-spoke(0)) / float64(n)}, nil
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
