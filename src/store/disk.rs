//! The disk under the database.

use super::{Store, StoreResult, count};

impl Store {
    /// Bytes that this user may still write to the disk of the database; `None` where the system does not
    /// say.
    #[must_use]
    pub fn disk_free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.path).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }

    /// The database's length in bytes, less what is free in it.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn database_bytes(&self) -> StoreResult<u64> {
        self.read(|connection| {
            let pragma =
                |name| connection.pragma_query_value(None, name, |row| row.get(0).map(count));
            Ok(pragma("page_size")?
                * (pragma("page_count")?.saturating_sub(pragma("freelist_count")?)))
        })
    }
}
