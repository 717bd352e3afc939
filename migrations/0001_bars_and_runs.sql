-- The first schema: what is tracked, the bars, what is known of their completeness, and what runs did.
-- Times are epoch seconds UTC; ranges are half-open. `bars` and `coverage` are clustered by their key:
-- a page is one stretch of neighbouring rows.

CREATE TABLE tracked_symbols (
    symbol             TEXT    NOT NULL PRIMARY KEY,
    asset_class        TEXT    NOT NULL,
    provider           TEXT    NOT NULL,
    calendar           TEXT    NOT NULL,
    group_name         TEXT    NOT NULL,
    active             INTEGER NOT NULL CHECK (active IN (0, 1)),
    added_at           INTEGER NOT NULL,
    removed_at         INTEGER,
    actions_checked_at INTEGER
) STRICT;

CREATE TABLE series (
    series_id            INTEGER NOT NULL PRIMARY KEY,
    symbol               TEXT    NOT NULL REFERENCES tracked_symbols (symbol),
    timeframe            TEXT    NOT NULL,
    provider             TEXT    NOT NULL,
    adjustment           TEXT    NOT NULL DEFAULT 'raw' CHECK (adjustment IN ('raw', 'splits', 'all')),
    first_ts             INTEGER,
    watermark_ts         INTEGER,
    settled_ts           INTEGER,
    bar_count            INTEGER NOT NULL DEFAULT 0 CHECK (bar_count >= 0),
    last_fetched_at      INTEGER,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    last_error           TEXT,
    -- Of series that are read from files: the file that was read last.
    file_modified_ns     INTEGER,
    file_bytes           INTEGER,
    UNIQUE (symbol, timeframe)
) STRICT;

CREATE TABLE bars (
    series_id INTEGER NOT NULL,
    ts        INTEGER NOT NULL,
    open      REAL    NOT NULL,
    high      REAL    NOT NULL CHECK (high >= low),
    low       REAL    NOT NULL CHECK (low > 0),
    close     REAL    NOT NULL,
    volume    REAL CHECK (volume >= 0),
    vwap      REAL,
    trades    INTEGER,
    PRIMARY KEY (series_id, ts)
) STRICT, WITHOUT ROWID;

-- What was asked for and answered, bars or not.
CREATE TABLE coverage (
    series_id INTEGER NOT NULL,
    from_ts   INTEGER NOT NULL,
    to_ts     INTEGER NOT NULL CHECK (to_ts > from_ts),
    PRIMARY KEY (series_id, from_ts)
) STRICT, WITHOUT ROWID;

