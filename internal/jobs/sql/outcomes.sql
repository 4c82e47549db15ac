-- Outcomes that need no request. `delivered` is final. An outcome ends the doubt, but for
-- the one that says that nobody knows, and the one that is not for ever.
INSERT INTO waybill.delivery AS d (bundle_id, outcome, reason, attempt)
SELECT n.bundle_id, n.outcome, n.reason, n.attempt
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[]) AS n (bundle_id, outcome, reason, attempt)
ORDER BY n.bundle_id
ON CONFLICT (bundle_id) DO UPDATE
SET outcome = EXCLUDED.outcome, reason = EXCLUDED.reason, attempt = EXCLUDED.attempt, at = clock_timestamp(),
    doubt_since = CASE WHEN EXCLUDED.outcome IN ('uncertain', 'skipped') THEN d.doubt_since END
WHERE d.outcome <> 'delivered';
