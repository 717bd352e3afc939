//! Whether the database is sound: SQLite's own checks of the file.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::domain::probe::Soundness;

use super::{Store, StoreError, StoreResult, Trouble, interrupt};

/// Up to so many bytes the indices are held against their tables, too: a page more than once.
const SMALL: u64 = 64 << 20;

/// Lines that are asked for, at most.
const MOST: u32 = 20;

impl Store {
    /// Lets SQLite look at every page, for no longer than `patience`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn soundness(&self, patience: Duration) -> StoreResult<Soundness> {
        let thorough = self.room()?.bytes <= SMALL;
        let begun = Instant::now();
        let found = interrupt::unless(&self.connection, &|| begun.elapsed() >= patience, || {
            self.read(|connection| damage(connection, thorough))
        });
        match found {
            Ok(None) => Ok(Soundness::TooLong),
            Ok(Some(lines)) if lines.is_empty() => Ok(Soundness::Sound(thorough)),
            Ok(Some(lines)) => Ok(Soundness::Damaged(lines)),
            Err(StoreError::Sqlite { trouble: Trouble::Damaged, error, .. }) => {
                Ok(Soundness::Damaged(vec![error.to_string()]))
            }
            Err(error) => Err(error),
        }
    }
}

/// What SQLite finds wrong with the file; where it is `thorough`, also by holding the indices against their
/// tables.
pub(super) fn damage(connection: &Connection, thorough: bool) -> StoreResult<Vec<String>> {
    let check = if thorough { "integrity_check" } else { "quick_check" };
    let mut lines: Vec<String> = connection
        .prepare(&format!("PRAGMA {check}({MOST})"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    lines.retain(|line| line != "ok");
    Ok(lines)
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
        let (found, newest) = store.schema_versions().expect("versions");
        assert_eq!(found, newest);
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
