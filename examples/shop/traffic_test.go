package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/shop/internal/stack"
)

const ofEvent = "SELECT count(*) FROM waybill.bundle WHERE event = $1"

func TestTheSummaryIsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	f := openAs(t, stack.Producer)

	summary, err := (&Traffic{Shop: f.shop, Orders: 120, Workers: 8, Seed: 7}).Run(t.Context())

	require.NoError(t, err)
	require.Equal(t, 120, summary.Orders)
	require.Equal(t, 6, summary.Retried)
	require.Equal(t, summary.Retried, summary.Repeated)
	require.Equal(t, map[string]int{"declined": 2, "panicked": 2, "hung_up": 2}, summary.RolledBack)
	require.Len(t, summary.RolledBackKeys, 6)
	require.Equal(t, 1, summary.Renames)
	total := summary.Renames
	for event, n := range summary.Events {
		require.Equal(t, n, f.Count(t, ofEvent, event), event)
		total += n
	}
	require.Len(t, summary.Events, 5)
	require.Equal(t, total, f.Count(t, "SELECT count(*) FROM waybill.bundle"))
	for _, key := range summary.RolledBackKeys {
		require.Zero(t, f.bundles(t, key), key)
	}

	require.Len(t, summary.Customers, accounts*customersPerAccount)
	require.Len(t, summary.Accounts, accounts)
	orders := 0
	for _, c := range summary.Customers {
		orders += c.OrdersTotal
	}
	require.Equal(t, 120, orders)
}

// Changes of plan and of names are new actions every time.
func TestTheSameTrafficAgainCountsNothingTwice(t *testing.T) {
	t.Parallel()
	f := openAs(t, stack.Producer)
	traffic := func() *Traffic { return &Traffic{Shop: f.shop, Orders: 30, Workers: 4, Seed: 7} }
	_, err := traffic().Run(t.Context())
	require.NoError(t, err)
	before := f.Count(t, "SELECT count(*) FROM waybill.bundle")

	again, err := traffic().Run(t.Context())

	require.NoError(t, err)
	require.Zero(t, again.Orders)
	require.Equal(t, 30+again.Retried, again.Repeated)
	require.Equal(t, map[string]int{"signup_completed": 0, "plan_changed": 1}, again.Events)
	require.Equal(t, before+1, f.Count(t, "SELECT count(*) FROM waybill.bundle"))
}

func TestAFaultOfTheShopEndsTheTraffic(t *testing.T) {
	t.Parallel()
	f := openAs(t, stack.Stranger)
	_, err := (&Traffic{Shop: f.shop, Orders: 5, Workers: 2, Seed: 1}).Run(t.Context())
	require.ErrorContains(t, err, "waybill_producer", "the error says which role is missing")
}

func TestATransactionThatShouldHaveFailedIsAFault(t *testing.T) {
	t.Parallel()
	f := open(t)
	traffic := &Traffic{Shop: f.shop, Seed: 1}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	err := traffic.comeToNothing(ctx, Order{ID: "o1", CustomerID: "usr_1", TotalCents: 1}, 0)

	require.ErrorContains(t, err, errDeclined.Error())
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, traffic.summary.summary.RolledBackKeys)
}

func TestTheProgramPrintsItsSummary(t *testing.T) {
	t.Parallel()
	f := openAs(t, stack.Producer)
	environment := func(name string) string { return map[string]string{"DATABASE_URL": f.URL(stack.Producer)}[name] }

	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"--orders", "3", "--json"}, environment, &out, io.Discard))
	var summary Summary
	require.NoError(t, json.Unmarshal(out.Bytes(), &summary))
	require.Equal(t, 3, summary.Orders)

	out.Reset()
	require.NoError(t, run(t.Context(), []string{"--orders", "2", "--seed", "2"}, environment, &out, io.Discard))
	require.Equal(t, "2 orders committed, 0 of them asked for twice; 0 requests rolled back\n"+
		"0 views, 0 reviews, 0 changes of plan, 0 accounts renamed\n", out.String())
}

func TestTheProgramSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	nothing := func(string) string { return "" }
	require.ErrorContains(t, run(t.Context(), nil, nothing, io.Discard, io.Discard), "DATABASE_URL")

	var help bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"--nope"}, nothing, io.Discard, &help), errUsage)
	require.Contains(t, help.String(), "-orders", "and lists the flags")
}
