-- What is left of another application's jobs: all, worked, and given up.
SELECT count(*), count(*) FILTER (WHERE state = 'completed'), count(*) FILTER (WHERE state IN ('discarded', 'cancelled'))
FROM public.river_job WHERE kind = 'invoice';
