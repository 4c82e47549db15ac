package waybilltest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill"
	"waybill/internal/devpg/pgtest"
	"waybill/waybilltest"
)

// TestFailuresSayWhatWasEnqueuedInstead is what one reads when a test fails.
func TestFailuresSayWhatWasEnqueuedInstead(t *testing.T) { //nolint:tparallel // one connection for all
	t.Parallel()
	tx := waybilltest.Begin(t, pgtest.New(t).Pool(t))
	_, err := client(t).Track(t.Context(), tx, waybill.User("usr_42").With(waybill.Set("plan_tier", "pro")),
		orderCompleted{"8412", 12.99}, orderCompleted{"8413", 5})
	require.NoError(t, err)
	_, err = client(t).Identify(t.Context(), tx, "named", waybill.Device("d").With(waybill.Increment("n", 1)))
	require.NoError(t, err)

	const all = `
This transaction has enqueued 3:
  order_completed 1.0, key order_completed:8412, user usr_42, {"amount":12.99,"order_id":"8412"}, set {"plan_tier":"pro"}, account acc_1
  order_completed 1.0, key order_completed:8413, user usr_42, {"amount":5,"order_id":"8413"}, set {"plan_tier":"pro"}, account acc_1
  traits and groups, key named, device d, increment {"n":1}
`
	cases := map[string]struct {
		check func(*waybilltest.Ledger)
		said  string
	}{
		"another event": {
			func(l *waybilltest.Ledger) { l.RequireTracked("order_cancelled", nil) },
			"order_cancelled is not enqueued" + all,
		},
		"other properties": {
			func(l *waybilltest.Ledger) {
				l.RequireTracked(orderCompletedName, waybilltest.Props{"order_id": "8414", "amount": waybilltest.Absent, "colour": "red"})
			},
			`order_completed with amount absent, colour "red", order_id "8414" is not enqueued
This transaction has enqueued 3:
  order_completed 1.0, key order_completed:8412, user usr_42, {"amount":12.99,"order_id":"8412"}, set {"plan_tier":"pro"}, account acc_1
    here amount is 12.99, not absent
    here colour is absent, not "red"
    here order_id is "8412", not "8414"
  order_completed 1.0, key order_completed:8413, user usr_42, {"amount":5,"order_id":"8413"}, set {"plan_tier":"pro"}, account acc_1
    here amount is 5, not absent
    here colour is absent, not "red"
    here order_id is "8413", not "8414"
  traits and groups, key named, device d, increment {"n":1}
`,
		},
		"several": {
			func(l *waybilltest.Ledger) { l.RequireTracked(orderCompletedName, nil) },
			"order_completed is enqueued 2 times; name a property that tells them apart\nThis transaction has enqueued 2:",
		},
		"too much":     {func(l *waybilltest.Ledger) { l.RequireNothing() }, "nothing was to be enqueued" + all},
		"the unwanted": {func(l *waybilltest.Ledger) { l.RequireNotTracked(orderCompletedName) }, "order_completed was to be left alone" + all},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, ledgerFailure(t, tx, c.check), "waybilltest: "+c.said)
		})
	}

	empty := waybilltest.Begin(t, pgtest.New(t).Pool(t))
	require.Contains(t, ledgerFailure(t, empty, func(l *waybilltest.Ledger) { l.RequireTracked("x", nil) }),
		"x is not enqueued\nThis transaction has enqueued nothing. Nor would it have for a duplicate")
}

// other is the event with one thing changed.
type other struct {
	orderCompleted
	change func(*waybill.Event)
	groups []waybill.Group
}

func (o other) AsEvent() waybill.Event {
	e := o.orderCompleted.AsEvent()
	o.change(&e)
	return e
}

func (o other) Groups() []waybill.Group { return o.groups }

func TestRequireEventComparesEverything(t *testing.T) {
	t.Parallel()
	tx := waybilltest.Begin(t, pgtest.New(t).Pool(t))
	_, err := client(t).Track(t.Context(), tx, waybill.User("usr_42"), orderCompleted{"8412", 12.99})
	require.NoError(t, err)
	account := []waybill.Group{waybill.Account("acc_1")}
	for said, changed := range map[string]other{
		"":                                     {change: func(*waybill.Event) {}, groups: account},
		`key is order_completed:8412, not k`:   {change: func(e *waybill.Event) { e.Key = "k" }, groups: account},
		`version is 1.0, not 2.0`:              {change: func(e *waybill.Event) { e.Version = "2.0" }, groups: account},
		`amount is 12.99, not 13`:              {change: func(e *waybill.Event) { e.Properties["amount"] = 13 }, groups: account},
		`amount was not wanted`:                {change: func(e *waybill.Event) { delete(e.Properties, "amount") }, groups: account},
		`revenue is {12.99 EUR}, not {13 EUR}`: {change: func(e *waybill.Event) { e.Revenue.Amount = 13 }, groups: account},
		`groups is [account acc_1], not [account acc_2]`: {
			change: func(*waybill.Event) {}, groups: []waybill.Group{waybill.Account("acc_2")},
		},
		`could not be enqueued itself: waybill: 1 of 1 events rejected`: {change: func(e *waybill.Event) { e.Name = "" }, groups: account},
	} {
		changed.orderCompleted = orderCompleted{"8412", 12.99}
		got := ledgerFailure(t, tx, func(l *waybilltest.Ledger) { l.RequireEvent(changed) })
		if said == "" {
			require.Empty(t, got)
			continue
		}
		require.Contains(t, got, said)
	}
	require.Empty(t, ledgerFailure(t, tx, func(l *waybilltest.Ledger) {
		l.RequireEvent(orderCompleted{"8412", 12.99}.AsEvent())
	}), "an event without groups of its own leaves them open")
}
