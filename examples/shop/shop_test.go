package main

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"example.com/shop/internal/stack"
)

func agree(context.Context, Order) error { return nil }

func TestAnOrderAndItsEventCommitTogether(t *testing.T) {
	t.Parallel()
	f := open(t)

	isNew, err := f.shop.PlaceOrder(t.Context(), Order{ID: "o1", CustomerID: "usr_1", TotalCents: 1299}, agree)

	require.NoError(t, err)
	require.True(t, isNew)
	require.Equal(t, 1, f.orders(t, "o1"))
	bundle := f.payload(t, "order_completed:o1")
	require.Equal(t, "usr_1", bundle["user_id"])
	require.Equal(t, map[string]any{"orders_total": 1.0}, bundle["increment"])
	require.Equal(t, map[string]any{"set": map[string]any{"plan_tier": "free"}}, bundle["identify"])
	require.Equal(t, []any{map[string]any{"type": "account", "id": "acc_1"}}, bundle["groups"])
	track, _ := bundle["track"].(map[string]any)
	require.Equal(t, "order_completed", track["event"])
	require.Equal(t, map[string]any{"amount": 12.99, "currency": "EUR"}, track["revenue"])
}

func TestAnOrderThatComesToNothingLeavesNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	refusal := errors.New("no")
	place := func(ctx context.Context, id string, approve Approver) error {
		_, err := f.shop.PlaceOrder(ctx, Order{ID: id, CustomerID: "usr_1", TotalCents: 1}, approve)
		return err
	}

	require.ErrorIs(t, place(t.Context(), "declined", func(context.Context, Order) error { return refusal }), refusal)
	require.PanicsWithValue(t, "a bug", func() {
		_ = place(t.Context(), "panicked", func(context.Context, Order) error { panic("a bug") })
	})
	ctx, hangUp := context.WithCancel(t.Context())
	require.ErrorIs(t, place(ctx, "hung_up", func(context.Context, Order) error { hangUp(); return nil }), context.Canceled)

	for _, id := range []string{"declined", "panicked", "hung_up"} {
		require.Zero(t, f.orders(t, id), id)
		require.Zero(t, f.bundles(t, "order_completed:"+id), id)
	}
	require.NoError(t, place(t.Context(), "declined", agree), "the shop goes on, and the key is still free")
	require.Equal(t, 1, f.bundles(t, "order_completed:declined"))
}

func TestARepeatedRequestIsOneOrderAndOneEvent(t *testing.T) {
	t.Parallel()
	f := open(t)
	order := Order{ID: "o1", CustomerID: "usr_1", TotalCents: 1}

	var isNew [8]bool
	var failures [8]error
	var clicks sync.WaitGroup
	for i := range isNew {
		clicks.Go(func() { isNew[i], failures[i] = f.shop.PlaceOrder(t.Context(), order, agree) })
	}
	clicks.Wait()

	require.NoError(t, errors.Join(failures[:]...))
	wins := 0
	for _, won := range isNew {
		if won {
			wins++
		}
	}
	require.Equal(t, 1, wins)
	require.Equal(t, 1, f.orders(t, "o1"))
	require.Equal(t, 1, f.bundles(t, "order_completed:o1"))
}

func TestAChangeOfPlanGoesThroughDatabaseSQL(t *testing.T) {
	t.Parallel()
	f := open(t)

	require.NoError(t, f.shop.ChangePlan(t.Context(), "usr_1", "pro"))
	require.NoError(t, f.shop.ChangePlan(t.Context(), "usr_1", "pro"), "the same plan again is another action")
	require.Error(t, f.shop.ChangePlan(t.Context(), "usr_unknown", "pro"))

	require.Equal(t, 1, f.bundles(t, "plan_changed:usr_1:2"))
	require.Equal(t, map[string]any{"set": map[string]any{"plan_tier": "pro"}},
		f.payload(t, "plan_changed:usr_1:1")["identify"])
	require.Zero(t, f.Count(t, "SELECT count(*) FROM waybill.bundle WHERE user_id = 'usr_unknown'"))
}

// Otherwise an order could report the plan of before a change as newer than the change.
func TestNoPlanChangesWhileAnOrderReportsIt(t *testing.T) {
	t.Parallel()
	f := open(t)
	const change = "SELECT FROM customers WHERE id = 'usr_1' FOR NO KEY UPDATE NOWAIT"

	err := pgx.BeginFunc(t.Context(), f.shop.pool, func(tx pgx.Tx) error {
		_, err := lockCustomer(t.Context(), tx, "usr_1")
		require.NoError(t, err)
		_, err = f.shop.pool.Exec(t.Context(), change)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "55P03", refused.Code, "lock_not_available")
		return nil
	})

	require.NoError(t, err)
	_, err = f.shop.pool.Exec(t.Context(), change)
	require.NoError(t, err, "it may change again")
}

func TestARenamedAccountIsIdentifiedWithoutAnEvent(t *testing.T) {
	t.Parallel()
	f := open(t)

	require.NoError(t, f.shop.RenameAccount(t.Context(), "acc_1", "Acme Ltd"))

	bundle := f.payload(t, "account:acc_1:renamed:1")
	require.NotContains(t, bundle, "track")
	require.Equal(t, []any{map[string]any{"type": "account", "id": "acc_1", "set": map[string]any{"name": "Acme Ltd"}}},
		bundle["groups"])
}

func TestAReviewIsTrackedByTheDatabase(t *testing.T) {
	t.Parallel()
	f := open(t)
	_, err := f.shop.PlaceOrder(t.Context(), Order{ID: "o1", CustomerID: "usr_1", TotalCents: 1}, agree)
	require.NoError(t, err)

	_, err = f.shop.ReviewOrder(t.Context(), "o1", 6)
	require.Error(t, err, "the table takes one to five stars")
	require.Zero(t, f.bundles(t, "order_reviewed:o1"), "and a review that failed leaves no event")

	isNew, err := f.shop.ReviewOrder(t.Context(), "o1", 5)
	require.NoError(t, err)
	require.True(t, isNew)
	bundle := f.payload(t, "order_reviewed:o1")
	require.Equal(t, "usr_1", bundle["user_id"])
	require.Zero(t, f.Count(t, "SELECT count(*) FROM waybill.delivery"), "nothing of the shop is rejected")
}

func TestAViewNeverBreaksThePage(t *testing.T) {
	t.Parallel()
	f := openAs(t, stack.Stranger)

	recorded, err := f.shop.ViewProduct(t.Context(), "browser-1", View{ID: "v1", ProductID: "prd_1"})

	require.NoError(t, err, "though this login may not enqueue")
	require.False(t, recorded)
	var views int
	require.NoError(t, f.shop.pool.QueryRow(t.Context(), "SELECT count(*) FROM views WHERE id = 'v1'").Scan(&views))
	require.Equal(t, 1, views, "the page's own write has committed")
	_, err = f.shop.PlaceOrder(t.Context(), Order{ID: "o1", CustomerID: "usr_1", TotalCents: 1}, agree)
	require.Error(t, err, "an order insists")
}

func TestTheShopMayEnqueueAndNothingElse(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, statement := range []string{
		"SELECT count(*) FROM waybill.bundle",
		"SELECT count(*) FROM waybill.job",
		"DELETE FROM waybill.river_job",
		"UPDATE waybill.delivery SET outcome = 'delivered'",
	} {
		_, err := f.shop.pool.Exec(t.Context(), statement)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, statement)
		require.Equal(t, "42501", refused.Code, statement)
	}
}
