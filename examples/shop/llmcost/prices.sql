-- List prices in US dollars for a million tokens, from https://openai.com/api/pricing/
-- and the announcements of the models. A new price is a new row; old rows stay, for the
-- calls of their time.
INSERT INTO llm_price (model, effective_from, input, cached_input, output)
VALUES
    ('gpt-4o', '2024-05-13T00:00Z', 5.00, NULL, 15.00),
    ('gpt-4o', '2024-10-02T00:00Z', 2.50, 1.25, 10.00),
    ('gpt-4o-mini', '2024-07-18T00:00Z', 0.15, NULL, 0.60),
    ('gpt-4o-mini', '2024-10-01T00:00Z', 0.15, 0.075, 0.60),
    ('gpt-5', '2025-08-07T00:00Z', 1.25, 0.125, 10.00),
    ('gpt-5-mini', '2025-08-07T00:00Z', 0.25, 0.025, 2.00),
    ('gpt-5-nano', '2025-08-07T00:00Z', 0.05, 0.005, 0.40),
    ('gpt-5-pro', '2025-10-06T00:00Z', 15.00, NULL, 120.00)
ON CONFLICT (model, effective_from) DO NOTHING;
