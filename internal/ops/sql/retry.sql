SELECT examined, matched, moved, no_payload, waiting, last_at, last_id, done
FROM waybill.retry(
    outcome => $1::text, event => $2::text, reason => $3::text, since => $4::timestamptz, until => $5::timestamptz,
    key => $6::text, most => $7::int, dry_run => $8::boolean, after_at => coalesce($9::timestamptz, '-infinity'), after_id => $10::bigint
);
