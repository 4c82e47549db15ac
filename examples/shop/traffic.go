package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"example.com/shop/events"
)

// Traffic plays the customers of a shop. What is asked for depends on the seed
// alone; only who comes first is left to chance.
type Traffic struct {
	Shop    *Shop
	Orders  int // to commit
	Workers int // customers at the same time
	Seed    uint64

	summary tally
}

// The town.
const (
	accounts            = 20
	customersPerAccount = 10
	thinkTime           = 40 * time.Millisecond // at most, before an order
	largestOrderCents   = 20000
)

// How often something happens, by the number of the order. Counted instead of drawn,
// so that few orders have a bit of everything.
const (
	everyView       = 3
	everyReview     = 10
	everyTrouble    = 20 // a request that comes to nothing
	everyRetry      = 20 // a request that is sent twice
	everyPlanChange = 30
	everyRename     = 100
)

// Run signs up the customers and commits the orders. An error is a fault of the
// shop: what customers do wrong on purpose is counted in the summary.
func (t *Traffic) Run(ctx context.Context) (Summary, error) {
	if err := t.signUp(ctx); err != nil {
		return Summary{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range t.Workers {
		group.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1))
				if n > t.Orders {
					return
				}
				if err := t.visit(ctx, n); err != nil {
					stop(err)
				}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return Summary{}, context.Cause(ctx)
	}
	return t.summary.close(ctx, t.Shop)
}

func (t *Traffic) signUp(ctx context.Context) error {
	for a := range accounts {
		ids := make([]string, customersPerAccount)
		for c := range ids {
			ids[c] = customerID(a, c)
		}
		added, err := t.Shop.SignUp(ctx, accountID(a), fmt.Sprintf("Account %d", a), ids)
		if err != nil {
			return err
		}
		t.summary.add(func(s *Summary) { s.Events[events.SignupCompletedName] += added })
	}
	return nil
}

func accountID(a int) string     { return fmt.Sprintf("acc_%d", a) }
func customerID(a, c int) string { return fmt.Sprintf("usr_%d", a*customersPerAccount+c) }

// visit is what happens around the nth order.
func (t *Traffic) visit(ctx context.Context, n int) error {
	random := rand.New(rand.NewPCG(t.Seed, uint64(n)))
	if err := think(ctx, time.Duration(random.Int64N(int64(thinkTime)))); err != nil {
		return err
	}
	account := random.IntN(accounts)
	order := Order{
		ID:         fmt.Sprintf("%d-%d", t.Seed, n),
		CustomerID: customerID(account, random.IntN(customersPerAccount)),
		TotalCents: 1 + random.IntN(largestOrderCents),
	}
	steps := []struct {
		every int
		do    func() error
	}{
		{everyView, func() error { return t.view(ctx, order, random) }},
		{everyTrouble, func() error { return t.comeToNothing(ctx, order, n/everyTrouble) }},
		{1, func() error { return t.order(ctx, order, n) }},
		{everyReview, func() error { return t.review(ctx, order, random) }},
		{everyPlanChange, func() error { return t.changePlan(ctx, order, random) }},
		{everyRename, func() error { return t.rename(ctx, account, n) }},
	}
	for _, step := range steps {
		if n%step.every != 0 {
			continue
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

// order places one, and every so often a second time: after the answer was lost, or
// by a double click, both at once.
func (t *Traffic) order(ctx context.Context, o Order, n int) error {
	if n%everyRetry != everyRetry/2 {
		return t.place(ctx, o)
	}
	t.summary.add(func(s *Summary) { s.Retried++ })
	if n/everyRetry%2 == 0 {
		return errors.Join(t.place(ctx, o), t.place(ctx, o))
	}
	var first, second error
	var clicks sync.WaitGroup
	clicks.Go(func() { first = t.place(ctx, o) })
	clicks.Go(func() { second = t.place(ctx, o) })
	clicks.Wait()
	return errors.Join(first, second)
}

func (t *Traffic) place(ctx context.Context, o Order) error {
	isNew, err := t.request(ctx, o, func(context.Context, Order) error { return nil })
	if err != nil {
		return err
	}
	t.summary.add(func(s *Summary) {
		if isNew {
			s.Orders++
			s.Events[events.OrderCompletedName]++
		} else {
			s.Repeated++
		}
	})
	return nil
}

// request is what a server does around a handler: a panic ends the request and not
// the shop.
func (t *Traffic) request(ctx context.Context, o Order, approve Approver) (isNew bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return t.Shop.PlaceOrder(ctx, o, approve)
}

var (
	errDeclined  = errors.New("the card was declined")
	errPanicked  = errors.New("the handler panicked")
	errCommitted = errors.New("it committed")
)

// comeToNothing sends a request whose transaction must leave nothing behind: its
// event was already enqueued when it failed.
func (t *Traffic) comeToNothing(ctx context.Context, o Order, which int) error {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	ways := []struct {
		name    string
		want    error
		approve Approver
	}{
		{"declined", errDeclined, func(context.Context, Order) error { return errDeclined }},
		{"panicked", errPanicked, func(context.Context, Order) error { panic("a bug") }},
		{"hung_up", context.Canceled, func(context.Context, Order) error { hangUp(); return nil }},
	}
	way := ways[which%len(ways)]
	o.ID += "-" + way.name
	key := o.completed(events.InAccount("any")).AsEvent().Key
	if _, err := t.request(ctx, o, way.approve); !errors.Is(err, way.want) {
		return fmt.Errorf("order %s was to fail with %q, not: %w", o.ID, way.want.Error(), cmp.Or(err, errCommitted))
	}
	t.summary.add(func(s *Summary) {
		s.RolledBack[way.name]++
		s.RolledBackKeys = append(s.RolledBackKeys, key)
	})
	return nil
}

func (t *Traffic) view(ctx context.Context, o Order, random *rand.Rand) error {
	view := View{ID: o.ID, ProductID: fmt.Sprintf("prd_%d", random.IntN(50))}
	recorded, err := t.Shop.ViewProduct(ctx, "browser-"+o.CustomerID, view)
	if recorded {
		t.summary.add(func(s *Summary) { s.Events[events.ProductViewedName]++ })
	}
	return err
}

func (t *Traffic) review(ctx context.Context, o Order, random *rand.Rand) error {
	isNew, err := t.Shop.ReviewOrder(ctx, o.ID, 1+random.IntN(5))
	if isNew {
		t.summary.add(func(s *Summary) { s.Events[events.OrderReviewedName]++ })
	}
	return err
}

func (t *Traffic) changePlan(ctx context.Context, o Order, random *rand.Rand) error {
	plans := []string{"free", "pro", "enterprise"}
	if err := t.Shop.ChangePlan(ctx, o.CustomerID, plans[random.IntN(len(plans))]); err != nil {
		return err
	}
	t.summary.add(func(s *Summary) { s.Events[events.PlanChangedName]++ })
	return nil
}

func (t *Traffic) rename(ctx context.Context, account, n int) error {
	if err := t.Shop.RenameAccount(ctx, accountID(account), fmt.Sprintf("Account %d, renamed by %d", account, n)); err != nil {
		return err
	}
	t.summary.add(func(s *Summary) { s.Renames++ })
	return nil
}

func think(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
