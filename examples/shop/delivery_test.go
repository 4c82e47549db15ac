package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"example.com/shop/billing"
	"example.com/shop/crm"
	"example.com/shop/events"
	"example.com/shop/internal/stack"
)

// TestEverythingTheShopDoesArrives: all of it is what the plan allows, the trigger's
// events too, and Amplitude counts what the shop sold.
func TestEverythingTheShopDoesArrives(t *testing.T) {
	t.Parallel()
	f := openAs(t, stack.Producer)
	amplitude := stack.StartAmplitude(t)
	summary, err := (&Traffic{Shop: f.shop, Orders: 100, Workers: 4, Seed: 3}).Run(t.Context())
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, f.shop.TryOut(t.Context(), "try-1", &out))
	require.Equal(t, "test_event:try-1: queued \nworker status --key test_event:try-1\n", out.String())

	amplitude.Deliver(t, f.Database, planFile)

	for event, n := range summary.Events {
		require.Len(t, amplitude.Events(t, event), n, event)
	}
	require.Len(t, summary.Events, 5, "each kind is among them")
	require.Equal(t, map[string]any{"test": true}, amplitude.Event(t, events.TestEventName).Properties)
	review := amplitude.Events(t, events.OrderReviewedName)[0]
	require.Contains(t, review.Properties, "order_id")
	require.Len(t, review.Groups["account"], 1)
	for _, c := range summary.Customers {
		user := amplitude.User(t, c.ID)
		require.Equal(t, c.Plan, user["plan_tier"])
		require.Contains(t, user, "signup_date")
	}
}

func TestBillingArrives(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	c.Exec(t, billing.Schema)
	b, buyer := billing.Billing{Analytics: c.analytics}, billing.Buyer{User: "usr_1", Account: "acc_1"}
	require.NoError(t, pgx.BeginFunc(t.Context(), c.Admin, func(tx pgx.Tx) error {
		require.NoError(t, b.StartCheckout(t.Context(), tx, buyer, "chk_1", events.PlanTierPro))
		require.NoError(t, b.Pay(t.Context(), tx, buyer, billing.Payment{ID: "pay_1", Tier: events.PlanTierPro, Cents: 1299, Currency: "EUR"}))
		require.NoError(t, b.Churn(t.Context(), tx, buyer.Account, time.Now()))
		require.NoError(t, b.Pay(t.Context(), tx, buyer, billing.Payment{ID: "pay_2", Tier: events.PlanTierFriend, Cents: 499, Currency: "EUR"}))
		return b.Churn(t.Context(), tx, buyer.Account, time.Now())
	}))
	c.deliver(t)

	c.amplitude.Event(t, events.CheckoutStartedName)
	paid := c.amplitude.Events(t, events.PaymentSucceededName)
	require.Len(t, paid, 2)
	require.Equal(t, 12.99, paid[0].Revenue)
	require.Len(t, c.amplitude.Events(t, events.PlanUpgradedName), 2)
	require.Equal(t, 2.0, c.amplitude.Event(t, events.AccountRechurnedName).Properties["times_churned"])
	require.Equal(t, "free", c.amplitude.Group(t, "account", "acc_1")["plan_tier"])
}

func TestWorkInTheCRMArrives(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	c.Exec(t, crm.Schema)
	app := crm.CRM{Analytics: c.analytics}
	by := crm.Member{User: "usr_1", Account: "acc_1", Workspace: "ws_7"}
	now := ago(0)
	require.NoError(t, pgx.BeginFunc(t.Context(), c.Admin, func(tx pgx.Tx) error {
		ctx := t.Context()
		require.NoError(t, app.MarkAttendance(ctx, tx, by, "att_1", events.PresencePresent))
		require.NoError(t, app.CreateTemplate(ctx, tx, by, "tpl_1", "Dear Jane"))
		require.NoError(t, app.UseTemplate(ctx, tx, by, "use_1", "tpl_1"))
		require.NoError(t, app.ChangeRule(ctx, tx, by, "rule_1", "all to Jane"))
		require.NoError(t, app.ChangeField(ctx, tx, by, crm.FieldChange{ID: "chg_1", Contact: "con_1", Key: "industry", Content: "Jane's"}))
		call := crm.Call{ID: "call_1", Direction: events.DirectionInbound, Phone: "+4930123456", At: now.Add(-time.Minute)}
		require.NoError(t, app.StartCall(ctx, tx, by, call))
		require.NoError(t, app.EndCall(ctx, tx, by, call.ID, now))
		require.NoError(t, app.Did(ctx, tx, by, now.Add(-2*time.Hour), crm.Activity{Calls: 1, Fields: 1}))
		_, err := app.Summarize(ctx, tx, now)
		return err
	}))
	c.deliver(t)

	for _, name := range []string{
		events.AttendanceMarkedName, events.TemplateCreatedName, events.TemplateUsedName, events.AllocationRuleChangedName,
		events.CRMFieldChangedName, events.CallStartedName, events.CallEndedName, events.CRMActivitySummarizedName,
	} {
		require.Equal(t, []string{"ws_7"}, c.amplitude.Event(t, name).Groups["workspace"], name)
	}
	require.Equal(t, 60.0, c.amplitude.Event(t, events.CallEndedName).Properties["duration_seconds"])
}
