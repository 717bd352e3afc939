//! One run at a time per database: a lock of the operating system that dies with its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A held lock; let go when dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The lock's file, beside the database.
#[must_use]
pub fn path_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Takes the lock of `database`; `None` when another process holds it.
///
/// # Errors
///
/// When the lock's file cannot be made or opened.
pub fn try_lock(database: &Path) -> io::Result<Option<Lock>> {
    let file = open(database)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Takes the lock of `database`, after waiting for whoever holds it.
///
/// # Errors
///
/// When the lock's file cannot be made or opened.
pub fn wait_for_lock(database: &Path) -> io::Result<Lock> {
    let file = open(database)?;
    file.lock()?;
    Ok(Lock { _file: file })
}

fn open(database: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path_of(database))
}

/// Whether a process holds the lock of `database`. A lock that cannot be asked for counts as free.
#[must_use]
pub fn is_held(database: &Path) -> bool {
    let Ok(file) = File::open(path_of(database)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}
