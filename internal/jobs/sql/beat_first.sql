WITH written AS (
    INSERT INTO waybill.worker (id, about) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING
)
SELECT clock_timestamp();
