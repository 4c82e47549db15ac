-- What calls of language models cost.

-- Prices as lists have them: US dollars for a million tokens. A price holds from its
-- moment to the next one of the model, so that two can never hold at once; two from
-- the same moment are refused by the key. A row without prices ends what came before.
CREATE TABLE IF NOT EXISTS llm_price (
    model text NOT NULL,
    effective_from timestamptz NOT NULL,
    input numeric(10, 6) CHECK (input >= 0),
    -- For tokens in that the provider still had; null: they cost what others do.
    cached_input numeric(10, 6) CHECK (cached_input >= 0 AND cached_input <= input),
    output numeric(10, 6) CHECK (output >= 0),
    PRIMARY KEY (model, effective_from),
    CHECK ((input IS NULL) = (output IS NULL)),
    CHECK (input IS NOT NULL OR cached_input IS NULL)
);

-- llm_cost is the cost of a call in US dollars, exact, by the price in force at its
-- time. Null: no price was in force, which is not a price of nothing. Cached tokens are
-- counted among the prompt's. Multiplied and never divided, so nothing is rounded.
CREATE OR REPLACE FUNCTION llm_cost(
    of_model text, at timestamptz, prompt_tokens bigint, cached_tokens bigint, completion_tokens bigint
) RETURNS numeric
LANGUAGE sql STABLE
AS $$
    SELECT (
        (prompt_tokens - cached_tokens) * p.input
        + cached_tokens * coalesce(p.cached_input, p.input)
        + completion_tokens * p.output
    ) * 0.000001
    FROM llm_price AS p
    WHERE p.model = of_model AND p.effective_from <= at
    ORDER BY p.effective_from DESC
    LIMIT 1
$$;

-- Every call, with what it cost by the prices known when it was recorded.
CREATE TABLE IF NOT EXISTS llm_call (
    id text PRIMARY KEY,
    user_id text NOT NULL,
    model text NOT NULL,
    called_at timestamptz NOT NULL,
    prompt_tokens bigint NOT NULL CHECK (prompt_tokens >= 0),
    cached_tokens bigint NOT NULL CHECK (cached_tokens BETWEEN 0 AND prompt_tokens),
    completion_tokens bigint NOT NULL CHECK (completion_tokens >= 0),
    -- In dollars; a token costs a whole number of the last place. Null: unknown.
    cost_usd numeric(24, 12) CHECK (cost_usd >= 0)
);

-- What nobody knows the price of yet: what a sum over cost_usd leaves out.
CREATE OR REPLACE VIEW llm_unpriced AS
SELECT
    model,
    count(*) AS calls,
    sum(prompt_tokens + completion_tokens) AS tokens,
    min(called_at) AS since
FROM llm_call
WHERE cost_usd IS NULL
GROUP BY model;
