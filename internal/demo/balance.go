//go:build unix

package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// row is a line of the table: a number, whether it is right, and why.
type row struct {
	what   string
	number string
	ok     bool
	why    string
}

// What the demo demands besides equality.
const (
	mostEventsPerBundle = 1.5
	mostSecondsToRescue = 15.0
)

// balance compares what the sides say. It is all the judgement there is.
func balance(e evidence) []row {
	k := e.keys()
	return []row{
		e.orders(k),
		e.rolledBack(k),
		e.retried(),
		e.bundles(k),
		e.delivered(),
		e.counted(k),
		e.revenue(),
		e.absorbed(),
		e.eventsPerBundle(),
		e.users(),
		e.accounts(),
		e.faults(),
		e.held(),
		e.recovery(),
	}
}

// balanced says whether every row is right.
func balanced(rows []row) bool {
	return len(rows) > 0 && !slices.ContainsFunc(rows, func(r row) bool { return !r.ok })
}

// judge makes a row. The first doubt that is not empty stands in it as the reason.
func judge(what, number, why string, doubts ...string) row {
	for _, doubt := range doubts {
		if doubt != "" {
			return row{what, number, false, doubt}
		}
	}
	return row{what, number, true, why}
}

// unless is a doubt if something does not hold.
func unless(holds bool, format string, args ...any) string {
	if holds {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func (e evidence) orders(k keys) row {
	isOrder := func(key string) bool { return strings.HasPrefix(key, "order_completed:") }
	table, ledger, amplitude := having(k.happened, isOrder), having(k.recorded, isOrder), having(k.taken, isOrder)
	return judge("orders committed", thousands(e.Shop.Orders), "as many rows, bundles and events",
		unless(e.Shop.Orders > 0, "the shop has sold nothing"),
		unless(table == e.Shop.Orders && ledger == table && amplitude == table,
			"%d rows, %d bundles, %d events", table, ledger, amplitude))
}

func (e evidence) rolledBack(k keys) row {
	n := 0
	for _, times := range e.Shop.RolledBack {
		n += times
	}
	var ghosts []string
	for _, key := range e.Shop.RolledBackKeys {
		if k.recorded[key] || k.taken[key] > 0 {
			ghosts = append(ghosts, key)
		}
	}
	return judge("rolled back on purpose", thousands(n), "no trace of any",
		unless(n > 0 && n == len(e.Shop.RolledBackKeys), "%d action keys", len(e.Shop.RolledBackKeys)),
		unless(len(ghosts) == 0, "ghosts: %s", some(ghosts)))
}

func (e evidence) retried() row {
	return judge("asked for twice, same action key", thousands(e.Shop.Retried), "one order and one event each",
		unless(e.Shop.Retried > 0, "nothing was asked for twice"),
		unless(e.Shop.Repeated == e.Shop.Retried, "%d were seen to be repeated", e.Shop.Repeated))
}

func (e evidence) bundles(k keys) row {
	committed := e.Shop.Renames
	for _, n := range e.Shop.Events {
		committed += n
	}
	lost, ghosts := differ(k.happened, k.recorded)
	return judge("bundles", thousands(len(e.Ledger)), "one for each committed action",
		unless(len(lost) == 0, "lost: %s", some(lost)),
		unless(len(ghosts) == 0, "ghosts: %s", some(ghosts)),
		unless(len(e.Ledger) == len(k.recorded), "only %d action keys", len(k.recorded)),
		unless(len(e.Ledger) == committed, "the shop counts %d", committed))
}

func (e evidence) delivered() row {
	outcomes := map[string]int{}
	for _, r := range e.Ledger {
		outcomes[r.Outcome]++
	}
	delivered := outcomes["delivered"]
	delete(outcomes, "delivered")
	var others []string
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		others = append(others, fmt.Sprintf("%d %s", outcomes[outcome], outcome))
	}
	return judge("delivered", thousands(delivered), "all of them, and nothing is left",
		unless(len(others) == 0, "%s", strings.Join(others, ", ")),
		unless(e.End.Unfinished == 0, "%d jobs or requests are left", e.End.Unfinished))
}

func (e evidence) counted(k keys) row {
	lost, ghosts := differ(k.events, k.taken)
	twice := having(k.taken, func(key string) bool { return k.taken[key] > 1 })
	return judge("events counted by Amplitude", thousands(len(k.taken)), "each committed one, once",
		unless(len(lost) == 0, "lost: %s", some(lost)),
		unless(len(ghosts) == 0, "ghosts: %s", some(ghosts)),
		unless(twice == 0 && e.Stats.StoredTwice == 0, "%d counted twice", max(twice, e.Stats.StoredTwice)),
		unless(e.Stats.Forgotten == 0, "the fake has forgotten %d", e.Stats.Forgotten))
}

func (e evidence) revenue() row {
	var sold int64
	for _, a := range e.Business {
		sold += a.Cents
	}
	counted := 0.0
	for _, event := range e.Events {
		counted += event.Revenue
	}
	cents := int64(math.Round(counted * 100))
	return judge("revenue at Amplitude, EUR", thousands(int(cents/100)), "the orders' sum, to the cent",
		unless(cents == sold, "the orders come to %d.%02d", sold/100, sold%100))
}

func (e evidence) absorbed() row {
	return judge("duplicate sends absorbed", thousands(e.Stats.Duplicates), "the same insert_id every time",
		unless(e.Stats.StoredTwice == 0, "%d were counted", e.Stats.StoredTwice),
		unless(e.Stats.Duplicates > 0 || e.Stats.Faults["lost"] == 0, "lost answers were not repeated"))
}

func (e evidence) eventsPerBundle() row {
	ratio := float64(e.Stats.Accepted) / float64(max(len(e.Ledger), 1))
	return judge("Amplitude events per bundle", fmt.Sprintf("%.2f", ratio), "unchanged traits stay at home",
		unless(ratio <= mostEventsPerBundle, "at most %.1f", mostEventsPerBundle))
}

func (e evidence) users() row {
	var stale []string
	for _, c := range e.Shop.Customers {
		properties := e.Users[c.ID]
		total, _ := properties["orders_total"].(float64)
		if properties["plan_tier"] != c.Plan || int(total) != c.OrdersTotal {
			stale = append(stale, c.ID)
		}
	}
	return judge("users with the newest traits", thousands(len(e.Shop.Customers)-len(stale)), "plan_tier and orders_total",
		unless(len(e.Shop.Customers) > 0, "the shop has no customers"),
		unless(len(stale) == 0, "stale: %s", some(stale)))
}

func (e evidence) accounts() row {
	var stale []string
	for _, a := range e.Shop.Accounts {
		if e.Accounts[a.ID]["name"] != a.Name {
			stale = append(stale, a.ID)
		}
	}
	return judge("accounts with the newest name", thousands(len(e.Shop.Accounts)-len(stale)), "as a group property",
		unless(len(e.Shop.Accounts) > 0, "the shop has no accounts"),
		unless(len(stale) == 0, "stale: %s", some(stale)))
}

func (e evidence) faults() row {
	throttled, unavailable, lost := e.Stats.Faults["throttled"], e.Stats.Faults["503"], e.Stats.Faults["lost"]
	return judge("requests answered badly", thousands(throttled+unavailable+lost),
		fmt.Sprintf("%d 429, %d 503, %d answers lost", throttled, unavailable, lost),
		unless(throttled > 0 && unavailable > 0 && lost > 0, "%d 429, %d 503, %d lost: one of each, please",
			throttled, unavailable, lost))
}

func (e evidence) held() row {
	return judge("orphans of the killed worker", thousands(e.Held), "delivered by the other workers",
		unless(e.Held > 0, "it was killed for nothing"),
		unless(e.Rescue.Delivered == e.Held, "%d are delivered", e.Rescue.Delivered))
}

func (e evidence) recovery() row {
	return judge("seconds from kill to last orphan", fmt.Sprintf("%.1f", e.Rescue.Seconds),
		fmt.Sprintf("at most %.0f", mostSecondsToRescue),
		unless(e.Rescue.Seconds <= mostSecondsToRescue, "at most %.0f", mostSecondsToRescue),
		unless(e.Rescue.Seconds > 0, "not measured"))
}

// having counts the keys with a quality.
func having[V any](set map[string]V, quality func(string) bool) int {
	n := 0
	for key := range set {
		if quality(key) {
			n++
		}
	}
	return n
}

// differ returns the keys that only one side has, sorted.
func differ[A, B any](wanted map[string]A, found map[string]B) (missing, extra []string) {
	return without(wanted, found), without(found, wanted)
}

func without[A, B any](set map[string]A, other map[string]B) []string {
	var only []string
	for key := range set {
		if _, both := other[key]; !both {
			only = append(only, key)
		}
	}
	slices.Sort(only)
	return only
}

// some names the first of several keys.
func some(keys []string) string {
	switch len(keys) {
	case 0:
		return "none"
	case 1:
		return keys[0]
	}
	return fmt.Sprintf("%d, e.g. %s", len(keys), keys[0])
}
