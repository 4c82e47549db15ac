package waybill_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"waybill"
)

func Example() {
	ctx := context.Background()
	client, err := waybill.New(waybill.Config{})
	if err != nil {
		log.Fatal(err)
	}
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE orders SET state = 'completed' WHERE id = 8412`); err != nil {
			return err
		}
		_, err := client.Track(ctx, tx,
			waybill.User("usr_42").With(waybill.Set("plan", "pro"), waybill.Increment("orders_total", 1)).
				In(waybill.Account("acc_1"), waybill.Workspace("ws_7")),
			waybill.Event{
				Name: "Order_Completed", Key: "order:8412:completed",
				Properties: waybill.Properties{"total_cents": 1299},
			})
		return err
	})
	if err != nil {
		log.Print(err)
	}
}

// The switches of the environment, read once at start.
func ExampleConfigFromEnv() {
	config, err := waybill.ConfigFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	client, err := waybill.NewSQL(config)
	if err != nil {
		log.Fatal(err)
	}
	_ = client
}

// An order must not fail because its analytics cannot be recorded, yet the team
// wants to know.
func ExampleClient_Track_rejected() {
	track := func(ctx context.Context, client *waybill.Client[pgx.Tx], tx pgx.Tx) error {
		_, err := client.Track(ctx, tx, waybill.User("usr_42"), waybill.Event{Name: "Order_Completed", Key: "order:8412:completed"})
		var rejected *waybill.RejectedError
		if errors.As(err, &rejected) {
			log.Print(rejected) // the transaction goes on
			return nil
		}
		return err
	}
	_ = track
}

// A page view may be lost, but must not disturb.
func ExampleClient_BestEffort() {
	view := func(ctx context.Context, client *waybill.Client[*sql.Tx], tx *sql.Tx, session string) {
		_, _ = client.BestEffort().Track(ctx, tx, waybill.Device("web-7f3a"),
			waybill.Event{Name: "Detail_Viewed", Key: "view:" + session + ":order:8412"})
	}
	_ = view
}

// Traits and groups, recorded at sign-up without an event.
func ExampleClient_Identify() {
	signUp := func(ctx context.Context, client *waybill.Client[pgx.Tx], tx pgx.Tx) error {
		_, err := client.Identify(ctx, tx, "user:42:signed_up",
			waybill.User("42").With(waybill.SetOnce("signup_date", "2026-11-22")).
				In(waybill.Account("acc_1", waybill.Set("name", "Acme"))))
		return err
	}
	_ = signUp
}

// OrderCompleted is a typed event: its fields are checked by the compiler, its
// name and key stand in one place.
type OrderCompleted struct {
	OrderID    string
	TotalCents int
}

func (o OrderCompleted) AsEvent() waybill.Event {
	return waybill.Event{
		Name: "Order_Completed", Key: "order:" + o.OrderID + ":completed", Version: "1.0",
		Properties: waybill.Properties{"order_id": o.OrderID, "total_cents": o.TotalCents},
	}
}

func ExampleTrackable() {
	var event waybill.Trackable = OrderCompleted{OrderID: "8412", TotalCents: 1299}
	fmt.Println(event.AsEvent().Key)
	// Output: order:8412:completed
}

func ExampleHasher() {
	hasher, err := waybill.NewHasher("k1:an example key, never use it")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hasher)
	phone := hasher.Token("phone", "+49301234567")
	again := hasher.Token("phone", "+49301234567")
	fax := hasher.Token("fax", "+49301234567")
	fmt.Println(phone == again, phone == fax)
	// Output:
	// waybill.Hasher(k1)
	// true false
}
