-- How the requests stand that profiles are reserved to. `live`: it is under way and may be
-- changing their traits. `doubtful`: it was cut off, may have changed them, and its bundles
-- are about to be sent again; they go first, for a minute at most, also when the clock has
-- stepped back meanwhile.
SELECT h.id, r.id IS NOT NULL AS live,
    r.id IS NULL AND EXISTS (
        SELECT FROM waybill.delivery AS d
        WHERE d.request_id = h.id
            AND d.outcome = 'in_doubt'
            AND d.at BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp() + interval '1 minute'
    ) AS doubtful
FROM unnest($1::bigint[]) AS h (id)
LEFT JOIN waybill.request AS r ON r.id = h.id;
