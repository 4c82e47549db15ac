package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"waybill"
)

// customer is what the shop tells Amplitude about the one who acts.
type customer struct {
	id        string
	accountID string
	plan      string
}

// actor names the traits every time: those that have not changed stay at home.
func (c customer) actor() waybill.Actor {
	return waybill.User(c.id).In(waybill.Account(c.accountID)).With(waybill.Set("plan", c.plan))
}

// lockCustomer reads a customer and keeps the row from changing until tx ends.
// Without FOR SHARE a change of plan could commit between the reading and the
// event, and the event would report the older plan as the newer one.
func lockCustomer(ctx context.Context, tx pgx.Tx, id string) (customer, error) {
	c := customer{id: id}
	err := tx.QueryRow(ctx, `SELECT account_id, plan FROM customers WHERE id = $1 FOR SHARE`, id).
		Scan(&c.accountID, &c.plan)
	if err != nil {
		return customer{}, fmt.Errorf("customer %s: %w", id, err)
	}
	return c, nil
}

// SignUp adds an account with its customers, and returns how many of them are new. The
// account's name travels with every event; the worker sends it once.
func (s *Shop) SignUp(ctx context.Context, accountID, name string, customerIDs []string) (added int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO accounts (id, name) VALUES ($1, $2)
			ON CONFLICT (id) DO NOTHING`, accountID, name)
		if err != nil {
			return err
		}
		for _, id := range customerIDs {
			_, err := tx.Exec(ctx, `
				INSERT INTO customers (id, account_id) VALUES ($1, $2)
				ON CONFLICT (id) DO NOTHING`, id, accountID)
			if err != nil {
				return err
			}
			receipt, err := s.events.Track(ctx, tx,
				waybill.User(id).
					In(waybill.Account(accountID, waybill.Set("name", name))).
					With(waybill.Set("plan", "free"), waybill.SetOnce("first_account", accountID)),
				CustomerSignedUp{CustomerID: id})
			if err != nil {
				return err
			}
			added += receipt.Queued()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("sign up account %s: %w", accountID, err)
	}
	return added, nil
}

// RenameAccount changes a trait of the account and no one's event: there is nothing
// to track, so it identifies.
func (s *Shop) RenameAccount(ctx context.Context, accountID, name string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var renamed int
		err := tx.QueryRow(ctx, `
			UPDATE accounts SET name = $2, renamed = renamed + 1
			WHERE id = $1
			RETURNING renamed`, accountID, name).Scan(&renamed)
		if err != nil {
			return err
		}
		_, err = s.events.Identify(ctx, tx, numbered("account:"+accountID+":renamed", renamed),
			waybill.System("account-admin").In(waybill.Account(accountID, waybill.Set("name", name))))
		return err
	})
	if err != nil {
		return fmt.Errorf("rename account %s: %w", accountID, err)
	}
	return nil
}

// ChangePlan is the same with database/sql, as an application would have it that
// uses an ORM: only the client differs.
func (s *Shop) ChangePlan(ctx context.Context, customerID, plan string) error {
	failed := func(err error) error { return fmt.Errorf("change the plan of %s: %w", customerID, err) }
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return failed(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back

	c := customer{id: customerID, plan: plan}
	var change int
	err = tx.QueryRowContext(ctx, `
		UPDATE customers SET plan = $2, plan_changes = plan_changes + 1
		WHERE id = $1
		RETURNING account_id, plan_changes`, customerID, plan).Scan(&c.accountID, &change)
	if err != nil {
		return failed(err)
	}
	event := PlanChanged{CustomerID: customerID, Change: change, Plan: plan}
	if _, err := s.sqlEvents.Track(ctx, tx, c.actor(), event); err != nil {
		return failed(err)
	}
	if err := tx.Commit(); err != nil {
		return failed(err)
	}
	return nil
}

// numbered is the action key of something that may happen again.
func numbered(action string, n int) string { return action + ":" + strconv.Itoa(n) }
