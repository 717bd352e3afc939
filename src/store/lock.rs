//! One run at a time per database: a lock of the operating system that dies with its process.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::domain::beside::Beside;

use super::access;

/// A held lock; let go when dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The lock's file, beside the database: the file itself, where links lead to it, so that two names of
/// one database are one lock.
#[must_use]
pub fn path_of(database: &Path) -> PathBuf {
    Beside::Lock.of(&real(database))
}

/// The file of the lock under which alerts are told. It is not the runs' lock: a run may work for hours.
#[must_use]
pub fn alerts_path_of(database: &Path) -> PathBuf {
    Beside::AlertsLock.of(&real(database))
}

fn real(database: &Path) -> PathBuf {
    database.canonicalize().unwrap_or_else(|_| database.to_owned())
}

/// Takes the lock of `database`; `None` when another process holds it.
///
/// # Errors
///
/// When the lock's file cannot be made or opened.
pub fn try_lock(database: &Path) -> io::Result<Option<Lock>> {
    try_file(open(database, &path_of(database))?)
}

/// Takes the lock under which alerts are told; `None` when another process holds it.
///
/// # Errors
///
/// When the lock's file cannot be made or opened.
pub fn try_alerts(database: &Path) -> io::Result<Option<Lock>> {
    try_file(open(database, &alerts_path_of(database))?)
}

fn try_file(file: File) -> io::Result<Option<Lock>> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // A report that looks whether a run is at work shares the lock for a moment: no run does.
        match file.try_lock_shared() {
            Ok(()) => file.unlock()?,
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Takes the lock of `database`, after waiting for whoever holds it.
///
/// # Errors
///
/// When the lock's file cannot be made or opened.
pub fn wait_for_lock(database: &Path) -> io::Result<Lock> {
    let file = open(database, &path_of(database))?;
    file.lock()?;
    Ok(Lock { _file: file })
}

/// Takes the lock under which alerts are told, after waiting for whoever tells them now.
///
/// # Errors
///
/// When the lock's file cannot be made or opened.
pub fn wait_for_alerts(database: &Path) -> io::Result<Lock> {
    let file = open(database, &alerts_path_of(database))?;
    file.lock()?;
    Ok(Lock { _file: file })
}

/// What was noted in the file of the alerts' lock; `None` when nothing is, or it cannot be read.
#[must_use]
pub fn alerts_note(database: &Path) -> Option<String> {
    std::fs::read_to_string(alerts_path_of(database)).ok().filter(|note| !note.is_empty())
}

/// Notes something there, for when the database cannot be written.
///
/// # Errors
///
/// When the file cannot be written.
pub fn alerts_note_set(database: &Path, note: &str) -> io::Result<()> {
    let mut file = open(database, &alerts_path_of(database))?;
    file.set_len(0)?;
    file.write_all(note.as_bytes())
}

/// Whoever may read the database may see whether it is locked.
fn open(database: &Path, path: &Path) -> io::Result<File> {
    access::open(path, access::mode(database))
}

/// Whether a process holds the lock of `database`. One that is not there is free; of one that may not be
/// asked for nobody can say that its run has crashed.
#[must_use]
pub fn is_held(database: &Path) -> bool {
    match File::open(path_of(database)) {
        Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The process that holds the lock of `database`; `None` when none does, or the system does not say.
#[must_use]
pub fn holder(database: &Path) -> Option<u32> {
    let file = File::open(path_of(database)).ok()?;
    let inode = file.metadata().ok()?.ino();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holder_in(line, inode))
}

/// The process of a line of `/proc/locks`, if it is about that file and no mere wait:
/// `1: FLOCK  ADVISORY  WRITE 123 08:01:4711 0 EOF`. Two disks may have the same number; then the lock of
/// the one is taken for the other's, which only names the wrong process.
fn holder_in(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    let is_held = words.next()? == "FLOCK" && words.nth(1)? == "WRITE";
    let process = words.next()?.parse().ok()?;
    let of = words.next()?.rsplit(':').next()?.parse::<u64>().ok()?;
    (is_held && of == inode).then_some(process)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_held_lock_is_held_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("mdctl.db");
        assert!(!is_held(&database));
        let lock = try_lock(&database).expect("a lock");
        assert!(lock.is_some() && is_held(&database));
        assert!(try_lock(&database).expect("an answer").is_none());
        drop(lock);
        assert!(!is_held(&database));
    }

    #[test]
    fn what_is_noted_in_a_lock_goes_through_no_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("mdctl.db");
        alerts_note_set(&database, "a longer note").expect("it is noted");
        alerts_note_set(&database, "note").expect("it is noted");
        assert_eq!(alerts_note(&database).as_deref(), Some("note"));
        let (precious, path) = (folder.path().join("precious"), alerts_path_of(&database));
        std::fs::write(&precious, "mine").expect("a file");
        std::fs::remove_file(&path).expect("it goes");
        std::os::unix::fs::symlink(&precious, &path).expect("a link");
        assert!(alerts_note_set(&database, "note").is_err());
        assert_eq!(std::fs::read_to_string(&precious).expect("it reads"), "mine");
    }

    #[test]
    fn the_holder_is_the_process_that_holds_it() {
        let line = "7: FLOCK  ADVISORY  WRITE 4711 00:2b:99 0 EOF";
        assert_eq!(holder_in(line, 99), Some(4_711));
        assert_eq!(holder_in(line, 98), None);
        assert_eq!(holder_in("7: -> FLOCK  ADVISORY  WRITE 4711 00:2b:99 0 EOF", 99), None);
        assert_eq!(holder_in("7: FLOCK  ADVISORY  READ 4711 00:2b:99 0 EOF", 99), None);
        assert_eq!(holder_in("", 99), None);
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("mdctl.db");
        assert_eq!(holder(&database), None);
        let lock = try_lock(&database).expect("a lock");
        let held = holder(&database);
        assert!(held.is_none_or(|process| process == std::process::id()), "{held:?}");
        drop(lock);
        assert_eq!(holder(&database), None);
    }

    #[test]
    fn who_looks_whether_it_is_held_keeps_nobody_from_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("mdctl.db");
        let over = AtomicBool::new(false);
        let refused = thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let _ = is_held(&database);
                    }
                });
            }
            let refused =
                (0..2_000).filter(|_| try_lock(&database).expect("an answer").is_none()).count();
            over.store(true, Ordering::SeqCst);
            refused
        });
        assert_eq!(refused, 0);
    }
}
