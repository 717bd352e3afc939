//! A copy of the database as it stands at one instant, taken while others read and write.
//!
//! What is copied, and how many rows there are of each table, is read in one transaction: a run that
//! writes meanwhile changes neither, makes nothing begin anew, and goes on. The copy is then opened as
//! any database is, checked by SQLite, and its rows are counted: so many as there were, or it is no copy.
//! A copy is one file, without a log beside it.
//!
//! Root copies into folders of others, too, whose owners can put a link in the place of the copy while it is
//! made: no link is followed.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, ffi};

use crate::domain::database::Copied;
use crate::domain::place::folder_of;

use super::log::Limits;
use super::{Store, StoreError, StoreResult, info, interrupt, migrate, open_alone, sound};

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
    /// Copies the database to `target`, an empty file that is nobody else's and no link, and proves the copy;
    /// `tell` hears how far it is. `None` when `is_over` said meanwhile that it is to end.
    ///
    /// # Errors
    ///
    /// When the database cannot be read or the copy not be written, when the copy is not the same, and
    /// when a run writes so much meanwhile that its log would become too long.
    pub fn copy_to(
        &self,
        target: &Path,
        is_over: &(dyn Fn() -> bool + Sync),
        mut tell: impl FnMut(Progress),
    ) -> StoreResult<Option<Copied>> {
        let at_target = |error: StoreError| error.at(target);
        let real =
            real(target).map_err(|error| StoreError::Create { path: target.into(), error })?;
        let at_source = |error: StoreError| error.at(&self.path);
        let source = self.connection.unchecked_transaction();
        let source = source.map_err(|error| at_source(error.into()))?;
        let schema_version = migrate::version(&source).map_err(at_source)?;
        let tables = interrupt::unless(&source, is_over, || info::rows(&source));
        let Some(tables) = tables.map_err(at_source)? else { return Ok(None) };
        let mut go_on = |at| {
            tell(at);
            !is_over()
        };
        let is_whole = self.copy_pages(&source, &real, &mut go_on).map_err(|error| {
            // What is damaged is never the empty file that is written to.
            let at = if error.is_damage() { &self.path } else { target };
            error.at(at)
        })?;
        if !is_whole {
            return Ok(None);
        }
        drop(source);
        let found = open_alone(&real, OpenFlags::SQLITE_OPEN_NOFOLLOW)
            .and_then(|(copy, _)| proven(&copy, target, is_over));
        let found = match found {
            // What was copied is damaged itself, or else the copy is none.
            Err(error) if error.is_damage() => match self.proven(is_over)? {
                Some(_) => return Err(StoreError::NoCopy(target.to_owned())),
                None => return Ok(None),
            },
            found => found.map_err(at_target)?,
        };
        let Some(found) = found else { return Ok(None) };
        let copied = Copied { schema_version, tables };
        if found == copied { Ok(Some(copied)) } else { Err(StoreError::NoCopy(target.to_owned())) }
    }

    /// Copies page by page; tells whether it came to the end.
    fn copy_pages(
        &self,
        source: &Connection,
        target: &Path,
        go_on: &mut dyn FnMut(Progress) -> bool,
    ) -> StoreResult<bool> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
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
                // Nobody else has the one, and a reader of the other is never kept waiting.
                if !matches!(stepped, StepResult::Done | StepResult::More) {
                    return Err(locked().into());
                }
                if !go_on(Progress { done: of - left.min(of), of }) {
                    return Ok(false);
                }
                if stepped == StepResult::Done {
                    break;
                }
                self.give_way()?;
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

    /// What the database holds, once SQLite has found nothing wrong with it; `None` when `is_over` said
    /// meanwhile that it is to end.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is damaged.
    pub fn proven(&self, is_over: &(dyn Fn() -> bool + Sync)) -> StoreResult<Option<Copied>> {
        self.read(|connection| proven(connection, &self.path, is_over))
    }

    /// Bytes of the log beside the database.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.log.bytes()
    }
}

/// What the database at `path` holds, once SQLite has found nothing wrong with it.
fn proven(
    connection: &Connection,
    path: &Path,
    is_over: &(dyn Fn() -> bool + Sync),
) -> StoreResult<Option<Copied>> {
    interrupt::unless(connection, is_over, || {
        let damage = sound::damage(connection, true)?;
        if let Some(what) = damage.into_iter().next() {
            return Err(StoreError::Damaged { path: path.to_owned(), what });
        }
        let schema_version = migrate::version(connection)?;
        Ok(Copied { schema_version, tables: info::rows(connection)? })
    })
}

/// The path without links in its folders, of which SQLite takes none either where it follows none.
fn real(target: &Path) -> io::Result<PathBuf> {
    let folder = folder_of(target).canonicalize()?;
    Ok(folder.join(target.file_name().unwrap_or_default()))
}

fn locked() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        (folder, store)
    }

    #[test]
    fn a_link_that_came_into_the_place_of_the_copy_is_not_written_through() {
        let (folder, store) = store();
        let (precious, draft) = (folder.path().join("precious"), folder.path().join("draft"));
        fs::write(&precious, "").expect("a file");
        symlink(&precious, &draft).expect("a link");
        assert!(store.copy_to(&draft, &|| false, |_| ()).is_err());
        assert_eq!(fs::metadata(&precious).expect("it is there").len(), 0);
        // One above it is as good as the folder itself.
        symlink(folder.path(), folder.path().join("here")).expect("a link");
        let target = folder.path().join("here/copy.db");
        fs::write(&target, "").expect("a file");
        assert!(store.copy_to(&target, &|| false, |_| ()).expect("a copy").is_some());
    }

    #[test]
    fn the_check_of_a_copy_hears_that_it_is_over() {
        let (folder, mut store) = store();
        store
            .write(|tx| {
                Ok(tx.connection.execute_batch(
                    "INSERT INTO audit_log WITH RECURSIVE n (i) AS
                       (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
                     SELECT i, 'who', 'host', 'action', 'subject', i || ' ' || i * i, NULL FROM n",
                )?)
            })
            .expect("rows");
        assert_eq!(store.proven(&|| true).expect("it is no error"), None);
        let target = folder.path().join("copy.db");
        fs::write(&target, "").expect("a file");
        assert_eq!(store.copy_to(&target, &|| true, |_| ()).expect("it is no error"), None);
    }
}
