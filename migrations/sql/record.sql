INSERT INTO waybill.migration (version, name) VALUES ($1, $2) ON CONFLICT (version) DO NOTHING;
