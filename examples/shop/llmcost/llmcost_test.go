package llmcost_test

import (
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"example.com/shop/events"
	"example.com/shop/internal/stack"
	"example.com/shop/llmcost"
	"waybill/waybilltest"
)

func TestMain(m *testing.M) { os.Exit(stack.Run(m)) }

// prices gives the test a transaction with the tables, and the prices in use.
func prices(t *testing.T) pgx.Tx {
	t.Helper()
	d := stack.New(t)
	for range 2 { // both may be run again
		d.Exec(t, llmcost.Schema)
		d.Exec(t, llmcost.Prices)
	}
	return waybilltest.Begin(t, d.Admin)
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return at
}

// cost is the cost in US dollars as Postgres writes it, or "unknown".
func cost(t *testing.T, tx pgx.Tx, model, at string, prompt, cached, completion int) string {
	t.Helper()
	var text string
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT coalesce(trim_scale(llm_cost($1, $2, $3, $4, $5))::text, 'unknown')`,
		model, moment(t, at), prompt, cached, completion).Scan(&text))
	return text
}

func TestACallCostsWhatItsTokensDo(t *testing.T) {
	t.Parallel()
	tx := prices(t)
	for _, c := range []struct {
		model                      string
		prompt, cached, completion int
		usd                        string
	}{
		{"gpt-4o", 1200, 0, 150, "0.0045"},
		{"gpt-4o", 1200, 200, 150, "0.00425"}, // cached tokens are among those in, and cost half
		{"gpt-4o", 1200, 1200, 0, "0.0015"},
		{"gpt-4o-mini", 1_000_000, 0, 1_000_000, "0.75"},
		{"gpt-5", 1_000_000, 1_000_000, 0, "0.125"},
		{"gpt-5-mini", 1, 1, 0, "0.000000025"},
		{"gpt-5-nano", 1, 1, 0, "0.000000005"}, // nothing is rounded away
		{"gpt-5-nano", 2_000_000_000, 0, 1, "100.0000004"},
		{"gpt-5-pro", 1000, 400, 0, "0.015"}, // no price of its own for cached tokens
		{"gpt-4o", 0, 0, 0, "0"},             // known to be free
		{"gpt-99", 1, 0, 1, "unknown"},
	} {
		require.Equal(t, c.usd, cost(t, tx, c.model, "2026-01-01T00:00:00Z", c.prompt, c.cached, c.completion), c)
	}
}

func TestACallUsesThePriceInForceAtItsTime(t *testing.T) {
	t.Parallel()
	tx := prices(t)
	_, err := tx.Exec(t.Context(), `INSERT INTO llm_price VALUES ('gpt-4o', '2030-01-01T00:00Z', NULL, NULL, NULL)`)
	require.NoError(t, err)
	for at, usd := range map[string]string{
		"2024-05-12T23:59:59.999999Z": "unknown",
		"2024-05-13T00:00:00Z":        "5",
		"2024-10-01T23:59:59.999999Z": "5",
		"2024-10-02T00:00:00Z":        "2.5",
		"2024-10-02T01:59:59+02:00":   "5", // the same moment everywhere
		"2029-12-31T23:59:59.999999Z": "2.5",
		"2030-01-01T00:00:00Z":        "unknown", // its price was ended
	} {
		require.Equal(t, usd, cost(t, tx, "gpt-4o", at, 1_000_000, 0, 0), at)
	}
}

func TestPricesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	tx := prices(t)
	const unique, check = "23505", "23514"
	for values, code := range map[string]string{
		`('gpt-4o', '2024-10-02T02:00+02', 1, NULL, 1)`: unique, // two prices at once
		`('m', now(), 1, 2, 1)`:                         check,  // cached tokens cost no more
		`('m', now(), -1, NULL, 1)`:                     check,
		`('m', now(), 1, NULL, -1)`:                     check,
		`('m', now(), 1, NULL, NULL)`:                   check, // half a price
		`('m', now(), NULL, 1, NULL)`:                   check,
	} {
		err := pgx.BeginFunc(t.Context(), tx, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO llm_price VALUES "+values)
			return err
		})
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, values)
		require.Equal(t, code, refused.Code, values)
	}
}

func call(id events.LLMRequestID, model string, at time.Time) events.LLMCall {
	return events.LLMCall{ID: id, User: "usr_1", Model: model, At: at, Prompt: 1200, Cached: 200, Completion: 150}
}

func TestACallIsRecordedWithItsCost(t *testing.T) {
	t.Parallel()
	tx := prices(t)
	at := moment(t, "2026-01-01T00:00:00Z")
	recorded, err := llmcost.Record(t.Context(), tx, call("req_1", "gpt-4o", at))
	require.NoError(t, err)
	require.Equal(t, events.Cost{PicoUSD: 4_250_000_000, Known: true}, recorded.Cost)
	require.Equal(t, 0.00425, recorded.Cost.USD())

	// A price that becomes known later is for later calls, and the same call again is
	// the one it was.
	_, err = tx.Exec(t.Context(), `INSERT INTO llm_price VALUES ('gpt-4o', '2025-12-31T00:00Z', 100, NULL, 100)`)
	require.NoError(t, err)
	again, err := llmcost.Record(t.Context(), tx, call("req_1", "gpt-4o", at))
	require.NoError(t, err)
	require.Equal(t, recorded, again)
}

func TestUnknownCostsAreCountedAndNotZero(t *testing.T) {
	t.Parallel()
	tx := prices(t)
	first := moment(t, "2026-01-01T00:00:00Z")
	for i, id := range []events.LLMRequestID{"req_1", "req_2"} {
		recorded, err := llmcost.Record(t.Context(), tx, call(id, "gpt-99", first.Add(time.Duration(i)*time.Hour)))
		require.NoError(t, err)
		require.Equal(t, events.Cost{}, recorded.Cost)
	}
	_, err := llmcost.Record(t.Context(), tx, call("req_3", "gpt-5", first))
	require.NoError(t, err)

	var model string
	var calls, tokens int
	var since time.Time
	rows, err := tx.Query(t.Context(), "SELECT model, calls, tokens, since FROM llm_unpriced")
	require.NoError(t, err)
	tag, err := pgx.ForEachRow(rows, []any{&model, &calls, &tokens, &since}, func() error { return nil })
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected(), "only the model without a price")
	require.Equal(t, "gpt-99", model)
	require.Equal(t, 2, calls)
	require.Equal(t, 2*1350, tokens)
	require.True(t, since.Equal(first))
}

func TestCountsThatCannotBeAreRefusedBeforeAnySQL(t *testing.T) {
	t.Parallel()
	tx := prices(t)
	for _, c := range []events.LLMCall{
		{ID: "cached more than prompt", Prompt: 10, Cached: 11},
		{ID: "cached negative", Prompt: 10, Cached: -1},
		{ID: "completion negative", Completion: -1},
	} {
		_, err := llmcost.Record(t.Context(), tx, c)
		var refused *llmcost.TokensError
		require.ErrorAs(t, err, &refused, c.ID)
	}
	_, err := llmcost.Record(t.Context(), tx, call("req_1", "gpt-4o", time.Now()))
	require.NoError(t, err, "the transaction goes on")

	// And so does the table, for whoever writes to it in another way.
	_, err = tx.Exec(t.Context(), `
		INSERT INTO llm_call (id, user_id, model, called_at, prompt_tokens, cached_tokens, completion_tokens)
		VALUES ('x', 'u', 'm', now(), 10, 11, 0)`)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "23514", refused.Code)
}
