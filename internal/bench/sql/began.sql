-- When the first job was fetched.
SELECT min(attempted_at) FROM river_job WHERE attempted_by IS NOT NULL;
