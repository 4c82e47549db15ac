-- Requests of this worker that it does not know to be open: the answer to the COMMIT that
-- wrote one down was lost, and nothing was sent. Until they go, their reservations hold
-- everybody back. One from the future is old: the clock has stepped back.
DELETE FROM waybill.request
WHERE worker = $1
    AND id <> ALL ($2::bigint[])
    AND started_at NOT BETWEEN clock_timestamp() - interval '2 seconds' AND clock_timestamp() + interval '2 seconds';
