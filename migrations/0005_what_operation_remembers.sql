-- What operation remembers: what came from files that somebody imported.

-- The file that a page's rows were imported from; NULL where the series' provider was asked.
ALTER TABLE fetch_log ADD COLUMN file TEXT;
-- Of these, bars that differed from stored ones and took their place (NULL in rows of older versions), and
-- such that did not, for what was stored stayed.
ALTER TABLE fetch_log ADD COLUMN records_updated INTEGER;
ALTER TABLE fetch_log ADD COLUMN records_kept INTEGER NOT NULL DEFAULT 0;
-- And those that were refused by the rule that they break, as in `high_lt_low 2, off_grid_ts 1`; NULL where none was.
ALTER TABLE fetch_log ADD COLUMN rejected_for TEXT;

-- The file that a refused row was imported from; NULL where the series' provider gave it. What somebody imports
-- by hand tells nothing of how good the provider's rows are.
ALTER TABLE rejected_bars ADD COLUMN file TEXT;

-- The `ts` from which on the bars of a series are due although it holds earlier ones: these were imported, and
-- are older than its lookback and than what its provider had been asked for. NULL where there are none.
ALTER TABLE series ADD COLUMN due_from INTEGER;

-- What tells this database from every other, made once. Copies bear it, too: by it a database knows its own
-- backups, and one that was restored from them goes on with it.
CREATE TABLE identity (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id       TEXT    NOT NULL
) STRICT;

INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));
