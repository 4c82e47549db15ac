package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/shop/events"
	"waybill"
)

// currency is what everything in the shop costs.
const currency = "EUR"

// Order is what a customer asks for.
type Order struct {
	ID         string
	CustomerID string
	TotalCents int
}

// completed is what Amplitude is told of it.
func (o Order) completed(in events.AccountScope) events.OrderCompletedEvent {
	return events.OrderCompleted(in, events.OrderID(o.ID), float64(o.TotalCents)/100, currency)
}

// Approver has the last word before an order commits: fraud rules, a credit limit.
type Approver func(context.Context, Order) error

// PlaceOrder is the transaction that matters: the order and its event commit
// together, or neither exists. An error, a panic or a client who hangs up undoes
// both.
//
// Asking for the same order again is fine. It reports whether the order is new.
func (s *Shop) PlaceOrder(ctx context.Context, o Order, approve Approver) (isNew bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		c, err := lockCustomer(ctx, tx, o.CustomerID)
		if err != nil {
			return err
		}
		inserted, err := tx.Exec(ctx, `
			INSERT INTO orders (id, customer_id, total_cents) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO NOTHING`, o.ID, o.CustomerID, o.TotalCents)
		if err != nil {
			return err
		}
		isNew = inserted.RowsAffected() == 1

		// No `if isNew`: the action key makes the event of a repeated request a
		// duplicate, whoever sends it and whenever.
		_, err = s.events.Track(ctx, tx,
			c.actor().With(events.AddUserOrdersTotal(1)), o.completed(c.account))
		if err != nil {
			return err
		}
		return approve(ctx, o)
	})
	if err != nil {
		return false, fmt.Errorf("place order %s: %w", o.ID, err)
	}
	return isNew, nil
}

// ReviewOrder has no analytics in it: the event comes from sql/trigger.sql. It reports
// whether the order had no review before.
func (s *Shop) ReviewOrder(ctx context.Context, orderID string, stars int) (isNew bool, err error) {
	inserted, err := s.pool.Exec(ctx, `
		INSERT INTO reviews (order_id, stars) VALUES ($1, $2)
		ON CONFLICT (order_id) DO NOTHING`, orderID, stars)
	if err != nil {
		return false, fmt.Errorf("review order %s: %w", orderID, err)
	}
	return inserted.RowsAffected() == 1, nil
}

// View is one look at a product. It has an id, because the same product may be looked
// at again.
type View struct {
	ID        string
	ProductID string
}

// ViewProduct remembers what somebody who is not logged in looked at. The event must
// never matter to the page, so it is best effort: there is no error to handle, and
// whatever goes wrong inside leaves the transaction usable.
func (s *Shop) ViewProduct(ctx context.Context, deviceID string, view View) (recorded bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		receipt, _ := s.events.BestEffort().Track(ctx, tx, waybill.Device(deviceID),
			events.ProductViewed(events.ViewID(view.ID), events.ProductID(view.ProductID)))
		recorded = receipt.Queued() == 1
		_, err := tx.Exec(ctx, `
			INSERT INTO views (id, device_id, product_id) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO NOTHING`, view.ID, deviceID, view.ProductID)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("view product %s: %w", view.ProductID, err)
	}
	return recorded, nil
}
