-- What monitoring remembers: how long runs waited for a quota, totals that outlive the rows that they
-- were counted from, which alerts fire, and who has been told.

-- Seconds of a run in which one of its requests at least waited for a quota.
ALTER TABLE runs ADD COLUMN quota_wait_seconds INTEGER NOT NULL DEFAULT 0;
-- The largest lag of a series at the run's end; NULL when it was not judged, or not by the clock.
ALTER TABLE runs ADD COLUMN worst_lag_seconds INTEGER;
