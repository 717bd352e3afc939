//! The disk under the database.

use std::path::Path;

use super::Store;

/// Bytes that this user may still write to the disk on which `path` stands; `None` where the system does
/// not say.
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

impl Store {
    /// Bytes that this user may still write to the disk of the database; `None` where the system does not
    /// say.
    #[must_use]
    pub fn disk_free_bytes(&self) -> Option<u64> {
        free_bytes(&self.path)
    }
}
