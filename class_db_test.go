package waybill

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestAMixedCallInOneTransaction: what fails of the best effort half leaves the business
// row, the strict event and the transaction as they are.
func TestAMixedCallInOneTransaction(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	shop.exec(t, `CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'boom'; END $$;
		CREATE TRIGGER boom BEFORE INSERT ON waybill.bundle FOR EACH ROW WHEN (NEW.event = 'Page_Viewed') EXECUTE FUNCTION boom()`)

	require.NoError(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		receipt, err := client.Track(ctx, tx, User("42"), easyEvent{key: "page:1"}, completed)
		require.NoError(t, err)
		require.Equal(t, []Outcome{Skipped, Queued}, []Outcome{receipt.Items[0].Outcome, receipt.Items[1].Outcome})
		return insertOrder(ctx, tx, 2)
	}))

	require.Equal(t, 2, shop.value(t, `SELECT count(*) FROM orders`))
	require.Equal(t, 1, shop.value(t, `SELECT count(*) FROM waybill.bundle`))
}
