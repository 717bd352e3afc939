//! The backups of a database: how they are named, where they lie, and which of them are too old.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime};

use crate::domain::database::LastBackup;

/// The folder beside the database in which they usually lie.
const FOLDER: &str = "backups";

/// The instant in a backup's name, in UTC.
const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// A backup as its file tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    /// Epoch seconds UTC.
    at: i64,
    /// Of several in one second, which.
    index: u32,
    path: PathBuf,
}

/// Where the backups of `database` usually lie.
pub(super) fn folder_beside(database: &Path) -> PathBuf {
    database.with_file_name(FOLDER)
}

/// A name in `folder` that no file has, for a backup of `database` of that instant.
pub(super) fn new_path(folder: &Path, database: &Path, at: i64) -> PathBuf {
    let stem = stem(database);
    let stamp = DateTime::from_timestamp(at, 0).unwrap_or_default().format(STAMP);
    let path = |index: u32| {
        let more = if index > 1 { format!("-{index}") } else { String::new() };
        folder.join(format!("{stem}-{stamp}{more}.db"))
    };
    let mut index = 1;
    while path(index).symlink_metadata().is_ok() {
        index += 1;
    }
    path(index)
}

/// Whether `path` is named as a backup of `database`.
pub(super) fn is_named_so(path: &Path, database: &Path) -> bool {
    named(path, &stem(database)).is_some()
}

/// Deletes the oldest backups of `database` in `folder`, down to `keep` of them; tells which. Whatever is
/// named otherwise, or is no database of ours, is none, and `made` is never among them.
///
/// # Errors
///
/// When the folder cannot be read, or one of them not be deleted.
pub(super) fn keep(
    folder: &Path,
    database: &Path,
    made: &Path,
    keep: usize,
) -> io::Result<Vec<PathBuf>> {
    let mut held = held(folder, database)?;
    held.retain(|backup| backup.path.file_name() != made.file_name());
    let many = (held.len() + 1).saturating_sub(keep.max(1));
    let old: Vec<PathBuf> = held.into_iter().take(many).map(|backup| backup.path).collect();
    old.iter().try_for_each(fs::remove_file)?;
    Ok(old)
}

/// The newest backup of `database` in the folder beside it; `None` without one.
pub(in crate::cli) fn newest(database: &Path) -> Option<LastBackup> {
    let newest = held(&folder_beside(database), database).ok()?.pop()?;
    let bytes = fs::metadata(&newest.path).ok()?.len();
    Some(LastBackup { at: newest.at, bytes, path: newest.path })
}

/// The backups of `database` in `folder`, oldest first.
fn held(folder: &Path, database: &Path) -> io::Result<Vec<Held>> {
    let stem = stem(database);
    let mut held = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let Some((at, index)) = named(&path, &stem) else { continue };
        if entry.file_type()?.is_file() && is_ours(&path) {
            held.push(Held { at, index, path });
        }
    }
    held.sort();
    Ok(held)
}

/// What backups of `database` are named after.
fn stem(database: &Path) -> String {
    database.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The instant and the index that a backup's name tells.
fn named(path: &Path, stem: &str) -> Option<(i64, u32)> {
    let name = path.file_name()?.to_str()?;
    let rest = name.strip_prefix(stem)?.strip_prefix('-')?.strip_suffix(".db")?;
    let (stamp, index) = match rest.split_once('-') {
        Some((stamp, index)) => (stamp, index.parse().ok().filter(|index| *index > 1)?),
        None => (rest, 1),
    };
    let at = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?.and_utc();
    // A number may be read from fewer digits than are written.
    (at.format(STAMP).to_string() == stamp).then_some((at.timestamp(), index))
}

/// Whether a file begins as a database of this program does.
fn is_ours(path: &Path) -> bool {
    let mut head = [0; 72];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head.starts_with(b"SQLite format 3\0") && head[68..] == *b"mdct"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_no_other_name_is() {
        let folder = Path::new("/backups");
        let path = new_path(folder, Path::new("/data/mdctl.db"), 1_710_466_200);
        assert_eq!(path, folder.join("mdctl-20240315T013000Z.db"));
        assert_eq!(named(&path, "mdctl"), Some((1_710_466_200, 1)));
        let second = folder.join("mdctl-20240315T013000Z-2.db");
        assert_eq!(named(&second, "mdctl"), Some((1_710_466_200, 2)));
        for other in [
            "mdctl.db",
            "mdctl-20240315.db",
            "mdctl-20240315T013000Z.db-wal",
            "mdctl-20240315T013000Z-1.db",
            "mdctl-20240315T013000Z-x.db",
            "mdctl-20240315T013000Z.sqlite",
            "mdctl-2024315T013000Z.db",
            "mdctl-20241315T013000Z.db",
            "other-20240315T013000Z.db",
            "mdctl-old-20240315T013000Z.db",
        ] {
            assert_eq!(named(&folder.join(other), "mdctl"), None, "{other}");
        }
    }
}
