package waybilltest

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"waybill"
)

// bundleOf is the bundle that a client makes of an event. It asks a client, so that
// the two cannot differ.
func bundleOf(ctx context.Context, event waybill.Trackable) (Bundle, error) {
	client, err := waybill.New(waybill.Config{})
	if err != nil {
		return Bundle{}, err
	}
	var caught catcher
	_, err = client.Track(ctx, &caught, waybill.User("any"), strict(event))
	if !errors.Is(err, errCaught) {
		return Bundle{}, err
	}
	b := Bundle{Key: event.AsEvent().Key, Outcome: waybill.Queued}
	err = b.fill(caught.bundle)
	b.UserID = ""
	return b, err
}

// strict is an event without a delivery class: what is asked is what it would be.
func strict(event waybill.Trackable) waybill.Trackable {
	if _, hasPlace := event.(interface{ Groups() []waybill.Group }); hasPlace {
		return placed{plain{event}}
	}
	return plain{event}
}

type plain struct{ waybill.Trackable }

func (p plain) Validate() error {
	if checked, ok := p.Trackable.(interface{ Validate() error }); ok {
		return checked.Validate()
	}
	return nil
}

type placed struct{ plain }

func (p placed) Groups() []waybill.Group {
	return p.Trackable.(interface{ Groups() []waybill.Group }).Groups()
}

var errCaught = errors.New("caught")

// catcher is a transaction that takes the one call of a client and goes no further.
type catcher struct {
	pgx.Tx // nil: a client asks for nothing else
	bundle string
}

// Query keeps the bundle.
func (c *catcher) Query(_ context.Context, _ string, args ...any) (pgx.Rows, error) {
	if text, ok := args[len(args)-1].(string); ok {
		c.bundle = text
	}
	return nil, errCaught
}
