-- Who does River's housekeeping.
SELECT coalesce((SELECT leader_id FROM waybill.river_leader LIMIT 1), '');
