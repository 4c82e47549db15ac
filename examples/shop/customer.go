package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/shop/events"
	"waybill"
)

// customer is what the shop tells Amplitude about the one who acts.
type customer struct {
	id      string
	account events.AccountScope
	tier    events.PlanTier
}

// newCustomer reads what the tables hold as text.
func newCustomer(id, accountID, plan string) (customer, error) {
	tier, err := events.ParsePlanTier(plan)
	return customer{id: id, account: events.InAccount(events.AccountID(accountID)), tier: tier}, err
}

// actor names the traits every time: those that have not changed stay at home.
func (c customer) actor() waybill.Actor {
	return waybill.User(c.id).With(events.SetUserPlanTier(c.tier))
}

// lockCustomer reads a customer and keeps the row from changing until tx ends.
// Without FOR SHARE a change of plan could commit between the reading and the
// event, and the event would report the older plan as the newer one.
func lockCustomer(ctx context.Context, tx pgx.Tx, id string) (customer, error) {
	var accountID, plan string
	err := tx.QueryRow(ctx, `SELECT account_id, plan FROM customers WHERE id = $1 FOR SHARE`, id).
		Scan(&accountID, &plan)
	if err != nil {
		return customer{}, fmt.Errorf("customer %s: %w", id, err)
	}
	return newCustomer(id, accountID, plan)
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
			isNew, err := s.signUp(ctx, tx, id, accountID, name)
			if err != nil {
				return err
			}
			if isNew {
				added++
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("sign up account %s: %w", accountID, err)
	}
	return added, nil
}

// signUp adds one customer. What belongs to a sign-up is in events/recipes.go.
func (s *Shop) signUp(ctx context.Context, tx pgx.Tx, id, accountID, name string) (isNew bool, err error) {
	_, err = tx.Exec(ctx, `
		INSERT INTO customers (id, account_id) VALUES ($1, $2)
		ON CONFLICT (id) DO NOTHING`, id, accountID)
	if err != nil {
		return false, err
	}
	var at time.Time
	if err := tx.QueryRow(ctx, `SELECT signed_up_at FROM customers WHERE id = $1`, id).Scan(&at); err != nil {
		return false, err
	}
	account := events.InAccount(events.AccountID(accountID), events.SetAccountName(name))
	actor, happened := events.Signup(events.UserID(id), at, events.Attribution{})
	receipt, err := s.events.Track(ctx, tx,
		actor.In(account.Groups()...).With(events.SetUserPlanTier(events.PlanTierFree)), happened...)
	return receipt.Queued() == 1, err
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
		account := events.InAccount(events.AccountID(accountID), events.SetAccountName(name))
		_, err = s.events.Identify(ctx, tx, "account:"+accountID+":renamed:"+strconv.Itoa(renamed),
			waybill.System("account-admin").In(account.Groups()...))
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

	var accountID string
	var change int
	err = tx.QueryRowContext(ctx, `
		UPDATE customers SET plan = $2, plan_changes = plan_changes + 1
		WHERE id = $1
		RETURNING account_id, plan_changes`, customerID, plan).Scan(&accountID, &change)
	if err != nil {
		return failed(err)
	}
	c, err := newCustomer(customerID, accountID, plan)
	if err != nil {
		return failed(err)
	}
	event := events.PlanChanged(c.account, events.CustomerID(customerID), change, c.tier)
	if _, err := s.sqlEvents.Track(ctx, tx, c.actor(), event); err != nil {
		return failed(err)
	}
	if err := tx.Commit(); err != nil {
		return failed(err)
	}
	return nil
}
