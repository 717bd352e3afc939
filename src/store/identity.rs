//! Which database a file is, or is a copy of.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{Store, StoreResult, open_alone};

/// The schema's version that brought it.
const SINCE: i64 = 5;

impl Store {
    /// What tells this database from every other but its copies; `None` where an older mdctl made it and no
    /// newer one has written to it since.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn identity(&self) -> StoreResult<Option<String>> {
        self.read(|connection| identity(connection, super::migrate::version(connection)?))
    }
}

/// Whether `path` is a database of ours, and which: the outer `None` where it is none or cannot be read, the
/// inner one where an older mdctl made it. It is taken for a file that nobody writes to, such as a backup;
/// nothing is made beside it.
#[must_use]
pub fn identity_of(path: &Path) -> Option<Option<String>> {
    let (connection, version) = open_alone(path, OpenFlags::empty()).ok()?;
    if version == 0 {
        return None;
    }
    identity(&connection, version).ok()
}

fn identity(connection: &Connection, version: i64) -> StoreResult<Option<String>> {
    if version < SINCE {
        return Ok(None);
    }
    Ok(connection.query_row("SELECT id FROM identity", [], |row| row.get(0)).optional()?)
}
