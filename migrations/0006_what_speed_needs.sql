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
