-- What makes bars trustworthy: corporate actions and the factors that follow from them, features, what
-- looks suspicious, and what is known of a symbol. Dates are text, YYYY-MM-DD.

CREATE TABLE corporate_actions (
    symbol        TEXT    NOT NULL,
    -- From this session on prices are the new ones.
    ex_date       TEXT    NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('split', 'dividend')),
    -- So many old shares became so many new ones.
    ratio_from    REAL CHECK (ratio_from > 0),
    ratio_to      REAL CHECK (ratio_to > 0),
    -- A share, in the money and the shares of the ex date.
    cash_amount   REAL CHECK (cash_amount > 0),
    currency      TEXT,
    provider      TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('applied', 'pending', 'disputed', 'rejected')),
    -- What speaks against it, or what was decided; in words.
    reason        TEXT,
    -- Whether a person has decided, and what the bars say does not count any more.
    decided       INTEGER NOT NULL DEFAULT 0 CHECK (decided IN (0, 1)),
    first_seen_at INTEGER NOT NULL,
    CHECK ((kind = 'split') = (ratio_from IS NOT NULL AND ratio_to IS NOT NULL)),
    CHECK ((kind = 'dividend') = (cash_amount IS NOT NULL))
) STRICT;

-- The same action, told twice, is one action.
CREATE UNIQUE INDEX corporate_actions_once ON corporate_actions
    (symbol, ex_date, kind, coalesce(ratio_from, 0), coalesce(ratio_to, 0), coalesce(cash_amount, 0));

-- What actions do to the bars of a series: those before `until_ts`, and not before that of the row
-- before, are worth so much. Made of `corporate_actions` whenever they or the bars around them change.
CREATE TABLE adjustment_factors (
    series_id    INTEGER NOT NULL,
    until_ts     INTEGER NOT NULL,
    -- Splits alone: an old price times this is one in shares of today.
    split_factor REAL    NOT NULL CHECK (split_factor > 0),
    -- Splits and cash dividends.
    total_factor REAL    NOT NULL CHECK (total_factor > 0),
    PRIMARY KEY (series_id, until_ts)
) STRICT, WITHOUT ROWID;

ALTER TABLE tracked_symbols ADD COLUMN actions_file_modified_ns INTEGER;
ALTER TABLE tracked_symbols ADD COLUMN actions_file_bytes INTEGER;

