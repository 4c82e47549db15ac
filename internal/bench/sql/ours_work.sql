-- The work that was done: bundles, those delivered and those refused, bytes of payload,
-- jobs, those completed, business rows.
SELECT
    (SELECT count(*) FROM waybill.bundle),
    (SELECT count(*) FROM waybill.delivery WHERE outcome = 'delivered'),
    (SELECT count(*) FROM waybill.delivery WHERE outcome = 'rejected'),
    (SELECT coalesce(sum(octet_length(payload::text)), 0) FROM waybill.bundle),
    (SELECT count(*) FROM waybill.river_job),
    (SELECT count(*) FROM waybill.river_job WHERE state = 'completed'),
    (SELECT count(*) FROM shop_order);
