package waybilltest

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"waybill"
)

// Bundle is one enqueued action: who, where and what. Numbers of JSON are float64.
type Bundle struct {
	ID       int64
	Key      string // the action key
	UserID   string
	DeviceID string

	Event      string // its name as it is sent; empty for traits and groups alone
	Version    string // of the event
	Properties map[string]any
	Revenue    waybill.Revenue

	Set       map[string]any // traits of the user, by how they change
	SetOnce   map[string]any
	Unset     []string
	Increment map[string]float64

	Groups []Group // from root to leaf

	Outcome waybill.Outcome // Queued or Rejected
	Reason  string          // why it was rejected
}

// Group is one level of the account hierarchy.
type Group struct {
	Type   string         `json:"type"`
	ID     string         `json:"id"`
	Parent string         `json:"parent"` // id of the group above; empty for a root
	Set    map[string]any `json:"set"`    // traits of the group
}

// payload is the stored form, as far as a test asks for it.
type payload struct {
	UserID   string `json:"user_id"`
	DeviceID string `json:"device_id"`
	Identify struct {
		Set     map[string]any `json:"set"`
		SetOnce map[string]any `json:"set_once"`
		Unset   []string       `json:"unset"`
	} `json:"identify"`
	Increment map[string]float64 `json:"increment"`
	Groups    []Group            `json:"groups"`
	Track     struct {
		Event      string         `json:"event"`
		Version    string         `json:"version"`
		Properties map[string]any `json:"properties"`
		Revenue    struct {
			Amount   float64 `json:"amount"`
			Currency string  `json:"currency"`
		} `json:"revenue"`
	} `json:"track"`
}

// fill reads the stored form. Of a bundle that was rejected it may be anything.
func (b *Bundle) fill(stored string) error {
	var p payload
	err := json.NewDecoder(bytes.NewReader([]byte(stored))).Decode(&p)
	if err != nil && b.Outcome == waybill.Queued {
		return fmt.Errorf("bundle %d: %w", b.ID, err)
	}
	b.UserID, b.DeviceID = p.UserID, p.DeviceID
	b.Event, b.Version, b.Properties = p.Track.Event, p.Track.Version, p.Track.Properties
	b.Revenue = waybill.Revenue{Amount: p.Track.Revenue.Amount, Currency: p.Track.Revenue.Currency}
	b.Set, b.SetOnce, b.Unset = p.Identify.Set, p.Identify.SetOnce, p.Identify.Unset
	b.Increment, b.Groups = p.Increment, p.Groups
	return nil
}

//go:embed enqueued.sql
var enqueuedSQL string

// scan reads one row with the Scan of either driver.
func scan(into func(...any) error) (Bundle, error) {
	var b Bundle
	var stored string
	if err := into(&b.ID, &b.Key, &stored, &b.Outcome, &b.Reason); err != nil {
		return Bundle{}, err
	}
	return b, b.fill(stored)
}

func readPgx(ctx context.Context, tx pgx.Tx) ([]Bundle, error) {
	if tx == nil {
		return nil, errNoTx
	}
	rows, err := tx.Query(ctx, enqueuedSQL)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Bundle, error) { return scan(row.Scan) })
}

func readSQL(ctx context.Context, tx *sql.Tx) (bundles []Bundle, err error) {
	if tx == nil {
		return nil, errNoTx
	}
	rows, err := tx.QueryContext(ctx, enqueuedSQL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		b, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, b)
	}
	return bundles, rows.Err()
}

var errNoTx = errors.New("the transaction is nil; pass the open one")

// fixes are for what one meets while setting tests up.
var fixes = map[string]string{
	"3F000": "this database has no waybill schema; run: worker migrate",
	"42P01": "this database has no waybill schema; run: worker migrate",
	"42501": "this login may enqueue, but not read what is enqueued; run the test with the owner of the test database",
	"25P02": "the transaction has failed before; look at the error of the code under test",
}

func explain(err error) error {
	var state interface{ SQLState() string }
	if errors.As(err, &state) && fixes[state.SQLState()] != "" {
		return fmt.Errorf("%s: %w", fixes[state.SQLState()], err)
	}
	if errors.Is(err, pgx.ErrTxClosed) || errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("the transaction has ended, and what it enqueued can no longer be told from the rest; look before it does: %w", err)
	}
	return err
}
