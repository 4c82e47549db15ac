// Package waybilltest tells a test what a transaction has enqueued, in the language
// of the tracking plan, and leaves nothing behind.
//
// The code under test runs in a transaction of the test. What it enqueued is visible
// to that transaction alone; the test looks, and rolls back:
//
//	func TestAnOrderIsTracked(t *testing.T) {
//		tx := waybilltest.Begin(t, pool) // rolled back when t ends
//
//		require.NoError(t, placeOrder(t.Context(), tx, order))
//
//		enqueued := waybilltest.New(t, tx)
//		enqueued.RequireTracked(events.OrderCompletedName, waybilltest.Props{"order_id": order.ID})
//	}
//
// Code that begins a transaction of its own runs in one too: give it the pgx.Tx as the
// [Beginner] it wants, and its transaction is a savepoint. What was rolled back to a
// savepoint is not enqueued.
//
// Nothing is faked: the statement of package waybill runs in a real Postgres with
// Waybill's schema. Its login must read waybill.bundle and waybill.delivery, which the
// owner of a test database does and the role waybill_producer does not. Tests may run
// in parallel on one database, unless they use the same action keys: a second
// transaction waits until the first has ended.
//
// The package needs nothing but the drivers that package waybill needs.
package waybilltest

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"waybill"
)

// rollbackTimeout bounds the end of a test's transaction.
const rollbackTimeout = 10 * time.Second

// Beginner is what a transaction of pgx begins on: a pool, a connection, or another
// transaction, where it is a savepoint.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Begin begins a transaction that is rolled back when tb ends.
func Begin(tb testing.TB, db Beginner) pgx.Tx {
	tb.Helper()
	tx, err := db.Begin(tb.Context())
	if err != nil {
		tb.Fatalf("waybilltest: begin: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
		defer cancel()
		if err := tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			tb.Errorf("waybilltest: roll back: %v", err)
		}
	})
	return tx
}

// BeginSQL is [Begin] for database/sql.
func BeginSQL(tb testing.TB, db *sql.DB) *sql.Tx {
	tb.Helper()
	// Not the test's context: with it database/sql would roll back while the test's
	// own clean-up still looks.
	tx, err := db.BeginTx(context.WithoutCancel(tb.Context()), nil)
	if err != nil {
		tb.Fatalf("waybilltest: begin: %v", err)
	}
	tb.Cleanup(func() {
		if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
			tb.Errorf("waybilltest: roll back: %v", err)
		}
	})
	return tx
}

// Ledger is what one open transaction has enqueued, at the moment of each question.
// Made by [New] or [NewSQL]; its methods end the test when what they require is not
// so, and belong to the test's goroutine.
type Ledger struct {
	tb   testing.TB
	read func(context.Context) ([]Bundle, error)
}

// New looks into a transaction of pgx.
func New(tb testing.TB, tx pgx.Tx) *Ledger {
	tb.Helper()
	return &Ledger{tb: tb, read: func(ctx context.Context) ([]Bundle, error) { return readPgx(ctx, tx) }}
}

// NewSQL looks into a transaction of database/sql.
func NewSQL(tb testing.TB, tx *sql.Tx) *Ledger {
	tb.Helper()
	return &Ledger{tb: tb, read: func(ctx context.Context) ([]Bundle, error) { return readSQL(ctx, tx) }}
}

// Bundles are all of them, in order: those to be delivered, and those that the
// database rejected. An action key that was known before is a duplicate and adds
// none.
func (l *Ledger) Bundles() []Bundle {
	l.tb.Helper()
	bundles, err := l.read(l.tb.Context())
	if err != nil {
		l.tb.Fatalf("waybilltest: %v", explain(err))
	}
	return bundles
}

// RequireTracked demands that exactly one bundle tracks the event with at least these
// properties, and is to be delivered. It returns that bundle.
func (l *Ledger) RequireTracked(event string, with Props) Bundle {
	l.tb.Helper()
	return l.one(want{event: event, properties: with})
}

// RequireEvent demands exactly this event of the plan: name, version, action key,
// revenue, these properties and no other, and its groups if it has some of its own. It
// returns the bundle.
//
//	enqueued.RequireEvent(events.OrderCompleted(events.InAccount("acc_1"), "8412", 12.99, "EUR"))
func (l *Ledger) RequireEvent(event waybill.Trackable) Bundle {
	l.tb.Helper()
	wanted, err := bundleOf(l.tb.Context(), event)
	if err != nil {
		l.tb.Fatalf("waybilltest: the wanted event could not be enqueued itself: %v", err)
	}
	return l.one(want{event: wanted.Event, properties: wanted.Properties, exact: &wanted})
}

// RequireNotTracked demands that no bundle tracks the event.
func (l *Ledger) RequireNotTracked(event string) {
	l.tb.Helper()
	bundles := l.Bundles()
	for _, b := range bundles {
		if b.Event == event {
			l.tb.Fatalf("waybilltest: %s was to be left alone\n%s", event, listed(bundles, want{}))
		}
	}
}

// RequireNothing demands that nothing was enqueued at all.
func (l *Ledger) RequireNothing() {
	l.tb.Helper()
	if bundles := l.Bundles(); len(bundles) > 0 {
		l.tb.Fatalf("waybilltest: nothing was to be enqueued\n%s", listed(bundles, want{}))
	}
}

// one finds the only bundle that is as wanted.
func (l *Ledger) one(w want) Bundle {
	l.tb.Helper()
	bundles := l.Bundles()
	var found []Bundle
	for _, b := range bundles {
		if len(w.against(b)) == 0 {
			found = append(found, b)
		}
	}
	switch {
	case len(found) == 0:
		l.tb.Fatalf("waybilltest: %s is not enqueued\n%s", w, listed(bundles, w))
	case len(found) > 1:
		l.tb.Fatalf("waybilltest: %s is enqueued %d times; name a property that tells them apart\n%s", w, len(found), listed(found, want{}))
	case found[0].Outcome != waybill.Queued:
		l.tb.Fatalf("waybilltest: %s is %s: %s", w, found[0].Outcome, found[0].Reason)
	}
	return found[0]
}

// RequireOutcomes demands what became of the events of one call, in order: a retried
// request is a [waybill.Duplicate].
//
//	receipt, err := client.Track(ctx, tx, actor, first, second)
//	waybilltest.RequireOutcomes(t, receipt, waybill.Queued, waybill.Duplicate)
func RequireOutcomes(tb testing.TB, receipt waybill.Receipt, outcomes ...waybill.Outcome) {
	tb.Helper()
	same := len(receipt.Items) == len(outcomes)
	for i := 0; same && i < len(outcomes); i++ {
		same = receipt.Items[i].Outcome == outcomes[i]
	}
	if !same {
		tb.Fatalf("waybilltest: the outcomes are not %v\n%s", outcomes, items(receipt))
	}
}
