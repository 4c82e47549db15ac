INSERT INTO waybill.migration (version, name, river_version)
SELECT $1, $2, max(r.version) FROM waybill.river_migration AS r WHERE r.line = 'main'
ON CONFLICT (version) DO UPDATE SET river_version = excluded.river_version;