-- What its provider says of a symbol.
CREATE TABLE reference_data (
    symbol      TEXT    NOT NULL PRIMARY KEY,
    provider    TEXT    NOT NULL,
    name        TEXT,
    exchange    TEXT,
    currency    TEXT,
    type        TEXT,
    active      INTEGER CHECK (active IN (0, 1)),
    listed_on   TEXT,
    delisted_on TEXT,
    checked_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE features (
    series_id       INTEGER NOT NULL,
    ts              INTEGER NOT NULL,
    sma_20          REAL,
    sma_50          REAL,
    sma_200         REAL,
    ema_12          REAL,
    ema_26          REAL,
    rsi_14          REAL,
    macd            REAL,
    macd_signal     REAL,
    macd_hist       REAL,
    bb_upper        REAL,
    bb_middle       REAL,
    bb_lower        REAL,
    atr_14          REAL,
    adx_14          REAL,
    stoch_k         REAL,
    stoch_d         REAL,
    obv             REAL,
    roc_10          REAL,
    log_return      REAL,
    volatility_20   REAL,
    volume_ratio_20 REAL,
    vwap_session    REAL,
    PRIMARY KEY (series_id, ts)
) STRICT, WITHOUT ROWID;

-- What recursive features remember after the bar of `ts`: computing goes on from there.
CREATE TABLE feature_state (
    series_id INTEGER NOT NULL,
    ts        INTEGER NOT NULL,
    -- How many bars it is the state after.
    bars      INTEGER NOT NULL,
    state     BLOB    NOT NULL,
    PRIMARY KEY (series_id, ts)
) STRICT, WITHOUT ROWID;

-- From here on a series' features are to be computed anew; NULL when they are as its bars are.
ALTER TABLE series ADD COLUMN features_from INTEGER;
-- Which features it has, and the last bar that has them.
ALTER TABLE series ADD COLUMN feature_set TEXT;
ALTER TABLE series ADD COLUMN features_ts INTEGER;
ALTER TABLE series ADD COLUMN features_computed_at INTEGER;
-- By which calendar, cut how, its bars were judged: where that is another one, all are judged anew.
ALTER TABLE series ADD COLUMN market TEXT;
-- Bars before it are in the prices of before its provider restated them; NULL when none is.
ALTER TABLE series ADD COLUMN restated_to INTEGER;
-- Until then it is not asked for again: it failed again and again for what was asked of it.
ALTER TABLE series ADD COLUMN rests_until INTEGER;
-- From here on a series' bars are still to be looked at; NULL when all were.
ALTER TABLE series ADD COLUMN quality_from INTEGER;

UPDATE series SET features_from = first_ts, quality_from = first_ts;

CREATE TABLE compute_log (
    run_id              TEXT    NOT NULL,
    symbol              TEXT    NOT NULL,
    timeframe           TEXT    NOT NULL,
    features_computed   INTEGER NOT NULL,
    rows_written        INTEGER NOT NULL,
    computation_time_ms REAL    NOT NULL,
    success             INTEGER NOT NULL CHECK (success IN (0, 1)),
    error               TEXT,
    at                  INTEGER NOT NULL
) STRICT;

CREATE INDEX compute_log_by_run ON compute_log (run_id);
CREATE INDEX compute_log_by_time ON compute_log (at);

-- What looks suspicious in bars that are stored.
CREATE TABLE anomalies (
    series_id INTEGER NOT NULL,
    ts        INTEGER NOT NULL,
    -- The last bar of a run; that of `ts` for a single one.
    ts_end    INTEGER NOT NULL,
    code      TEXT    NOT NULL,
    count     INTEGER NOT NULL CHECK (count > 0),
    -- The columns that it is about, with commas between; NULL when it is about the whole bar.
    fields    TEXT,
    detail    TEXT,
    PRIMARY KEY (series_id, ts, code)
) STRICT, WITHOUT ROWID;

ALTER TABLE rejected_bars ADD COLUMN fields TEXT;

CREATE TABLE quality_metrics (
    symbol             TEXT    NOT NULL,
    timeframe          TEXT    NOT NULL,
    metric_date        TEXT    NOT NULL,
    total_records      INTEGER NOT NULL,
    validated_records  INTEGER NOT NULL,
    validation_rate    REAL,
    gaps_detected      INTEGER NOT NULL,
    anomalies_detected INTEGER NOT NULL,
    quality_score      REAL,
    completeness       REAL,
    PRIMARY KEY (symbol, timeframe, metric_date)
) STRICT, WITHOUT ROWID;

-- Bars that somebody deletes take along what was made of them, and of those after them.
DROP TRIGGER bars_deleted;
CREATE TRIGGER bars_deleted AFTER DELETE ON bars BEGIN
    INSERT OR IGNORE INTO bars_gone VALUES (OLD.series_id, OLD.ts);
    DELETE FROM features WHERE series_id = OLD.series_id AND ts = OLD.ts;
    DELETE FROM feature_state WHERE series_id = OLD.series_id AND ts >= OLD.ts;
    UPDATE series
       SET bar_count = bar_count - 1,
           first_ts = (SELECT min(ts) FROM bars WHERE series_id = OLD.series_id),
           watermark_ts = (SELECT max(ts) FROM bars WHERE series_id = OLD.series_id),
           features_from = min(coalesce(features_from, OLD.ts), OLD.ts),
           quality_from = min(coalesce(quality_from, OLD.ts), OLD.ts)
     WHERE series_id = OLD.series_id;
END;

-- The factors are looked up once a bar: by the next `until_ts`.
CREATE VIEW candles_adjusted AS
SELECT c.symbol, c.timeframe, c.time, c.series_id, c.ts,
       c.open * coalesce(f.split_factor, 1.0) AS open,
       c.high * coalesce(f.split_factor, 1.0) AS high,
       c.low * coalesce(f.split_factor, 1.0) AS low,
       c.close * coalesce(f.split_factor, 1.0) AS close,
       c.volume / coalesce(f.split_factor, 1.0) AS volume,
       c.vwap * coalesce(f.split_factor, 1.0) AS vwap,
       c.trades, c.settled,
       coalesce(f.split_factor, 1.0) AS split_factor,
       c.close * coalesce(f.total_factor, 1.0) AS adj_close
  FROM candles AS c
  LEFT JOIN adjustment_factors AS f
         ON f.series_id = c.series_id
        AND f.until_ts = (SELECT min(n.until_ts) FROM adjustment_factors AS n
                           WHERE n.series_id = c.series_id AND n.until_ts > c.ts);

CREATE VIEW candle_features AS
SELECT a.*, v.sma_20, v.sma_50, v.sma_200, v.ema_12, v.ema_26, v.rsi_14, v.macd, v.macd_signal,
       v.macd_hist, v.bb_upper, v.bb_middle, v.bb_lower, v.atr_14, v.adx_14, v.stoch_k, v.stoch_d,
       v.obv, v.roc_10, v.log_return, v.volatility_20, v.volume_ratio_20, v.vwap_session
  FROM candles_adjusted AS a LEFT JOIN features AS v ON v.series_id = a.series_id AND v.ts = a.ts;
