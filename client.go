package waybill

import (
	"cmp"
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// Client puts events into transactions of type TTx. It holds no connection and
// starts nothing; there is nothing to close, and it may be used from several
// goroutines.
type Client[TTx any] struct {
	config     Config
	door       door[TTx]
	bestEffort bool
	counters   *counters
	now        func() time.Time
}

// New makes a Client for pgx. The error is for settings that contradict each
// other, which none can yet.
func New(config Config) (*Client[pgx.Tx], error) {
	return newClient[pgx.Tx](config, pgxDoor{}), nil
}

// NewSQL makes a Client for database/sql, with any driver for Postgres. The error
// is that of [New].
func NewSQL(config Config) (*Client[*sql.Tx], error) {
	return newClient[*sql.Tx](config, sqlDoor{}), nil
}

func newClient[TTx any](config Config, d door[TTx]) *Client[TTx] {
	config.Logger = cmp.Or(config.Logger, slog.Default())
	return &Client[TTx]{config: config, door: d, counters: new(counters), now: time.Now}
}

// Track records events that actor caused, one bundle each, in tx. All go in one
// statement; the actor's traits and groups travel with every one. No events, no
// statement.
//
// It is strict: if any event cannot be delivered as it is, the error is a
// [*RejectedError], nothing was sent, and tx is still usable. Any other error
// comes from the database and leaves tx to be rolled back. The receipt is
// complete in every case. A client made by [Client.BestEffort] returns no error.
//
// An event whose definition makes it best effort (see [Trackable]) stays so beside
// strict ones: those are recorded first, in a statement of their own; if that fails
// nothing else of the call is sent, and what fails afterwards is in the receipt and no
// error.
//
// Cancelling ctx during the statement closes the connection, as it does for any
// statement of pgx: give it the context of the transaction.
func (c *Client[TTx]) Track(ctx context.Context, tx TTx, actor Actor, events ...Trackable) (Receipt, error) {
	return c.send(ctx, tx, actor, read(events))
}

// Identify records the actor's traits and groups without an event, under an
// action key of its own, such as user:42:signed_up. Otherwise it is like
// [Client.Track].
func (c *Client[TTx]) Identify(ctx context.Context, tx TTx, key string, actor Actor) (Receipt, error) {
	return c.send(ctx, tx, actor, []draft{{event: Event{Key: key}, lone: true}})
}

// BestEffort is a view of the client whose calls leave the transaction usable
// whatever is wrong with the events or with the schema, and whose error is always
// nil: read the receipt, or nothing. Events that cannot be delivered are logged,
// counted and left out; the others of the call go out. Waiting for a lock is
// given up after half a second.
//
// Only what ends the transaction anyway still does: a lost connection, a
// cancelled context.
func (c *Client[TTx]) BestEffort() *Client[TTx] {
	view := *c
	view.bestEffort = true
	return &view
}

// Token is the token of an identifier that must not leave the house, by
// [Config.Hasher]. See [Hasher.Token].
func (c *Client[TTx]) Token(label, value string) Token {
	return c.config.Hasher.Token(label, value)
}

// Counts is what became of all events so far, one entry for every outcome and
// reason there can be, always in the same order: for the application's metrics.
// A client and its views count together.
func (c *Client[TTx]) Counts() []Count { return c.counters.snapshot() }
