//go:build unix

package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// honest is a small demo in which everything balances: two orders, one of them asked for
// twice, a review, a renamed account and two requests that came to nothing.
func honest() evidence {
	return evidence{
		Shop: summary{
			Orders: 2, Retried: 1, Repeated: 1,
			RolledBack:     map[string]int{"declined": 1, "panicked": 1},
			RolledBackKeys: []string{"order_completed:3", "order_completed:4"},
			Events:         map[string]int{"order_completed": 2, "order_reviewed": 1},
			Renames:        1,
			Customers:      []customer{{ID: "usr_1", Plan: "pro", OrdersTotal: 2}},
			Accounts:       []account{{ID: "acc_1", Name: "Acme"}},
		},
		Business: []action{
			{Key: "order_completed:1", IsEvent: true, Cents: 1299},
			{Key: "order_completed:2", IsEvent: true, Cents: 1},
			{Key: "order_reviewed:1", IsEvent: true},
			{Key: "account:acc_1:renamed:1"},
		},
		Ledger: []record{
			{"order_completed:1", "delivered"},
			{"order_completed:2", "delivered"},
			{"order_reviewed:1", "delivered"},
			{"account:acc_1:renamed:1", "delivered"},
		},
		Install: "abcd",
		Stats: fakeStats{
			Accepted: 4, Duplicates: 2,
			Faults: map[string]int{"throttled": 1, "503": 1, "lost": 1},
		},
		Events: []fakeEvent{
			{InsertID: "abcd:order_completed:1:track", Type: "order_completed", Revenue: 12.99},
			{InsertID: "abcd:order_completed:2:track", Type: "order_completed", Revenue: 0.01},
			{InsertID: "abcd:order_reviewed:1:track", Type: "order_reviewed"},
			{InsertID: "abcd:account:acc_1:renamed:1:group:account", Type: "$groupidentify"},
		},
		Users:    map[string]map[string]any{"usr_1": {"plan_tier": "pro", "orders_total": 2.0}},
		Accounts: map[string]map[string]any{"acc_1": {"name": "Acme"}},
		Held:     3,
		Rescue:   rescue{Delivered: 3, Seconds: 9.4},
	}
}

func TestAnHonestDemoBalances(t *testing.T) {
	t.Parallel()
	rows := balance(honest())
	for _, r := range rows {
		require.True(t, r.ok, "%s: %s", r.what, r.why)
	}
	require.True(t, balanced(rows))
	require.False(t, balanced(nil), "an empty table proves nothing")
}

