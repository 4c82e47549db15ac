package compiled_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/plan/compiled"
)

func TestWhatGenWritesIsRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../gen/testdata/reference/plan/generated/plan.json")
	require.NoError(t, err)
	p, err := compiled.Read(text)
	require.NoError(t, err)
	require.Equal(t, "reference", p.Name)
	require.Equal(t, []string{"production", "sandbox"}, p.Environments)
	require.Equal(t, "traits_only", p.PIIPolicy)
	require.Equal(t, []compiled.Group{{Type: "account"}, {Type: "workspace", Parent: "account"}, {Type: "project", Parent: "workspace"}}, p.Groups)

	byName := map[string]compiled.Event{}
	for _, e := range p.Events {
		byName[e.Name+" "+e.Version] = e
		require.True(t, json.Valid(e.Schema))
	}
	paid := byName["payment_succeeded 1.0"]
	require.Equal(t, []string{"payment_id"}, paid.ActionKey)
	require.Equal(t, []string{"payment_id"}, paid.Home)
	require.Equal(t, &compiled.Revenue{Amount: "amount", Currency: "currency"}, paid.Revenue)
	require.Equal(t, "strict", paid.Delivery)
	require.Equal(t, "account", paid.GroupLevel)
	viewed := byName["page_viewed 1.0"]
	require.Equal(t, "Page Viewed", viewed.AmplitudeName)
	require.Equal(t, []string{"client"}, viewed.Sources)
	require.Equal(t, "quarantine", viewed.Mode)
	require.Equal(t, "removed", byName["report_printed 1.0"].Status, "its name stays known")
	require.Equal(t, []string{"Report_Created"}, byName["report_created 2.1"].Aliases)
	require.Len(t, p.Traits, 8)
}

func TestUnreadablePlans(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "is no compiled plan",
		"name: shop":                  "is no compiled plan",
		"{}":                          "has format 0 and this program reads 1",
		`{"format": 2, "news": true}`: "has format 2 and this program reads 1",
		`{"format": 1, "news": true}`: `unknown field "news"`,
		`{"format": 1} {}`:            "is no compiled plan",
		`{"format": 1, "events": {}}`: "is no compiled plan",
	} {
		_, err := compiled.Read([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}
