-- Attempts that went beyond the one that each job needs.
SELECT coalesce(sum(greatest(attempt - 1, 0)), 0)::int FROM waybill.river_job;
