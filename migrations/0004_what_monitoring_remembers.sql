-- What monitoring remembers: how long runs waited for a quota, totals that outlive the rows that they
-- were counted from, which alerts fire, and who has been told.

-- Seconds of a run in which one of its requests at least waited for a quota.
ALTER TABLE runs ADD COLUMN quota_wait_seconds INTEGER NOT NULL DEFAULT 0;
-- The largest lag of a series at the run's end; NULL when it was not judged, or not by the clock.
ALTER TABLE runs ADD COLUMN worst_lag_seconds INTEGER;

-- Totals that only ever grow, whatever becomes of the rows that they were counted from. A run's are added in
-- the transaction that closes its row, and a crashed one's in the one that finds it crashed.

CREATE TABLE request_totals (
    provider TEXT    NOT NULL,
    -- `ok`, or the error kind.
    outcome  TEXT    NOT NULL,
    requests INTEGER NOT NULL,
    -- Those of them that were second tries or later.
    retries  INTEGER NOT NULL,
    -- Unpacked.
    bytes    INTEGER NOT NULL,
    PRIMARY KEY (provider, outcome)
) STRICT, WITHOUT ROWID;

-- Response times are counted by the smallest of these bounds that they do not exceed; the last one is
-- above them all.
CREATE TABLE response_bounds (up_to_ms INTEGER NOT NULL PRIMARY KEY) STRICT;

INSERT INTO response_bounds VALUES (10), (25), (50), (100), (250), (500), (1000), (2500), (5000), (10000),
    (30000), (60000), (9223372036854775807);

CREATE TABLE response_totals (
    provider         TEXT    NOT NULL,
    up_to_ms         INTEGER NOT NULL,
    requests         INTEGER NOT NULL,
    response_time_ms INTEGER NOT NULL,
    PRIMARY KEY (provider, up_to_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_totals (
    command       TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    runs          INTEGER NOT NULL,
    bars_inserted INTEGER NOT NULL,
    bars_updated  INTEGER NOT NULL,
    PRIMARY KEY (command, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE compute_totals (
    success             INTEGER NOT NULL PRIMARY KEY CHECK (success IN (0, 1)),
    computations        INTEGER NOT NULL,
    computation_time_ms REAL    NOT NULL
) STRICT;

-- What is on record so far. A run that is still open is added by whoever closes it.
INSERT INTO request_totals
SELECT provider, coalesce(error_kind, 'ok'), count(*), sum(attempt > 1), sum(bytes)
  FROM fetch_log
 WHERE (http_status IS NOT NULL OR error_kind IS NOT NULL)
   AND run_id NOT IN (SELECT run_id FROM runs WHERE status = 'running')
 GROUP BY 1, 2;

INSERT INTO response_totals
SELECT provider, (SELECT min(up_to_ms) FROM response_bounds WHERE up_to_ms >= response_time_ms), count(*),
       sum(response_time_ms)
  FROM fetch_log
 WHERE (http_status IS NOT NULL OR error_kind IS NOT NULL)
   AND run_id NOT IN (SELECT run_id FROM runs WHERE status = 'running')
 GROUP BY 1, 2;

INSERT INTO run_totals
SELECT command, status, count(*), sum(records_inserted), sum(records_updated)
  FROM runs WHERE status <> 'running' GROUP BY 1, 2;

INSERT INTO compute_totals
SELECT success, count(*), sum(computation_time_ms)
  FROM compute_log WHERE run_id NOT IN (SELECT run_id FROM runs WHERE status = 'running') GROUP BY 1;

-- The rules whose test held when `alerts --notify` last looked.
CREATE TABLE alert_state (
    name     TEXT    NOT NULL PRIMARY KEY,
    -- Since when its test holds, and whether it has held long enough to fire.
    since    INTEGER NOT NULL,
    firing   INTEGER NOT NULL CHECK (firing IN (0, 1)),
    severity TEXT    NOT NULL CHECK (severity IN ('warning', 'critical')),
    -- How many series, providers or symbols it is about.
    count    INTEGER NOT NULL,
    seen_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last snooze of each rule, also one that has ended.
CREATE TABLE alert_snoozes (
    name   TEXT    NOT NULL PRIMARY KEY,
    since  INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    who    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- What each notifier has taken, and is to be told the end of.
CREATE TABLE alert_told (
    notifier TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    severity TEXT    NOT NULL CHECK (severity IN ('warning', 'critical')),
    count    INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    -- 0 while nobody knows whether it came.
    told_at  INTEGER NOT NULL,
    PRIMARY KEY (notifier, name)
) STRICT, WITHOUT ROWID;

-- The notifiers that could not be told something.
CREATE TABLE alert_unsent (
    notifier TEXT    NOT NULL PRIMARY KEY,
    since    INTEGER NOT NULL,
    changes  INTEGER NOT NULL,
    error    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
