//! Whether the database is sound, asked by somebody who has only seconds to wait.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::domain::probe::Soundness;

use super::{Store, StoreError, StoreResult, Trouble, migrate};

/// Up to so many bytes the indices are held against their tables, too: a page more than once.
const SMALL: u64 = 64 << 20;

impl Store {
    /// The schema version of the file, and the newest that this program knows.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn schema_versions(&self) -> StoreResult<(i64, i64)> {
        self.read(|connection| Ok((migrate::version(connection)?, migrate::NEWEST)))
    }

    /// Lets SQLite look at every page, for no longer than `patience`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn soundness(&self, patience: Duration) -> StoreResult<Soundness> {
        let thorough = self.file_bytes()? <= SMALL;
        let handle = self.connection.get_interrupt_handle();
        let (done, is_done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                if is_done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                    handle.interrupt();
                }
            });
            let found = self.look(thorough);
            drop(done);
            match found {
                Ok(lines) if lines.is_empty() => Ok(Soundness::Sound(thorough)),
                Ok(lines) => Ok(Soundness::Damaged(lines)),
                Err(error) if is_interrupted(&error) => Ok(Soundness::TooLong),
                Err(StoreError::Sqlite { trouble: Trouble::Damaged, error, .. }) => {
                    Ok(Soundness::Damaged(vec![error.to_string()]))
                }
                Err(error) => Err(error),
            }
        })
    }

    fn look(&self, thorough: bool) -> StoreResult<Vec<String>> {
        let sql = if thorough { "PRAGMA integrity_check(5)" } else { "PRAGMA quick_check(5)" };
        self.read(|connection| {
            let mut statement = connection.prepare(sql)?;
            let lines = statement.query_map([], |row| row.get(0))?;
            let mut lines = lines.collect::<Result<Vec<String>, _>>()?;
            lines.retain(|line| line != "ok");
            Ok(lines)
        })
    }
}

fn is_interrupted(error: &StoreError) -> bool {
    matches!(error, StoreError::Sqlite { error, .. }
        if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_database_is_sound_and_of_the_newest_schema() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        let soundness = store.soundness(Duration::from_secs(60)).expect("it can be read");
        assert_eq!(soundness, Soundness::Sound(true));
        assert_eq!(store.schema_versions().expect("versions"), (migrate::NEWEST, migrate::NEWEST));
    }

    #[test]
    fn who_has_no_time_is_told_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        // Interrupted or done first: never an error, and never damage.
        let soundness = store.soundness(Duration::ZERO).expect("it can be read");
        assert!(!matches!(soundness, Soundness::Damaged(_)), "{soundness:?}");
    }
}
