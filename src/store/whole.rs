//! What stands where a database is to be: nothing, a file, or something else; and whether the file is whole.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::Connection;

use crate::domain::beside::Beside;

use super::{StoreError, StoreResult, count};

/// Looks for a file at `path`, before SQLite waits for whoever writes into a pipe.
///
/// # Errors
///
/// When nothing is there, it may not be looked at, or it is no regular file.
pub(super) fn look(path: &Path) -> StoreResult<()> {
    let what = match fs::metadata(path) {
        Ok(held) if held.is_file() => return Ok(()),
        Ok(held) if held.is_dir() => "is a folder",
        Ok(_) => "is no regular file",
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(StoreError::Closed(path.to_owned()));
        }
        Err(_) => return Err(StoreError::Missing(path.to_owned())),
    };
    Err(StoreError::NoFile { path: path.to_owned(), what })
}

/// Holds the length of the file against its own count of pages. One that was cut off in its last pages
/// otherwise goes unnoticed until they are needed.
///
/// Of pages that still stand in its log it may lack any; then nothing can be told.
pub(super) fn whole(connection: &Connection, path: &Path) -> StoreResult<()> {
    // As long as it is read, nobody moves the log into the file.
    let reading = connection.unchecked_transaction()?;
    let pragma = |name| reading.pragma_query_value(None, name, |row| row.get(0).map(count));
    let wanted = pragma("page_count")?.saturating_mul(pragma("page_size")?);
    let length = |path: &Path| fs::metadata(path).map_or(0, |held| held.len());
    let bytes = length(path);
    if bytes >= wanted || length(&Beside::Log.of(path)) > 0 {
        return Ok(());
    }
    let what = format!("it has {bytes} bytes, of {wanted} that it says it has");
    Err(StoreError::Damaged { path: path.to_owned(), what })
}
