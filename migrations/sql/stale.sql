-- Steps of ours that were last applied before River came to where it stands.
SELECT m.version
FROM waybill.migration AS m
WHERE m.river_version IS DISTINCT FROM (SELECT max(r.version) FROM waybill.river_migration AS r WHERE r.line = 'main');
