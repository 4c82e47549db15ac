package waybilltest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"waybill"
	"waybill/internal/devpg/pgtest"
	"waybill/waybilltest"
)

// orderCompleted stands for a generated event.
type orderCompleted struct {
	orderID string
	amount  float64
}

const orderCompletedName = "order_completed"

func (o orderCompleted) AsEvent() waybill.Event {
	return waybill.Event{
		Name: orderCompletedName, Version: "1.0", Key: orderCompletedName + ":" + o.orderID,
		Properties: waybill.Properties{"order_id": o.orderID, "amount": o.amount},
		Revenue:    waybill.Revenue{Amount: o.amount, Currency: "EUR"},
	}
}

func (o orderCompleted) Groups() []waybill.Group { return []waybill.Group{waybill.Account("acc_1")} }

// shop is an application.
type shop struct{ analytics *waybill.Client[pgx.Tx] }

// pay is code as it is tested: a business write and its event. It begins a transaction
// of its own, on whatever it is given.
func (s shop) pay(ctx context.Context, db waybilltest.Beginner, o orderCompleted) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO orders VALUES ($1)", o.orderID); err != nil {
			return err
		}
		_, err := s.analytics.Track(ctx, tx, waybill.User("usr_42").With(waybill.Set("plan_tier", "pro")), o)
		return err
	})
}

func newShop(t *testing.T) (shop, *pgtest.DB) {
	t.Helper()
	db := pgtest.New(t)
	_, err := db.Pool(t).Exec(t.Context(), "CREATE TABLE orders (id text PRIMARY KEY)")
	require.NoError(t, err)
	client, err := waybill.New(waybill.Config{})
	require.NoError(t, err)
	return shop{analytics: client}, db
}

// TestPayingAnOrderIsTracked is what an application's test looks like.
func TestPayingAnOrderIsTracked(t *testing.T) {
	t.Parallel()
	s, db := newShop(t)
	tx := waybilltest.Begin(t, db.Pool(t)) // rolled back in the end

	require.NoError(t, s.pay(t.Context(), tx, orderCompleted{"8412", 12.99}))

	enqueued := waybilltest.New(t, tx)
	bundle := enqueued.RequireTracked(orderCompletedName, waybilltest.Props{"order_id": "8412"})
	require.Equal(t, "usr_42", bundle.UserID)
	require.Equal(t, map[string]any{"plan_tier": "pro"}, bundle.Set)
	enqueued.RequireEvent(orderCompleted{"8412", 12.99})
	enqueued.RequireNotTracked("order_cancelled")
}
