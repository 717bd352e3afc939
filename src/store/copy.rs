//! A copy of the database as it stands at one instant, taken while others read and write.
//!
//! What is copied, and how many rows there are of each table, is read in one transaction: a run that
//! writes meanwhile changes neither, makes nothing begin anew, and goes on. The copy is then opened as
//! any database is, checked by SQLite, and its rows are counted: so many as there were, or it is no copy.
//! A copy is one file, without a log beside it.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, ffi};

use crate::domain::database::Copied;

use super::log::Limits;
use super::{Store, StoreError, StoreResult, check, info, migrate};

/// Pages copied at a time: 4 MiB of the usual size.
const STEP: i32 = 1_024;

/// How far a copy is, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pages that are copied.
    pub done: u64,
    /// All there are.
    pub of: u64,
}

impl Store {
    /// Copies the database to `target`, an empty file that is nobody else's, and proves the copy. `go_on`
    /// is asked after every few pages; `None` when it said no.
    ///
    /// # Errors
    ///
    /// When the database cannot be read or the copy not be written, when the copy is not the same, and
    /// when a run writes so much meanwhile that its log would become too long.
    pub fn copy_to(
        &self,
        target: &Path,
        mut go_on: impl FnMut(Progress) -> bool,
    ) -> StoreResult<Option<Copied>> {
        let source = self.connection.unchecked_transaction()?;
        let schema_version = migrate::version(&source)?;
        let tables = info::rows(&source)?;
        if !self.copy_pages(&source, target, &mut go_on).map_err(|error| error.at(target))? {
            return Ok(None);
        }
        drop(source);
        let copied = Copied { schema_version, tables };
        let found = Self::open_read(target)?.proven()?;
        if found == copied { Ok(Some(copied)) } else { Err(StoreError::NoCopy(target.to_owned())) }
    }

    /// Copies page by page; tells whether it came to the end.
    fn copy_pages(
        &self,
        source: &Connection,
        target: &Path,
        go_on: &mut dyn FnMut(Progress) -> bool,
    ) -> StoreResult<bool> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(target, flags)?;
        // Should it not come to its end, it is thrown away as a whole.
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        {
            let backup = Backup::new(source, &mut copy)?;
            loop {
                let stepped = backup.step(STEP)?;
                let at = backup.progress();
                let of = u64::try_from(at.pagecount).unwrap_or(0);
                let left = u64::try_from(at.remaining).unwrap_or(0);
                match stepped {
                    StepResult::Done => break,
                    StepResult::More if !go_on(Progress { done: of - left.min(of), of }) => {
                        return Ok(false);
                    }
                    StepResult::More => self.give_way()?,
                    // Nobody else has the one, and a reader of the other is never kept waiting.
                    _ => return Err(locked().into()),
                }
            }
        }
        // A log beside it could be lost on the way, and a disk that is only read has no room for one.
        copy.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;")?;
        copy.close().map_err(|(_, error)| error)?;
        Ok(true)
    }

    /// Gives up before a run has to: as long as this reads, the run's log only grows.
    fn give_way(&self) -> StoreResult<()> {
        let bytes = self.log_bytes();
        if bytes < Limits::USUAL.most / 4 * 3 {
            return Ok(());
        }
        Err(StoreError::Outrun { path: self.path.clone(), bytes })
    }
}

impl Store {
    /// What the database holds, once SQLite has found nothing wrong with it.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is damaged.
    pub fn proven(&self) -> StoreResult<Copied> {
        self.read(|connection| {
            let damage = check::damage(connection)?;
            if let Some(what) = damage.into_iter().next() {
                return Err(StoreError::Damaged { path: self.path.clone(), what });
            }
            let schema_version = migrate::version(connection)?;
            Ok(Copied { schema_version, tables: info::rows(connection)? })
        })
    }

    /// Bytes of the log beside the database.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.log.bytes()
    }
}

fn locked() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)
}
