// Package billing is a small billing whose money is tracked: each function is handed
// the transaction of its caller, and the event commits with the write or not at all.
package billing

import (
	"context"
	_ "embed"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/shop/events"
	"waybill"
)

// Schema makes the tables.
//
//go:embed schema.sql
var Schema string

// Billing tracks what it does with a client.
type Billing struct {
	Analytics *waybill.Client[pgx.Tx]
}

// Buyer is who pays, and for which account.
type Buyer struct {
	User    events.UserID
	Account events.AccountID
}

// tiers stand in the order of what they cost.
var tiers = []events.PlanTier{
	events.PlanTierFree, events.PlanTierFriend, events.PlanTierPro, events.PlanTierEnterprise,
}

// StartCheckout begins a payment. The payment provider repeats its calls: a checkout
// that is started again is the same one, for the funnel too.
func (b Billing) StartCheckout(ctx context.Context, tx pgx.Tx, by Buyer, id events.CheckoutID, tier events.PlanTier) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO checkouts (id, account_id, tier) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO NOTHING`, id, by.Account, tier.String())
	if err != nil {
		return err
	}
	_, err = b.Analytics.Track(ctx, tx, waybill.User(string(by.User)),
		events.CheckoutStarted(events.InAccount(by.Account), id).PlanTier(tier))
	return err
}

// Payment is money that has arrived.
type Payment struct {
	ID       events.PaymentID
	Tier     events.PlanTier // what it is for
	Cents    int64
	Currency string
}

// Pay books a payment. If it is for a larger plan than before, that is a second event,
// and from then on the account's plan at Amplitude.
func (b Billing) Pay(ctx context.Context, tx pgx.Tx, by Buyer, p Payment) error {
	inserted, err := tx.Exec(ctx, `
		INSERT INTO payments (id, account_id, tier, cents, currency) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO NOTHING`, p.ID, by.Account, p.Tier.String(), p.Cents, p.Currency)
	if err != nil || inserted.RowsAffected() == 0 {
		return err // it was booked before, with its events
	}
	before, err := changeTier(ctx, tx, by.Account, p.Tier)
	if err != nil {
		return err
	}
	in := events.InAccount(by.Account, events.SetAccountPlanTier(p.Tier))
	happened := []waybill.Trackable{events.PaymentSucceeded(in, p.ID, float64(p.Cents)/100, p.Currency)}
	if slices.Index(tiers, p.Tier) > slices.Index(tiers, before) {
		upgrade := events.PlanUpgraded(in, events.PlanChangeID(p.ID), p.Tier).FromTier(before)
		happened = append(happened, upgrade)
	}
	_, err = b.Analytics.Track(ctx, tx, waybill.User(string(by.User)), happened...)
	return err
}

// changeTier sets what an account pays for and returns what it was. The row is locked
// first, so that two payments tell one story.
func changeTier(ctx context.Context, tx pgx.Tx, account events.AccountID, to events.PlanTier) (events.PlanTier, error) {
	_, err := tx.Exec(ctx, `
		INSERT INTO subscriptions (account_id) VALUES ($1)
		ON CONFLICT (account_id) DO NOTHING`, account)
	if err != nil {
		return events.PlanTier{}, err
	}
	var before string
	err = tx.QueryRow(ctx, `SELECT tier FROM subscriptions WHERE account_id = $1 FOR UPDATE`, account).Scan(&before)
	if err != nil {
		return events.PlanTier{}, err
	}
	if _, err := tx.Exec(ctx, `UPDATE subscriptions SET tier = $2 WHERE account_id = $1`, account, to.String()); err != nil {
		return events.PlanTier{}, err
	}
	return events.ParsePlanTier(before)
}

// Churn ends what an account pays for. The first time is no event: it is the second
// that says that winning the account back did not last.
func (b Billing) Churn(ctx context.Context, tx pgx.Tx, account events.AccountID, at time.Time) error {
	var times int
	err := tx.QueryRow(ctx, `
		UPDATE subscriptions SET tier = 'free', times_churned = times_churned + 1
		WHERE account_id = $1
		RETURNING times_churned`, account).Scan(&times)
	if err != nil {
		return err
	}
	in := events.InAccount(account, events.SetAccountPlanTier(events.PlanTierFree))
	actor := waybill.System("billing")
	if times < 2 {
		_, err = b.Analytics.Identify(ctx, tx, "account:"+string(account)+":churned", actor.In(in.Groups()...))
		return err
	}
	_, err = b.Analytics.Track(ctx, tx, actor, events.AccountRechurned(in, at).TimesChurned(times).At(at))
	return err
}
