-- What Waybill recorded of every bundle, and how its River job stands.
SELECT b.id, b.action_key, b.occurred_at, coalesce(d.outcome, ''), coalesce(d.reason, ''),
    coalesce(d.at, 'epoch'), d.doubt_since IS NOT NULL, coalesce(j.state::text, ''), coalesce(j.attempt, 0)
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
LEFT JOIN waybill.river_job AS j ON j.id = b.job_id;
