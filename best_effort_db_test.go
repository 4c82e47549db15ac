package waybill

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestBestEffortKeepsTheOrderWhateverFails(t *testing.T) {
	t.Parallel()
	const trigger = `CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s; RETURN NEW; END $$;
		CREATE TRIGGER boom BEFORE INSERT ON waybill.bundle FOR EACH ROW EXECUTE FUNCTION boom()`
	for name, breakage := range map[string]string{
		"a trigger that raises":      fmt.Sprintf(trigger, `RAISE EXCEPTION 'boom'`),
		"a trigger that asserts":     fmt.Sprintf(trigger, `ASSERT false`),
		"a trigger that times out":   fmt.Sprintf(trigger, `PERFORM pg_sleep(60)`),
		"a table that is gone":       `DROP TABLE waybill.bundle CASCADE`,
		"a function that is gone":    `DROP FUNCTION waybill.try_enqueue(text)`,
		"a schema that is gone":      `DROP SCHEMA waybill CASCADE`,
		"a function of another kind": `DROP FUNCTION waybill.try_enqueue(text); CREATE FUNCTION waybill.try_enqueue(text) RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		"answers of another kind":    `DROP FUNCTION waybill.try_enqueue(text); CREATE FUNCTION waybill.try_enqueue(text) RETURNS TABLE (n text, action_key text, bundle_id text, outcome text, reason text) LANGUAGE sql AS $$ SELECT 'x', 'x', 'x', 'x', 'x' $$`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop, client := newShop(t), strictClient(t, Config{})
			sqlDB, sqlClient := openSQL(t, shop)
			shop.exec(t, breakage)
			const impatient = `SET LOCAL statement_timeout = '300ms'`

			want := []Item{{Key: completed.Key, Outcome: Skipped, Reason: ReasonEnqueueFailed}}
			require.NoError(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, impatient)
				require.NoError(t, err)
				receipt, err := client.BestEffort().Track(ctx, tx, User("42"), completed)
				require.NoError(t, err)
				require.Equal(t, want, receipt.Items)
				return insertOrder(ctx, tx, 2)
			}))
			tx, err := sqlDB.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			_, err = tx.ExecContext(t.Context(), impatient)
			require.NoError(t, err)
			receipt, err := sqlClient.BestEffort().Track(t.Context(), tx, User("42"), completed)
			require.NoError(t, err)
			require.Equal(t, want, receipt.Items)
			_, err = tx.ExecContext(t.Context(), `INSERT INTO orders VALUES (3)`)
			require.NoError(t, err)
			require.NoError(t, tx.Commit())

			require.Equal(t, 3, shop.value(t, `SELECT count(*) FROM orders`))
		})
	}
}

// Two transactions with one key wait for each other; best effort not for long.
func TestBestEffortGivesUpWaiting(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	first, err := shop.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = client.Track(t.Context(), first, User("42"), completed)
	require.NoError(t, err)
	require.NoError(t, shop.order(t, 2, func(ctx context.Context, second pgx.Tx) error {
		receipt, err := client.BestEffort().Track(ctx, second, User("42"), completed)
		require.NoError(t, err)
		require.Equal(t, []Outcome{Skipped}, outcomes(receipt))
		return nil
	}))
	require.NoError(t, first.Commit(t.Context()))
	shop.holds(t, 1, 1, 1)
}

func TestBestEffortLeavesNoSavepoint(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	require.ErrorContains(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		_, err := client.BestEffort().Track(ctx, tx, User("42"), completed)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, releaseSavepoint)
		return err
	}), "SQLSTATE 3B001")
}

func TestBestEffortInAnAbortedTransaction(t *testing.T) {
	t.Parallel()
	shop, client := newShop(t), strictClient(t, Config{})
	require.ErrorIs(t, shop.order(t, 1, func(ctx context.Context, tx pgx.Tx) error {
		require.Error(t, insertOrder(ctx, tx, 1))
		receipt, err := client.BestEffort().Track(ctx, tx, User("42"), completed)
		require.NoError(t, err)
		require.Equal(t, []Outcome{Skipped}, outcomes(receipt))
		_, err = client.Track(ctx, tx, User("42"), completed)
		require.ErrorContains(t, err, "the transaction had failed before; roll it back")
		return nil
	}), pgx.ErrTxCommitRollback)
	shop.holds(t, 0, 0, 0)
}
