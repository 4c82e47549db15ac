package waybilltest_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"waybill"
	"waybill/internal/devpg/pgtest"
	"waybill/waybilltest"
)

func event(key string) waybill.Event { return waybill.Event{Name: "thing_done", Key: key} }

func client(t *testing.T) *waybill.Client[pgx.Tx] {
	t.Helper()
	c, err := waybill.New(waybill.Config{})
	require.NoError(t, err)
	return c
}

func keys(bundles []waybilltest.Bundle) []string {
	list := []string{}
	for _, b := range bundles {
		list = append(list, b.Key)
	}
	return list
}

func committed(t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM waybill.bundle").Scan(&n))
	return n
}

// Savepoints have transaction ids of their own, and so have the blocks inside
// waybill.try_enqueue.
func TestWhatSavepointsEnqueueIsTheTransactions(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	analytics := client(t)
	tx := waybilltest.Begin(t, pool)
	enqueued := waybilltest.New(t, tx)
	enqueued.RequireNothing()
	track := func(on pgx.Tx, key string) error {
		_, err := analytics.Track(t.Context(), on, waybill.User("u"), event(key))
		return err
	}

	require.NoError(t, track(tx, "top"))
	require.NoError(t, pgx.BeginFunc(t.Context(), tx, func(one pgx.Tx) error {
		if err := track(one, "released"); err != nil {
			return err
		}
		return pgx.BeginFunc(t.Context(), one, func(two pgx.Tx) error { return track(two, "deeper") })
	}))
	undo := errors.New("undo")
	require.ErrorIs(t, pgx.BeginFunc(t.Context(), tx, func(lost pgx.Tx) error {
		require.NoError(t, track(lost, "rolled back"))
		require.Contains(t, keys(enqueued.Bundles()), "rolled back", "it is there until then")
		return undo
	}), undo)
	open, err := tx.Begin(t.Context())
	require.NoError(t, err)
	receipt, _ := analytics.BestEffort().Track(t.Context(), open, waybill.User("u"), event("best effort"))
	waybilltest.RequireOutcomes(t, receipt, waybill.Queued)

	require.Equal(t, []string{"top", "released", "deeper", "best effort"}, keys(enqueued.Bundles()))
}

func TestWhatOthersEnqueueIsTheirs(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	analytics := client(t)
	commit := func(key string) {
		require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := analytics.Track(t.Context(), tx, waybill.User("u"), event(key))
			return err
		}))
	}
	commit("before")
	tx := waybilltest.Begin(t, pool)
	_, err := analytics.Track(t.Context(), tx, waybill.User("u"), event("mine"))
	require.NoError(t, err)
	commit("meanwhile") // this transaction sees it from now on
	other := waybilltest.Begin(t, pool)
	_, err = analytics.Track(t.Context(), other, waybill.User("u"), event("open"))
	require.NoError(t, err)

	require.Equal(t, []string{"mine"}, keys(waybilltest.New(t, tx).Bundles()))
	require.Equal(t, []string{"open"}, keys(waybilltest.New(t, other).Bundles()))
}

func TestNothingIsLeftBehind(t *testing.T) { //nolint:tparallel // it goes on when its subtest has ended
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	analytics := client(t)
	t.Run("a test", func(t *testing.T) {
		tx := waybilltest.Begin(t, pool)
		_, err := analytics.Track(t.Context(), tx, waybill.User("u"), event("a"))
		require.NoError(t, err)
		waybilltest.New(t, tx).RequireTracked("thing_done", nil)
	})
	require.Zero(t, committed(t, pool))
	require.Zero(t, pool.Stat().AcquiredConns())
}

func TestATransactionOfDatabaseSQL(t *testing.T) { //nolint:tparallel // it goes on when its subtest has ended
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	analytics, err := waybill.NewSQL(waybill.Config{})
	require.NoError(t, err)
	t.Run("a test", func(t *testing.T) {
		tx := waybilltest.BeginSQL(t, db)
		_, err := analytics.Track(t.Context(), tx, waybill.Device("d"), event("strict"))
		require.NoError(t, err)
		_, _ = analytics.BestEffort().Track(t.Context(), tx, waybill.Device("d"), event("best effort"))

		enqueued := waybilltest.NewSQL(t, tx)
		require.Equal(t, []string{"strict", "best effort"}, keys(enqueued.Bundles()))
		require.Equal(t, "d", enqueued.Bundles()[0].DeviceID)
	})
	require.Zero(t, committed(t, pool))
}

