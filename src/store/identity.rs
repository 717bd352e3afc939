//! Which database a file is, or is a copy of.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{Store, StoreError, StoreResult, open_alone};

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

/// Which database of ours `path` is; `None` where an older mdctl made it. It is taken for a file that nobody
/// writes to, such as a backup; nothing is made beside it.
///
/// # Errors
///
/// When it is none of ours, from a newer mdctl, or shorter than it says: what could not be restored.
pub fn identity_of(path: &Path) -> StoreResult<Option<String>> {
    let named = |error: StoreError| error.at(path);
    let (connection, version) = open_alone(path, OpenFlags::empty()).map_err(named)?;
    if version == 0 {
        return Err(StoreError::Missing(path.to_owned()));
    }
    identity(&connection, version).map_err(named)
}

fn identity(connection: &Connection, version: i64) -> StoreResult<Option<String>> {
    if version < SINCE {
        return Ok(None);
    }
    Ok(connection.query_row("SELECT id FROM identity", [], |row| row.get(0)).optional()?)
}
