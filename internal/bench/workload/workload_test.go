package workload

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBundleIsAboutSixHundredBytes(t *testing.T) {
	t.Parallel()
	shop := Shop{Name: "drain", Orders: 1000}
	for i := range 1000 {
		// Postgres writes jsonb with a blank after each colon and comma.
		var spaced bytes.Buffer
		require.NoError(t, json.Indent(&spaced, shop.Order(i).JSON(), "", ""))
		size := len(bytes.ReplaceAll(spaced.Bytes(), []byte("\n"), nil))
		require.InDelta(t, 600, size, 30)
	}
}

func TestBundlesAreAsLargeAsAsked(t *testing.T) {
	t.Parallel()
	for _, size := range []int{300, 1000, 8000} {
		shop := Shop{Name: "drain", Orders: 1000, Bytes: size}
		for i := range 100 {
			text := shop.Order(i).JSON()
			require.InDelta(t, size, len(text), float64(size)*0.1)
			require.Equal(t, text, shop.Order(i).JSON())
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write(shop.Order(1).JSON())
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Greater(t, packed.Len(), size/3, "padding must not compress away")
	}
}

func TestAHotUserPlacesHalfOfTheOrders(t *testing.T) {
	t.Parallel()
	shop, orders := Shop{Name: "x", Orders: 1000, Hot: true}, map[string]int{}
	for i := range 1000 {
		orders[shop.Order(i).User]++
	}
	require.InDelta(t, 505, orders["usr_00000000"], 10)
}

func TestOrdersAreTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	a, b := Shop{Name: "x", Orders: 500}, Shop{Name: "x", Orders: 500}
	for i := range 500 {
		require.Equal(t, a.Order(i).JSON(), b.Order(i).JSON())
	}
}

func TestUsersComeBackAndActionsDoNot(t *testing.T) {
	t.Parallel()
	shop := Shop{Name: "x", Orders: 1000}
	orders, keys := map[string]int{}, map[string]bool{}
	accountOf := map[string]string{}
	for i := range 1000 {
		o := shop.Order(i)
		orders[o.User]++
		keys[o.Key] = true
		if known, ok := accountOf[o.Workspace]; ok {
			require.Equal(t, known, o.Account, "a workspace belongs to one account")
		}
		accountOf[o.Workspace] = o.Account
	}
	require.Len(t, keys, 1000)
	require.Len(t, orders, 100)
	for user, n := range orders {
		require.Equal(t, 10, n, user)
	}
}

func TestOnlyARestlessShopChangesTraits(t *testing.T) {
	t.Parallel()
	for _, restless := range []bool{false, true} {
		shop := Shop{Name: "x", Orders: 100, Restless: restless}
		seen := map[string]map[any]bool{}
		for i := range 100 {
			o := shop.Order(i)
			if seen[o.User] == nil {
				seen[o.User] = map[any]bool{}
			}
			seen[o.User][o.Traits()["funnel"]] = true
		}
		for user, values := range seen {
			want := 1
			if restless {
				want = 10
			}
			require.Len(t, values, want, user)
		}
	}
}
