// Package llmcost knows what calls of language models cost: prices with the time from
// which they hold, in the application's own tables, and every call with its cost.
package llmcost

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/shop/events"
)

// Schema makes the tables, the function llm_cost and the view llm_unpriced. Prices fills
// in those of the models that are in use. Both may be run again.
var (
	//go:embed schema.sql
	Schema string
	//go:embed prices.sql
	Prices string
)

// TokensError says that the counts of a call cannot be. Nothing was written, and the
// transaction goes on.
type TokensError struct{ Call events.LLMCall }

// Error shows the counts.
func (e *TokensError) Error() string {
	return fmt.Sprintf("call %s of a language model: %d tokens in, %d of them cached, %d out: cached tokens are among those in, and none are negative",
		e.Call.ID, e.Call.Prompt, e.Call.Cached, e.Call.Completion)
}

// Record stores a call in the caller's transaction, with what it cost by the price in
// force at call.At, and returns it with that cost. A call that is recorded again stays
// as it was. The cost of a model without a price is unknown: such calls are listed, by
// model, in llm_unpriced. The error is a [*TokensError] or the database's.
func Record(ctx context.Context, tx pgx.Tx, call events.LLMCall) (events.LLMCall, error) {
	if call.Cached < 0 || call.Cached > call.Prompt || call.Completion < 0 {
		return call, &TokensError{call}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO llm_call (id, user_id, model, called_at, prompt_tokens, cached_tokens, completion_tokens, cost_usd)
		VALUES ($1, $2, $3, $4, $5, $6, $7, llm_cost($3, $4, $5, $6, $7))
		ON CONFLICT (id) DO NOTHING`,
		call.ID, call.User, call.Model, call.At, call.Prompt, call.Cached, call.Completion)
	if err != nil {
		return call, err
	}
	var pico *int64
	err = tx.QueryRow(ctx, `SELECT (cost_usd * 1000000000000)::bigint FROM llm_call WHERE id = $1`, call.ID).Scan(&pico)
	if err != nil {
		return call, err
	}
	if call.Cost = (events.Cost{}); pico != nil {
		call.Cost = events.Cost{PicoUSD: *pico, Known: true}
	}
	return call, nil
}
