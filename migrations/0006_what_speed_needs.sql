-- What speed needs.

-- What the provider refuses to be asked for at once, of a whole market, as a JSON object: what, and until when it is
-- not asked for again, epoch seconds UTC. NULL when it refuses nothing.
ALTER TABLE rate_state ADD COLUMN refused TEXT;

-- When all splits, or all dividends, of a symbol were last told, by a run judged at that instant, and by whom and
-- under which names. What is declared later is asked for by date; without a row, all there ever was is.
CREATE TABLE actions_told (
    symbol  TEXT    NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind IN ('split', 'dividend')),
    told_at INTEGER NOT NULL,
    told_as TEXT    NOT NULL,
    PRIMARY KEY (symbol, kind)
) STRICT, WITHOUT ROWID;

-- What a run came to that has ended, so that nobody reads its requests one by one to say how a month went. Written
-- with the word that it has ended, and gone with the first of the rows that it was summed up from.

-- Whether the two tables below say what the run's requests came to.
ALTER TABLE runs ADD COLUMN summed INTEGER NOT NULL DEFAULT 0 CHECK (summed IN (0, 1));

-- Its requests, by how long the answers took; files that are read are none.
CREATE TABLE run_requests (
    run_id           TEXT    NOT NULL,
    response_time_ms INTEGER NOT NULL,
    requests         INTEGER NOT NULL,
    successful       INTEGER NOT NULL,
    rate_limited     INTEGER NOT NULL,
    -- Those of them that were second tries or later.
    retries          INTEGER NOT NULL,
    -- Unpacked.
    bytes            INTEGER NOT NULL,
    PRIMARY KEY (run_id, response_time_ms)
) STRICT, WITHOUT ROWID;

-- Its new bars at the tails of series, by the whole seconds, rounded up, after which they came.
CREATE TABLE run_tails (
    run_id        TEXT    NOT NULL,
    after_seconds INTEGER NOT NULL,
    bars          INTEGER NOT NULL,
    PRIMARY KEY (run_id, after_seconds)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER fetch_log_deleted AFTER DELETE ON fetch_log
  WHEN EXISTS (SELECT 1 FROM runs WHERE run_id = OLD.run_id AND summed = 1) BEGIN
    UPDATE runs SET summed = 0 WHERE run_id = OLD.run_id;
    DELETE FROM run_requests WHERE run_id = OLD.run_id;
    DELETE FROM run_tails WHERE run_id = OLD.run_id;
END;

CREATE TRIGGER fetch_log_updated AFTER UPDATE ON fetch_log
  WHEN EXISTS (SELECT 1 FROM runs WHERE run_id = OLD.run_id AND summed = 1) BEGIN
    UPDATE runs SET summed = 0 WHERE run_id = OLD.run_id;
    DELETE FROM run_requests WHERE run_id = OLD.run_id;
    DELETE FROM run_tails WHERE run_id = OLD.run_id;
END;

CREATE TRIGGER runs_deleted AFTER DELETE ON runs BEGIN
    DELETE FROM run_requests WHERE run_id = OLD.run_id;
    DELETE FROM run_tails WHERE run_id = OLD.run_id;
END;

INSERT INTO run_requests
SELECT run_id, response_time_ms, count(*), sum(success), coalesce(sum(error_kind = 'rate_limited'), 0),
       sum(attempt > 1), sum(bytes)
  FROM fetch_log
 WHERE (http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL
   AND run_id IN (SELECT run_id FROM runs WHERE status <> 'running')
 GROUP BY 1, 2;

INSERT INTO run_tails
SELECT f.run_id, f.started_at - r.started_at + (f.response_time_ms + 999) / 1000, sum(f.records_inserted)
  FROM fetch_log AS f JOIN runs AS r USING (run_id)
 WHERE r.status <> 'running' AND f.records_inserted > 0 AND f.range_from >= r.started_at - 604800
 GROUP BY 1, 2;

UPDATE runs SET summed = 1 WHERE status <> 'running';

-- Most questions about runs leave imports out: these are few, and found without a look at all the others.
CREATE INDEX runs_of_imports ON runs (run_id) WHERE command = 'import';
