package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/shop/internal/stack"
)

func TestMain(m *testing.M) { os.Exit(stack.Run(m)) }

// fixture is the shop with its own login, and the administrator's view of everything.
type fixture struct {
	*stack.Database
	shop *Shop
}

// open gives the test a shop with one account and one customer.
func open(t *testing.T) fixture {
	t.Helper()
	f := openAs(t, stack.Producer)
	_, err := f.shop.SignUp(t.Context(), "acc_1", "Acme", []string{"usr_1"})
	require.NoError(t, err)
	return f
}

// openAs gives the test an empty shop whose login is given.
func openAs(t *testing.T, login stack.Login) fixture {
	t.Helper()
	f := fixture{Database: stack.New(t)}
	f.Own(t, login)
	var err error
	f.shop, err = Open(t.Context(), f.URL(login))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.shop.Close()) })
	return f
}

// bundles is how many bundles have an action key, which is never more than one.
func (f fixture) bundles(t *testing.T, key string) int {
	t.Helper()
	return f.Count(t, "SELECT count(*) FROM waybill.bundle WHERE action_key = $1", key)
}

func (f fixture) orders(t *testing.T, id string) int {
	t.Helper()
	var n int
	require.NoError(t, f.shop.pool.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE id = $1", id).Scan(&n))
	return n
}

// payload is the one bundle with the key.
func (f fixture) payload(t *testing.T, key string) map[string]any {
	t.Helper()
	var payload map[string]any
	require.NoError(t, f.Admin.QueryRow(t.Context(),
		"SELECT payload FROM waybill.bundle WHERE action_key = $1", key).Scan(&payload))
	return payload
}