// Every lie must be found, in the rows where a reader would look for it and in no other.
func TestTheTableFindsEveryLie(t *testing.T) {
	t.Parallel()
	const (
		orders, rolledBack, retried, bundles = "orders committed", "rolled back on purpose", "asked for twice, same action key", "bundles"
		delivered, events, revenue           = "delivered", "events counted by Amplitude", "revenue at Amplitude, EUR"
		absorbed, perBundle                  = "duplicate sends absorbed", "Amplitude events per bundle"
		users, accounts, faults              = "users with the newest traits", "accounts with the newest name", "requests answered badly"
		held, recovery                       = "orphans of the killed worker", "seconds from kill to last orphan"
	)
	ghost := func(key string) fakeEvent {
		return fakeEvent{InsertID: "abcd:" + key + ":track", Type: "order_completed"}
	}
	lies := map[string]struct {
		lie  func(*evidence)
		rows []string
		why  string // of the last of the rows
	}{
		"a lost event": {func(e *evidence) { e.Events = e.Events[1:] },
			[]string{orders, revenue, events}, "lost: order_completed:1"},
		"a lost review": {func(e *evidence) { e.Events = slices.Delete(e.Events, 2, 3) },
			[]string{events}, "lost: order_reviewed:1"},
		"an event counted twice": {func(e *evidence) { e.Events = append(e.Events, e.Events[2]) },
			[]string{events}, "1 counted twice"},
		"an order counted twice": {func(e *evidence) { e.Events = append(e.Events, e.Events[1]) },
			[]string{events, revenue}, "the orders come to 13.00"},
		"an event stored twice and evicted": {func(e *evidence) { e.Stats.StoredTwice = 1 },
			[]string{events, absorbed}, "1 were counted"},
		"an event that nobody committed": {func(e *evidence) { e.Events = append(e.Events, ghost("order_completed:9")) },
			[]string{orders, events}, "ghosts: order_completed:9"},
		"an event of a rolled back order": {func(e *evidence) { e.Events = append(e.Events, ghost("order_completed:3")) },
			[]string{orders, events, rolledBack}, "ghosts: order_completed:3"},
		"an insert_id of another database": {func(e *evidence) { e.Events[2].InsertID = "efgh:order_reviewed:1:track" },
			[]string{events}, "lost: order_reviewed:1"},
		"a fake that has forgotten": {func(e *evidence) { e.Stats.Forgotten = 7 },
			[]string{events}, "the fake has forgotten 7"},

		"a bundle that is missing": {func(e *evidence) { e.Ledger = e.Ledger[:3] },
			[]string{bundles}, "lost: account:acc_1:renamed:1"},
		"a bundle of a rolled back order": {func(e *evidence) {
			e.Ledger = append(e.Ledger, record{"order_completed:3", "delivered"})
		}, []string{orders, rolledBack, bundles}, "ghosts: order_completed:3"},
		"an action key with two bundles": {func(e *evidence) { e.Ledger = append(e.Ledger, e.Ledger[2]) },
			[]string{bundles}, "only 4 action keys"},
		"a commit that the shop did not see": {func(e *evidence) { e.Shop.Events["order_reviewed"] = 0 },
			[]string{bundles}, "the shop counts 3"},
		"a bundle that waits": {func(e *evidence) { e.Ledger[0].Outcome = "waiting" },
			[]string{delivered}, "1 waiting"},
		"bundles that were given up": {func(e *evidence) {
			e.Ledger[0].Outcome, e.Ledger[1].Outcome, e.Ledger[2].Outcome = "rejected", "uncertain", "rejected"
		}, []string{delivered}, "2 rejected, 1 uncertain"},
		"a job that never ended": {func(e *evidence) { e.End.Unfinished = 1 },
			[]string{delivered}, "1 jobs or requests are left"},

		"an order that the shop lost": {func(e *evidence) { e.Business = e.Business[1:] },
			[]string{orders, bundles, events, revenue}, "the orders come to 0.01"},
		"an order that the shop dreamt": {func(e *evidence) { e.Shop.Orders = 3 },
			[]string{orders}, "2 rows, 2 bundles, 2 events"},
		"nothing was sold": {func(e *evidence) { e.Shop.Orders = 0 },
			[]string{orders}, "the shop has sold nothing"},
		"nothing was rolled back": {func(e *evidence) { e.Shop.RolledBack, e.Shop.RolledBackKeys = nil, nil },
			[]string{rolledBack}, "0 action keys"},
		"a rollback without a key": {func(e *evidence) { e.Shop.RolledBackKeys = e.Shop.RolledBackKeys[1:] },
			[]string{rolledBack}, "1 action keys"},
		"a second request that was taken for new": {func(e *evidence) { e.Shop.Repeated = 0 },
			[]string{retried}, "0 were seen to be repeated"},
		"nothing was asked for twice": {func(e *evidence) { e.Shop.Retried, e.Shop.Repeated = 0, 0 },
			[]string{retried}, "nothing was asked for twice"},

		"lost answers that were not repeated": {func(e *evidence) { e.Stats.Duplicates = 0 },
			[]string{absorbed}, "lost answers were not repeated"},
		"traits that never stay at home": {func(e *evidence) { e.Stats.Accepted = 12 },
			[]string{perBundle}, "at most 1.5"},
		"a stale plan": {func(e *evidence) { e.Users["usr_1"]["plan_tier"] = "free" },
			[]string{users}, "stale: usr_1"},
		"a lost increment": {func(e *evidence) { e.Users["usr_1"]["orders_total"] = 1.0 },
			[]string{users}, "stale: usr_1"},
		"an unknown user": {func(e *evidence) { e.Users = nil },
			[]string{users}, "stale: usr_1"},
		"a stale name": {func(e *evidence) { e.Accounts["acc_1"]["name"] = "Acme before" },
			[]string{accounts}, "stale: acc_1"},
		"nobody to ask about": {func(e *evidence) { e.Shop.Customers, e.Shop.Accounts = nil, nil },
			[]string{users, accounts}, "the shop has no accounts"},
		"an Amplitude that was well": {func(e *evidence) { delete(e.Stats.Faults, "503") },
			[]string{faults}, "1 429, 0 503, 1 lost: one of each, please"},

		"an orphan": {func(e *evidence) { e.Rescue.Delivered = 2 },
			[]string{held}, "2 are delivered"},
		"a kill for nothing": {func(e *evidence) { e.Held, e.Rescue = 0, rescue{} },
			[]string{held, recovery}, "not measured"},
		"a slow rescue": {func(e *evidence) { e.Rescue.Seconds = 15.1 },
			[]string{recovery}, "at most 15"},
	}
	for name, c := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := honest()
			c.lie(&e)
			rows := balance(e)
			require.False(t, balanced(rows))
			why := map[string]string{}
			for _, r := range rows {
				if !r.ok {
					why[r.what] = r.why
				}
			}
			require.ElementsMatch(t, c.rows, slices.Collect(maps.Keys(why)))
			require.Equal(t, c.why, why[c.rows[len(c.rows)-1]])
		})
	}
}

func TestTheTableFitsATerminal(t *testing.T) {
	t.Parallel()
	big := honest()
	big.Shop.Orders = 12_345_678
	for _, rows := range [][]row{balance(honest()), balance(big), balance(evidence{})} {
		text := table(rows)
		require.Equal(t, len(rows), strings.Count(text, "\n"))
		for line := range strings.Lines(text) {
			require.LessOrEqual(t, utf8.RuneCountInString(line), columns, line)
		}
	}
	require.NotContains(t, table(balance(honest())), "…", "no reason of a good row is cut")
	require.Equal(t, "  bundles                                 4  ✓ one for each committed action\n",
		table([]row{{"bundles", "4", true, "one for each committed action"}}))
	require.Contains(t, table([]row{{"bundles", "4", false, "lost: order_completed:1"}}), "✗ lost: order_completed:1")
}
