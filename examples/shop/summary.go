package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"example.com/shop/events"
)

// Summary is what one run of the traffic committed, as its customers saw it, and what
// the shop's books say afterwards.
type Summary struct {
	Orders   int `json:"orders"`   // committed, each once
	Retried  int `json:"retried"`  // orders that were asked for twice
	Repeated int `json:"repeated"` // answers that the order existed already

	// RolledBack counts the requests that came to nothing, by what went wrong. Their
	// keys must be found nowhere.
	RolledBack     map[string]int `json:"rolled_back"`
	RolledBackKeys []string       `json:"rolled_back_keys"`

	Events  map[string]int `json:"events"`  // committed, by name
	Renames int            `json:"renames"` // of accounts, which have no event

	Customers []Expected `json:"customers"`
	Accounts  []Named    `json:"accounts"`
}

// String is the summary for people.
func (s Summary) String() string {
	var b strings.Builder
	failed := 0
	for _, n := range s.RolledBack {
		failed += n
	}
	fmt.Fprintf(&b, "%d orders committed, %d of them asked for twice; %d requests rolled back\n",
		s.Orders, s.Retried, failed)
	fmt.Fprintf(&b, "%d views, %d reviews, %d changes of plan, %d accounts renamed\n",
		s.Events[events.ProductViewedName], s.Events[events.OrderReviewedName], s.Events[events.PlanChangedName], s.Renames)
	return b.String()
}

// tally is a Summary that many customers add to.
type tally struct {
	mu      sync.Mutex
	summary Summary
}

func (t *tally) add(change func(*Summary)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.summary.Events == nil {
		t.summary.Events, t.summary.RolledBack = map[string]int{}, map[string]int{}
	}
	change(&t.summary)
}

// close completes the summary with the books.
func (t *tally) close(ctx context.Context, shop *Shop) (Summary, error) {
	customers, accounts, err := shop.Books(ctx)
	if err != nil {
		return Summary{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.summary.Customers, t.summary.Accounts = customers, accounts
	return t.summary, nil
}
