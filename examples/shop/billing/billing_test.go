package billing_test

import (
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"example.com/shop/billing"
	"example.com/shop/events"
	"example.com/shop/internal/stack"
	"waybill"
	"waybill/waybilltest"
)

func TestMain(m *testing.M) { os.Exit(stack.Run(m)) }

var buyer = billing.Buyer{User: "usr_1", Account: "acc_1"}

// open gives the test a billing, and a transaction that is rolled back.
func open(t *testing.T) (billing.Billing, pgx.Tx) {
	t.Helper()
	d := stack.New(t)
	d.Exec(t, billing.Schema)
	client, err := waybill.New(waybill.Config{})
	require.NoError(t, err)
	return billing.Billing{Analytics: client}, waybilltest.Begin(t, d.Admin)
}

func TestARetriedCheckoutIsOne(t *testing.T) {
	t.Parallel()
	b, tx := open(t)
	for range 3 {
		require.NoError(t, b.StartCheckout(t.Context(), tx, buyer, "chk_1", events.PlanTierPro))
	}
	waybilltest.New(t, tx).RequireTracked(events.CheckoutStartedName, waybilltest.Props{
		"checkout_id": "chk_1", "plan_tier": events.PlanTierPro,
	})
}

func TestAPaymentForALargerPlanIsAnUpgradeToo(t *testing.T) {
	t.Parallel()
	b, tx := open(t)
	enqueued := waybilltest.New(t, tx)
	pay := func(id events.PaymentID, tier events.PlanTier) {
		p := billing.Payment{ID: id, Tier: tier, Cents: 1299, Currency: "EUR"}
		require.NoError(t, b.Pay(t.Context(), tx, buyer, p))
	}

	pay("pay_1", events.PlanTierPro)
	in := events.InAccount("acc_1")
	paid := enqueued.RequireEvent(events.PaymentSucceeded(in, "pay_1", 12.99, "EUR"))
	require.Equal(t, waybill.Revenue{Amount: 12.99, Currency: "EUR"}, paid.Revenue)
	require.Equal(t, map[string]any{"plan_tier": "pro"}, paid.Groups[0].Set)
	enqueued.RequireEvent(events.PlanUpgraded(in, "pay_1", events.PlanTierPro).FromTier(events.PlanTierFree))

	pay("pay_2", events.PlanTierPro)
	pay("pay_3", events.PlanTierFriend)
	pay("pay_1", events.PlanTierEnterprise) // booked before
	require.Len(t, enqueued.Bundles(), 4, "the same plan, a smaller one and the same payment are no upgrades")
}

func TestOnlyTheSecondChurnIsAnEvent(t *testing.T) {
	t.Parallel()
	b, tx := open(t)
	enqueued := waybilltest.New(t, tx)
	at := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, b.Pay(t.Context(), tx, buyer, billing.Payment{ID: "pay_1", Tier: events.PlanTierPro, Cents: 1, Currency: "EUR"}))

	require.NoError(t, b.Churn(t.Context(), tx, "acc_1", at))
	enqueued.RequireNotTracked(events.AccountRechurnedName)
	require.NoError(t, b.Churn(t.Context(), tx, "acc_1", at.AddDate(0, 1, 0)))
	rechurned := enqueued.RequireTracked(events.AccountRechurnedName, waybilltest.Props{
		"churned_at": at.AddDate(0, 1, 0), "times_churned": 2,
	})
	require.Equal(t, "sys:billing", rechurned.UserID)
	require.Equal(t, map[string]any{"plan_tier": "free"}, rechurned.Groups[0].Set)
}
