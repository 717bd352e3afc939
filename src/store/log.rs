//! The write-ahead log's length. What it holds is moved into the database by a thread of its own, while the
//! writer goes on; the next commit after all of it was moved begins it anew. A reader can hold on to what
//! stands in it: then it grows, until it is as long as a foreign transaction is forgotten.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::domain::beside::Beside;

use super::aide::Aide;
use super::{BUSY, Store, StoreError, StoreResult, migrate};

/// How long the log may become, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From so many pages on what it holds is moved.
    pub(super) pages: i64,
    /// Beyond it, and again after every further stretch of this length, it is emptied with patience.
    pub(super) step: u64,
    /// Beyond it, who cannot empty it writes no more.
    pub(super) most: u64,
    /// How long readers are waited for.
    pub(super) patience: Duration,
}

impl Limits {
    /// Moved at 4 MiB, and emptied by SQLite at 48, a log only becomes so long while somebody reads.
    pub(super) const USUAL: Self =
        Self { pages: 1_000, step: 64 << 20, most: 1 << 30, patience: Duration::from_secs(1) };
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
        self.log_move()?;
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

    /// Lets what the log holds be moved into the database, once it is worth that.
    fn log_move(&mut self) -> StoreResult<()> {
        if self.mover.as_mut().is_some_and(Aide::is_at_work) {
            return Ok(());
        }
        let (held, moved): (i64, i64) = self
            .connection
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")?
            .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?;
        if held < self.log.limits.pages || moved == held {
            return Ok(());
        }
        if self.mover.is_none() {
            self.mover = start_mover(&self.path);
        }
        if let Some(mover) = &mut self.mover {
            mover.ask(());
        }
        Ok(())
    }

    /// From now on lets whatever the log holds be moved at once, where somebody does that: beside what is still
    /// to be done, so that little is left to be moved at the end.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn log_hasten(&mut self) -> StoreResult<()> {
        if self.mover.is_some() {
            self.log.limits.pages = 1;
        }
        self.log_move().map_err(|error| error.at(&self.path))
    }

    /// The length of the log, if it has grown behind a reader since this was last asked for.
    pub fn log_grown(&mut self) -> Option<u64> {
        self.log.in_the_way.take()
    }

    /// Moves what the log holds into the database and empties it; `false` when a reader is in the way.
    pub(super) fn log_empty(&mut self) -> StoreResult<bool> {
        if let Some(mover) = &mut self.mover {
            mover.answer();
        }
        self.connection.busy_timeout(self.log.limits.patience)?;
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.connection.busy_timeout(BUSY)?;
        Ok(!busy?)
    }
}

/// Who moves what the log holds into the database, as far as nobody reads it. What he cannot do is done when
/// the log is emptied, which tells why that fails.
fn start_mover(database: &Path) -> Option<Aide<(), ()>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).ok()?;
    // As the writer's own: the disk has a page in the log before it gets it in its place.
    connection.execute_batch("PRAGMA synchronous = NORMAL").ok()?;
    // A connection that has read nothing yet knows of no log.
    migrate::version(&connection).ok()?;
    Aide::start(move |()| {
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).ok()
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const LIMITS: Limits =
        Limits { pages: 20, step: 128 << 10, most: 512 << 10, patience: Duration::from_millis(1) };

    fn store() -> (TempDir, PathBuf, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mdctl.db");
        let mut store = Store::open_limited(&path, LIMITS).expect("a database");
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
    fn a_log_that_was_moved_meanwhile_begins_anew() {
        let (_folder, path, mut store) = store();
        let pages = |store: &Store| {
            let sql = "PRAGMA wal_checkpoint(NOOP)";
            let both = store.connection.query_row(sql, [], |row| Ok((row.get(1)?, row.get(2)?)));
            both.expect("it is looked at")
        };
        while store.mover.is_none() {
            write(&mut store).expect("a write");
        }
        store.mover.as_mut().and_then(Aide::answer).expect("it is moved");
        let (all, moved): (i64, i64) = pages(&store);
        assert!(all >= LIMITS.pages && moved == all, "{moved} of {all} pages");
        write(&mut store).expect("a write");
        let (held, moved): (i64, i64) = pages(&store);
        assert!(held > 0 && moved == 0, "{moved} of {held} pages: it goes on behind the old ones");
        // Who moves it is no reason to keep it, or to remove it.
        drop(store);
        assert!(!Beside::Log.of(&path).exists());
    }

    #[test]
    fn in_haste_whatever_is_committed_is_moved_at_once() {
        let (_folder, _path, mut store) = store();
        store.log_hasten().expect("it is looked at");
        assert!(store.mover.is_none(), "a short log is worth no thread");
        while store.mover.is_none() {
            write(&mut store).expect("a write");
        }
        let moved = |store: &mut Store| store.mover.as_mut().and_then(Aide::answer).is_some();
        assert!(moved(&mut store));
        // Such a write alone waits for more.
        store.log.limits.pages = 100;
        write(&mut store).expect("a write");
        assert!(!moved(&mut store));
        store.log_hasten().expect("it is looked at");
        assert!(moved(&mut store));
        write(&mut store).expect("a write");
        assert!(moved(&mut store));
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