func TestABundleIsReadWhole(t *testing.T) {
	t.Parallel()
	tx := waybilltest.Begin(t, pgtest.New(t).Pool(t))
	actor := waybill.User("u").OnDevice("d").
		With(waybill.Set("a", 1), waybill.SetOnce("b", "x"), waybill.Unset("c"), waybill.Increment("n", 2)).
		In(waybill.Account("acc", waybill.Set("name", "Acme")), waybill.Workspace("ws"))
	full := waybill.Event{
		Name: "thing_done", Key: "k", Version: "2.1", Properties: waybill.Properties{"stars": 5, "price": 12.99},
		Revenue: waybill.Revenue{Amount: 12.99, Currency: "EUR"},
	}
	receipt, err := client(t).Track(t.Context(), tx, actor, full)
	require.NoError(t, err)

	require.Equal(t, waybilltest.Bundle{
		ID: receipt.Items[0].BundleID, Key: "k", UserID: "u", DeviceID: "d",
		Event: "thing_done", Version: "2.1", Properties: map[string]any{"stars": 5.0, "price": 12.99},
		Revenue: waybill.Revenue{Amount: 12.99, Currency: "EUR"},
		Set:     map[string]any{"a": 1.0}, SetOnce: map[string]any{"b": "x"}, Unset: []string{"c"}, Increment: map[string]float64{"n": 2},
		Groups: []waybilltest.Group{
			{Type: "account", ID: "acc", Set: map[string]any{"name": "Acme"}},
			{Type: "workspace", ID: "ws", Parent: "acc"},
		},
		Outcome: waybill.Queued,
	}, waybilltest.New(t, tx).RequireTracked("thing_done", nil))
}

// colour is a generated enum, id a generated id.
type (
	colour struct{ value string }
	id     string
)

func (c colour) String() string { return c.value }

func TestPropertiesAreComparedAsTheApplicationHasThem(t *testing.T) {
	t.Parallel()
	tx := waybilltest.Begin(t, pgtest.New(t).Pool(t))
	at := time.Date(2026, time.November, 22, 11, 0, 0, 0, time.FixedZone("CET", 3600))
	hasher, err := waybill.NewHasher("0123456789abcdef0123456789abcdef")
	require.NoError(t, err)
	phone := hasher.Token("phone", "+4930123456")
	e := event("k")
	e.Properties = waybill.Properties{
		"at": "2026-11-22T10:00:00Z", "colour": "red", "id": "x", "n": 3, "list": []string{"a"}, "phone": phone, "none": nil,
	}
	_, err = client(t).Track(t.Context(), tx, waybill.User("u"), e)
	require.NoError(t, err)

	waybilltest.New(t, tx).RequireTracked("thing_done", waybilltest.Props{
		"at": at, "colour": colour{"red"}, "id": id("x"), "n": int64(3), "list": []id{"a"}, "phone": phone, "none": nil,
		"other": waybilltest.Absent,
	})
}

func TestARejectedBundleIsSeenAndNotTakenForATrackedOne(t *testing.T) {
	t.Parallel()
	tx := waybilltest.Begin(t, pgtest.New(t).Pool(t))
	_, err := tx.Exec(t.Context(), `SELECT waybill.enqueue('{"key": "k", "track": {"event": "thing_done"}}')`)
	require.NoError(t, err)
	enqueued := waybilltest.New(t, tx)

	bundles := enqueued.Bundles()
	require.Len(t, bundles, 1)
	require.Equal(t, waybill.Rejected, bundles[0].Outcome)
	require.Contains(t, failure(t, func(p *probe) { waybilltest.New(p, tx).RequireTracked("thing_done", nil) }),
		"thing_done is rejected: user_id: is missing")
}

func TestADuplicateAddsNothing(t *testing.T) {
	t.Parallel()
	tx := waybilltest.Begin(t, pgtest.New(t).Pool(t))
	receipt, err := client(t).Track(t.Context(), tx, waybill.User("u"), event("k"), event("k"))
	require.NoError(t, err)

	waybilltest.RequireOutcomes(t, receipt, waybill.Queued, waybill.Duplicate)
	waybilltest.New(t, tx).RequireTracked("thing_done", nil)
	said := failure(t, func(p *probe) { waybilltest.RequireOutcomes(p, receipt, waybill.Queued, waybill.Queued) })
	require.Equal(t, "waybilltest: the outcomes are not [queued queued]\n  k queued \n  k duplicate \n", said)
	require.NotEmpty(t, failure(t, func(p *probe) { waybilltest.RequireOutcomes(p, receipt, waybill.Queued) }))
}

func TestATransactionThatCannotBeLookedInto(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	tx, err := db.Pool(t).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT 1/0")
	require.Error(t, err)
	look := func(p *probe) { waybilltest.New(p, tx).RequireNothing() }
	require.Contains(t, failure(t, look), "the transaction has failed before; look at the error of the code under test")
	require.NoError(t, tx.Rollback(t.Context()))
	require.Contains(t, failure(t, look), "look before it does")

	require.Contains(t, failure(t, func(p *probe) { waybilltest.New(p, nil).Bundles() }), "the transaction is nil")
	require.Contains(t, failure(t, func(p *probe) { waybilltest.NewSQL(p, (*sql.Tx)(nil)).Bundles() }), "the transaction is nil")

	blank := waybilltest.Begin(t, pgtest.Blank(t).Pool(t))
	require.Contains(t, failure(t, func(p *probe) { waybilltest.New(p, blank).Bundles() }), "run: worker migrate")

	producer := waybilltest.Begin(t, db.Pool(t))
	_, err = producer.Exec(t.Context(), "SET LOCAL ROLE waybill_producer")
	require.NoError(t, err)
	require.Contains(t, failure(t, func(p *probe) { waybilltest.New(p, producer).Bundles() }), "run the test with the owner")
}