-- Bars that somebody deleted. Coverage says that they were asked for and came; whoever reads coverage
-- takes these out of it, so that they are due, lacking, and asked for again.
CREATE TABLE bars_gone (
    series_id INTEGER NOT NULL,
    ts        INTEGER NOT NULL,
    PRIMARY KEY (series_id, ts)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER bars_deleted AFTER DELETE ON bars BEGIN
    INSERT OR IGNORE INTO bars_gone VALUES (OLD.series_id, OLD.ts);
    UPDATE series
       SET bar_count = bar_count - 1,
           first_ts = (SELECT min(ts) FROM bars WHERE series_id = OLD.series_id),
           watermark_ts = (SELECT max(ts) FROM bars WHERE series_id = OLD.series_id)
     WHERE series_id = OLD.series_id;
END;

CREATE TABLE gaps (
    series_id     INTEGER NOT NULL,
    from_ts       INTEGER NOT NULL,
    to_ts         INTEGER NOT NULL CHECK (to_ts > from_ts),
    missing       INTEGER NOT NULL CHECK (missing > 0),
    reason        TEXT    NOT NULL CHECK (reason IN ('unfetched', 'failed', 'rejected',
                          'provider_empty', 'no_trade', 'pre_listing', 'delisted')),
    first_seen_at INTEGER NOT NULL,
    checked_count INTEGER NOT NULL DEFAULT 0,
    next_check_at INTEGER,
    PRIMARY KEY (series_id, from_ts)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejected_bars (
    series_id INTEGER NOT NULL,
    ts        INTEGER,
    run_id    TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    text      TEXT    NOT NULL
) STRICT;

-- The same bad row, read again, is the same row.
CREATE UNIQUE INDEX rejected_bars_once
    ON rejected_bars (series_id, coalesce(ts, -9223372036854775808), reason, text);

CREATE TABLE revisions (
    series_id  INTEGER NOT NULL,
    ts         INTEGER NOT NULL,
    run_id     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    old_open   REAL, old_high REAL, old_low REAL, old_close REAL, old_volume REAL, old_vwap REAL,
    old_trades INTEGER,
    new_open   REAL, new_high REAL, new_low REAL, new_close REAL, new_volume REAL, new_vwap REAL,
    new_trades INTEGER
) STRICT;

CREATE INDEX revisions_by_bar ON revisions (series_id, ts);

CREATE TABLE runs (
    run_id           TEXT    NOT NULL PRIMARY KEY,
    command          TEXT    NOT NULL,
    trigger          TEXT    NOT NULL,
    started_at       INTEGER NOT NULL,
    completed_at     INTEGER,
    status           TEXT    NOT NULL CHECK (status IN ('running', 'succeeded', 'partial', 'deferred',
                             'failed', 'interrupted', 'crashed', 'skipped')),
    symbols_total    INTEGER NOT NULL DEFAULT 0,
    successful       INTEGER NOT NULL DEFAULT 0,
    failed           INTEGER NOT NULL DEFAULT 0,
    deferred         INTEGER NOT NULL DEFAULT 0,
    retried          INTEGER NOT NULL DEFAULT 0,
    skipped          INTEGER NOT NULL DEFAULT 0,
    records_inserted INTEGER NOT NULL DEFAULT 0,
    records_updated  INTEGER NOT NULL DEFAULT 0,
    requests         INTEGER NOT NULL DEFAULT 0,
    rate_limited     INTEGER NOT NULL DEFAULT 0,
    exit_code        INTEGER,
    error            TEXT,
    host             TEXT    NOT NULL,
    pid              INTEGER NOT NULL,
    version          TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_status ON runs (status, run_id);

CREATE TABLE jobs (
    run_id           TEXT    NOT NULL REFERENCES runs (run_id),
    symbol           TEXT    NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('pending', 'in_progress', 'retry', 'completed',
                             'deferred', 'failed', 'skipped')),
    retry_count      INTEGER NOT NULL DEFAULT 0,
    started_at       INTEGER,
    completed_at     INTEGER,
    records_inserted INTEGER NOT NULL DEFAULT 0,
    records_updated  INTEGER NOT NULL DEFAULT 0,
    last_error       TEXT,
    PRIMARY KEY (run_id, symbol)
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_symbol ON jobs (symbol, run_id);

CREATE TABLE fetch_log (
    run_id           TEXT    NOT NULL,
    symbol           TEXT    NOT NULL,
    timeframe        TEXT    NOT NULL,
    provider         TEXT    NOT NULL,
    started_at       INTEGER NOT NULL,
    range_from       INTEGER NOT NULL,
    range_to         INTEGER NOT NULL,
    attempt          INTEGER NOT NULL,
    http_status      INTEGER,
    error_kind       TEXT,
    response_time_ms INTEGER NOT NULL,
    bytes            INTEGER NOT NULL,
    records_fetched  INTEGER NOT NULL DEFAULT 0,
    records_inserted INTEGER NOT NULL DEFAULT 0,
    records_rejected INTEGER NOT NULL DEFAULT 0,
    records_dropped  INTEGER NOT NULL DEFAULT 0,
    success          INTEGER NOT NULL CHECK (success IN (0, 1))
) STRICT;

CREATE INDEX fetch_log_by_run ON fetch_log (run_id);
CREATE INDEX fetch_log_by_time ON fetch_log (started_at);

CREATE TABLE failures (
    run_id     TEXT    NOT NULL,
    symbol     TEXT    NOT NULL,
    timeframe  TEXT    NOT NULL,
    stage      TEXT    NOT NULL,
    error_kind TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    attempts   INTEGER NOT NULL,
    at         INTEGER NOT NULL
) STRICT;

CREATE INDEX failures_by_run ON failures (run_id);
CREATE INDEX failures_by_time ON failures (at);

-- What each run found at its end. Reports judge the bars themselves; this is for those who read SQL.
CREATE TABLE freshness (
    symbol           TEXT    NOT NULL,
    timeframe        TEXT    NOT NULL,
    last_bar_ts      INTEGER,
    last_computed_at INTEGER,
    lag_seconds      INTEGER NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('fresh', 'aging', 'stale', 'missing')),
    checked_at       INTEGER NOT NULL,
    PRIMARY KEY (symbol, timeframe)
) STRICT, WITHOUT ROWID;

CREATE VIEW candles AS
SELECT s.symbol, s.timeframe, strftime('%Y-%m-%dT%H:%M:%SZ', b.ts, 'unixepoch') AS time,
       b.series_id, b.ts, b.open, b.high, b.low, b.close, b.volume, b.vwap, b.trades,
       coalesce(b.ts <= s.settled_ts, 0) AS settled
  FROM bars AS b JOIN series AS s USING (series_id);
