//! The write-ahead log's length. SQLite empties the log by itself, unless a reader holds on to what
//! stands in it: then it grows, until it is as long as a foreign transaction is forgotten.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::beside::Beside;

use super::{BUSY, Store, StoreError, StoreResult};

/// How long the log may become, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Beyond it, and again after every further stretch of this length, it is emptied with patience.
    pub(super) step: u64,
    /// Beyond it, who cannot empty it writes no more.
    pub(super) most: u64,
    /// How long readers are waited for.
    pub(super) patience: Duration,
}

impl Limits {
    /// Emptied by SQLite at 16 MiB, a log only becomes so long while somebody reads.
    pub(super) const USUAL: Self =
        Self { step: 64 << 20, most: 1 << 30, patience: Duration::from_secs(1) };
}

/// The log of a database that is written to.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    limits: Limits,
    /// The length at which it is emptied next.
    next: u64,
    /// Its length when a reader was found to be in the way, until somebody has asked.
    in_the_way: Option<u64>,
}

impl Log {
    pub(super) fn of(database: &Path, limits: Limits) -> Self {
        Self { path: Beside::Log.of(database), limits, next: limits.step, in_the_way: None }
    }

    pub(super) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }
}

impl Store {
    /// Keeps the log within its limits, after a commit.
    pub(super) fn log_tame(&mut self) -> StoreResult<()> {
        let bytes = self.log.bytes();
        if bytes < self.log.next {
            return Ok(());
        }
        let Limits { step, most, .. } = self.log.limits;
        if self.log_empty()? {
            self.log.next = step;
        } else if bytes < most {
            self.log.in_the_way = Some(bytes);
            // Whoever reads is not asked again at every commit.
            self.log.next = bytes.saturating_add(step).min(most);
        } else {
            return Err(StoreError::LogFull { path: self.log.path.clone(), bytes });
        }
        Ok(())
    }

    /// The length of the log, if it has grown behind a reader since this was last asked for.
    pub fn log_grown(&mut self) -> Option<u64> {
        self.log.in_the_way.take()
    }

    /// Moves what the log holds into the database and empties it; `false` when a reader is in the way.
    pub(super) fn log_empty(&self) -> StoreResult<bool> {
        self.connection.busy_timeout(self.log.limits.patience)?;
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.connection.busy_timeout(BUSY)?;
        Ok(!busy?)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    const LIMITS: Limits =
        Limits { step: 128 << 10, most: 512 << 10, patience: Duration::from_millis(1) };

    fn store() -> (TempDir, PathBuf, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mdctl.db");
        let store = Store::open_limited(&path, LIMITS).expect("a database");
        // What making the schema left in it.
        assert!(store.log_empty().expect("nobody is in the way"));
        (folder, path, store)
    }

    /// Writes about ten pages.
    fn write(store: &mut Store) -> StoreResult<()> {
        store.write(|tx| {
            let text = "x".repeat(40_000);
            tx.connection.execute(
                "INSERT INTO rejected_bars (series_id, run_id, reason, text)
                 SELECT count(*), 'run', 'reason', ? FROM rejected_bars",
                [text],
            )?;
            Ok(())
        })
    }

    fn rows(connection: &Connection) -> i64 {
        let sql = "SELECT count(*) FROM rejected_bars";
        connection.query_row(sql, [], |row| row.get(0)).expect("a count")
    }

    /// Somebody who reads and does not end the transaction.
    fn reader(path: &Path) -> Connection {
        let reader = Connection::open(path).expect("a reader");
        reader.execute_batch("BEGIN").expect("a transaction");
        rows(&reader);
        reader
    }

    #[test]
    fn without_readers_the_log_stays_short() {
        let (_folder, _path, mut store) = store();
        for _ in 0..60 {
            write(&mut store).expect("a write");
            assert!(store.log.bytes() < LIMITS.step + (128 << 10), "{}", store.log.bytes());
        }
    }

    #[test]
    fn behind_a_reader_the_log_ends_with_an_error_that_says_why() {
        let (_folder, path, mut store) = store();
        let reader = reader(&path);
        let mut written = 0;
        let error = loop {
            written += 1;
            match write(&mut store) {
                Ok(()) => assert!(written < 60, "the log grows without bound"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::LogFull { .. }), "{error}");
        assert!(error.to_string().contains("mdctl.db-wal"), "{error}");
        assert!(store.log.bytes() < LIMITS.most + (128 << 10), "{}", store.log.bytes());
        // What was committed stays, and the writer goes on once the reader is gone.
        assert_eq!(rows(&store.connection), written);
        assert_eq!(rows(&reader), 0, "the reader's view is its own");
        drop(reader);
        write(&mut store).expect("a write");
        assert_eq!(store.log.bytes(), 0);
        assert_eq!(store.log.next, LIMITS.step);
    }

    #[test]
    fn a_reader_is_not_waited_for_at_every_commit() {
        let (_folder, path, mut store) = store();
        let _reader = reader(&path);
        while store.log.bytes() < LIMITS.step {
            assert_eq!(store.log.next, LIMITS.step);
            write(&mut store).expect("a write");
        }
        assert!(store.log_grown().is_some_and(|bytes| bytes >= LIMITS.step));
        assert_eq!(store.log_grown(), None, "it is told once");
        let next = store.log.next;
        assert!(next >= 2 * LIMITS.step, "{next}");
        write(&mut store).expect("a write");
        assert_eq!(store.log.next, next);
    }
}
