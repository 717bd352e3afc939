-- What outlives a run: how much of each provider's quota is used, whether its breaker is open, what
-- it asked for, pauses, and who went past one. Columns that end in _us are microseconds since 1970 UTC,
-- as the clock stood then; `uptime_us` and `boot_id` tell how long ago that is whatever was done to the
-- clock since.

CREATE TABLE rate_state (
    provider        TEXT    NOT NULL PRIMARY KEY,
    -- By rule: of a window, [[when a request ended, how many], ...]; of a bucket, when it is full again.
    rules           TEXT    NOT NULL CHECK (json_valid(rules)),
    -- Requests that may have been sent since this row was written.
    unsettled       INTEGER NOT NULL CHECK (unsettled >= 0),
    -- Its own word on when it may be asked again: waited for, and too far away to be waited for, which
    -- holds for one symbol alone where one is named.
    paused_until_us INTEGER,
    held_until_us   INTEGER,
    held_reason     TEXT,
    held_symbol     TEXT,
    -- Requests at once, while that is cut; NULL when it is not.
    concurrency     INTEGER CHECK (concurrency > 0),
    saved_at_us     INTEGER NOT NULL,
    boot_id         TEXT,
    uptime_us       INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE breaker_state (
    provider        TEXT    NOT NULL PRIMARY KEY,
    state           TEXT    NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    -- The last calls, oldest first: `.` for one that went well, `x` for a failed one.
    outcomes        TEXT    NOT NULL,
    success_count   INTEGER NOT NULL,
    failure_count   INTEGER NOT NULL,
    last_failure_at INTEGER,
    last_failure    TEXT,
    opened_at       INTEGER,
    retry_at        INTEGER,
    retry_at_us     INTEGER
) STRICT, WITHOUT ROWID;

-- What people have ordered: a pause.
CREATE TABLE controls (
    name   TEXT    NOT NULL PRIMARY KEY CHECK (name IN ('pause')),
    since  INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    who    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Who did what by hand, when, and why.
CREATE TABLE audit_log (
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    host    TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    run_id  TEXT
) STRICT;

CREATE INDEX audit_log_by_time ON audit_log (at);

-- When what was not settled was last read, by the instant that run was judged at: `enrich` reads it
-- once a day.
ALTER TABLE series ADD COLUMN settle_read_at INTEGER;
