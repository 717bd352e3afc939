-- What monitoring remembers: how long runs waited for a quota, totals that outlive the rows that they
-- were counted from, which alerts fire, and who has been told.

-- Seconds of a run in which one of its requests at least waited for a quota.
ALTER TABLE runs ADD COLUMN quota_wait_seconds INTEGER NOT NULL DEFAULT 0;

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
