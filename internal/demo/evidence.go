//go:build unix

package main

import (
	"context"
	"strings"
)

// evidence is what the shop, its tables, Waybill's ledger and the fake Amplitude each
// say, independently of one another.
type evidence struct {
	Shop     summary
	Business []action // what the shop's tables say has happened
	Ledger   []record // what Waybill recorded
	End      sample   // where everything stood in the end
	Install  string

	Stats    fakeStats
	Events   []fakeEvent               // at Amplitude
	Users    map[string]map[string]any // properties at Amplitude, by user
	Accounts map[string]map[string]any

	Held   int // bundles that the killed worker left behind
	Rescue rescue
}

// summary is what the shop prints: what it committed, as its customers saw it.
type summary struct {
	Orders         int            `json:"orders"`
	Retried        int            `json:"retried"`
	Repeated       int            `json:"repeated"`
	RolledBack     map[string]int `json:"rolled_back"`
	RolledBackKeys []string       `json:"rolled_back_keys"`
	Events         map[string]int `json:"events"`
	Renames        int            `json:"renames"`
	Customers      []customer     `json:"customers"`
	Accounts       []account      `json:"accounts"`
}

type customer struct {
	ID          string `json:"id"`
	Plan        string `json:"plan"`
	OrdersTotal int    `json:"orders_total"`
}

type account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// collect asks everybody, once the queue is quiet or the patience is over.
func (s *stack) collect(ctx context.Context, shop summary) (e evidence, err error) {
	e.Shop = shop
	for _, ask := range []func() error{
		func() (err error) { e.Business, err = s.ledger.business(ctx); return err },
		func() (err error) { e.Ledger, err = s.ledger.records(ctx); return err },
		func() (err error) { e.End, err = s.ledger.sample(ctx); return err },
		func() (err error) { e.Install, err = s.ledger.install(ctx); return err },
		func() (err error) { e.Stats, err = s.fake.stats(ctx); return err },
		func() (err error) { e.Events, err = s.fake.events(ctx); return err },
	} {
		if err := ask(); err != nil {
			return evidence{}, err
		}
	}
	e.Users, e.Accounts = map[string]map[string]any{}, map[string]map[string]any{}
	for _, c := range shop.Customers {
		if e.Users[c.ID], err = s.fake.user(ctx, c.ID); err != nil {
			return evidence{}, err
		}
	}
	for _, a := range shop.Accounts {
		if e.Accounts[a.ID], err = s.fake.account(ctx, a.ID); err != nil {
			return evidence{}, err
		}
	}
	return e, nil
}

// keys are the action keys that each side knows.
type keys struct {
	happened map[string]bool // by the shop's tables
	events   map[string]bool // those of them that are events at Amplitude
	recorded map[string]bool
	taken    map[string]int // events at Amplitude, how often
}

func (e evidence) keys() keys {
	k := keys{happened: map[string]bool{}, events: map[string]bool{}, recorded: map[string]bool{}, taken: map[string]int{}}
	for _, a := range e.Business {
		k.happened[a.Key] = true
		if a.IsEvent {
			k.events[a.Key] = true
		}
	}
	for _, r := range e.Ledger {
		k.recorded[r.Key] = true
	}
	for _, event := range e.Events {
		if !strings.HasPrefix(event.Type, "$") {
			k.taken[e.actionKey(event.InsertID)]++
		}
	}
	return k
}

// actionKey is the key that an event's insert_id was made of. An insert_id that was not
// made so stays as it is and will be found to be nobody's.
func (e evidence) actionKey(insertID string) string {
	key, ours := strings.CutPrefix(insertID, e.Install+":")
	key, track := strings.CutSuffix(key, ":track")
	if !ours || !track {
		return insertID
	}
	return key
}
