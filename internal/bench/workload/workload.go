// Package workload makes the events that everything is measured with: completed orders of a shop, the same ones in
// every run. The bundle of one is about 600 bytes of JSON.
package workload

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// How often something repeats among n orders: a user places ten, and three users share a workspace, three workspaces an
// account. Traits stay as they are, so that all but a user's first bundle make one Amplitude event.
const (
	ordersPerUser      = 10
	usersPerWorkspace  = 3
	workspacesPerGroup = 3
)

// Order is one business action.
type Order struct {
	Key       string // action key
	Number    int
	User      string
	Account   string
	Workspace string
	Cents     int
	Trait     string // of the user; changing in every order if the Shop says so
	Bytes     int    // of the bundle, 0 for as many as it has
}

// Shop decides who places an order.
type Shop struct {
	// Name makes action keys differ between the runs that share a database.
	Name string
	// Orders is about how many there will be; it decides how many users there are.
	Orders int
	// Restless users have a trait that differs in each order.
	Restless bool
	// Hot gives every other order to one and the same user.
	Hot bool
	// Bytes is about how large a bundle is. 0 leaves it at its 600; below, traits and groups are left out, and above,
	// properties are added that do not compress.
	Bytes int
}

// Order is the i-th order. It may be called from several goroutines.
func (s Shop) Order(i int) Order {
	users := max(s.Orders/ordersPerUser, 10)
	user := int(uint64(i) * 2654435761 % uint64(users)) // neighbours are different users
	if s.Hot && i%2 == 0 {
		user = 0
	}
	o := Order{
		Bytes:     s.Bytes,
		Key:       fmt.Sprintf("order:%s:%08d:completed", s.Name, i),
		Number:    i,
		User:      fmt.Sprintf("usr_%08d", user),
		Workspace: fmt.Sprintf("ws_%06d", user/usersPerWorkspace),
		Account:   fmt.Sprintf("acc_%06d", user/usersPerWorkspace/workspacesPerGroup),
		Cents:     1000 + i%9000,
		Trait:     "s00000000",
	}
	if s.Restless {
		o.Trait = fmt.Sprintf("s%08d", i)
	}
	return o
}

// OrdersFrom are the orders from the given one on, up to and without `to`.
func (s Shop) OrdersFrom(from, to int) []Order {
	orders := make([]Order, 0, to-from)
	for i := from; i < to; i++ {
		orders = append(orders, s.Order(i))
	}
	return orders
}

// EventName is the one event of a Shop.
const EventName = "Order_Completed"

// Version is the version of its definition.
const Version = "1.0"

// Properties are the event's properties.
func (o Order) Properties() map[string]any {
	return map[string]any{
		"order_id":        "ord_" + strconv.Itoa(10_000_000+o.Number),
		"total_cents":     o.Cents,
		"items":           1 + o.Number%7,
		"channel":         "storefront",
		"payment_method":  "card",
		"shipping_method": "standard",
	}
}

// Traits are what is known about the user.
func (o Order) Traits() map[string]any {
	return map[string]any{"plan": "pro", "funnel": o.Trait}
}

// AccountName and WorkspaceName are the one trait of each group.
func (o Order) AccountName() string { return "Account " + o.Account }

// WorkspaceName is the trait of the workspace.
func (o Order) WorkspaceName() string { return "Workspace " + o.Workspace }

// Bundle is the JSON v1 that package waybill makes of the order, field by field.
type Bundle struct {
	V        int      `json:"v"`
	Key      string   `json:"key" river:"unique"`
	UserID   string   `json:"user_id"`
	Identify Identify `json:"identify,omitzero"`
	Groups   []Group  `json:"groups,omitempty"`
	Track    Track    `json:"track"`
	Context  Context  `json:"context,omitzero"`
	Source   string   `json:"source"`
}

// The parts of a Bundle.
type (
	// Identify is what is known about the user.
	Identify struct {
		Set map[string]any `json:"set,omitempty"`
	}
	// Group is one level of the hierarchy.
	Group struct {
		Type   string         `json:"type"`
		ID     string         `json:"id"`
		Parent string         `json:"parent,omitempty"`
		Set    map[string]any `json:"set"`
	}
	// Track is the event.
	Track struct {
		Event      string         `json:"event"`
		Version    string         `json:"version"`
		Properties map[string]any `json:"properties"`
	}
	// Context is where it happened.
	Context struct {
		Platform   string `json:"platform"`
		AppVersion string `json:"app_version"`
		Language   string `json:"language"`
	}
)

// Bundle is the bundle of the order. Stock River gets the same one as the arguments of its job.
func (o Order) Bundle() Bundle {
	b := Bundle{V: 1, Key: o.Key, UserID: o.User, Source: "server", Track: Track{EventName, Version, o.Properties()}}
	if o.Bytes == 0 || o.Bytes >= usual {
		b.Identify = Identify{o.Traits()}
		b.Groups = []Group{
			{Type: "account", ID: o.Account, Set: map[string]any{"name": o.AccountName()}},
			{Type: "workspace", ID: o.Workspace, Parent: o.Account, Set: map[string]any{"name": o.WorkspaceName()}},
		}
		b.Context = Context{"web", "4.2.0", "de"}
	}
	o.pad(b.Track.Properties)
	return b
}

const (
	usual = 600 // bytes of a bundle
	note  = 900 // bytes of one added property; Amplitude cuts strings at 1,024 characters
)

// pad adds notes until the bundle is as large as it is to be.
func (o Order) pad(properties map[string]any) {
	random := rand.NewChaCha8([32]byte{byte(o.Number), byte(o.Number >> 8), byte(o.Number >> 16), byte(o.Number >> 24)})
	for i, missing := 0, o.Bytes-usual; missing > 20; i++ {
		raw := make([]byte, min(missing-16, note)/2)
		_, _ = random.Read(raw) // cannot fail
		properties["note_"+strconv.Itoa(i)] = hex.EncodeToString(raw)
		missing -= 2*len(raw) + 16
	}
}

// JSON is the bundle as text.
func (o Order) JSON() []byte {
	text, err := json.Marshal(o.Bundle())
	if err != nil {
		panic(err) // strings and numbers can always be written
	}
	return text
}
