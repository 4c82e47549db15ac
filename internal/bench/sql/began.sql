-- When the first job was fetched.
SELECT min(attempted_at) FROM river_job;
