//! The backups of a database: how they are named, where they lie, and which of them are too old.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime};

use crate::domain::database::LastBackup;
use crate::store::{self, StoreError};

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
    /// Of which database it is one; `None` where an older mdctl made that.
    identity: Option<String>,
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

/// Deletes the oldest backups of `database`, which bears that identity, in `folder`, down to `keep` of them;
/// tells which. Whatever is named otherwise, or does not bear it, is none of them, nor is what could not be
/// restored, of which it warns; and `made` is never deleted.
///
/// # Errors
///
/// When the folder cannot be read, or one of them not be deleted.
pub(super) fn keep(
    folder: &Path,
    database: &Path,
    identity: &str,
    made: &Path,
    keep: usize,
) -> io::Result<Vec<PathBuf>> {
    let (mut held, broken) = held(folder, database)?;
    for (path, why) in broken {
        let path = path.display();
        tracing::warn!("{path} is no backup that could be restored, and is not counted: {why}");
    }
    held.retain(|backup| {
        let is_its_own = backup.identity.as_deref() == Some(identity);
        is_its_own && backup.path.file_name() != made.file_name()
    });
    let many = (held.len() + 1).saturating_sub(keep.max(1));
    let old: Vec<PathBuf> = held.into_iter().take(many).map(|backup| backup.path).collect();
    old.iter().try_for_each(fs::remove_file)?;
    Ok(old)
}

/// The newest backup of `database`, which bears that identity, in the folder beside it; `None` without one.
/// One of before it bore any may be its own.
pub(in crate::cli) fn newest(database: &Path, identity: Option<&str>) -> Option<LastBackup> {
    let (mut held, _) = held(&folder_beside(database), database).ok()?;
    held.retain(|backup| backup.identity.as_deref().is_none_or(|its| Some(its) == identity));
    let newest = held.pop()?;
    let bytes = fs::metadata(&newest.path).ok()?.len();
    Some(LastBackup { at: newest.at, bytes, path: newest.path })
}

/// Those that cannot be restored, and why.
type Broken = Vec<(PathBuf, StoreError)>;

/// What is named as a backup of `database` in `folder` and is a database of ours, oldest first; and what
/// would be one if it were not damaged, or from a newer mdctl.
fn held(folder: &Path, database: &Path) -> io::Result<(Vec<Held>, Broken)> {
    let stem = stem(database);
    let (mut held, mut broken) = (Vec::new(), Broken::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let Some((at, index)) = named(&path, &stem) else { continue };
        if !entry.file_type()?.is_file() {
            continue;
        }
        match store::identity_of(&path) {
            Ok(identity) => held.push(Held { at, index, path, identity }),
            Err(StoreError::NotADatabase(_) | StoreError::Foreign(_)) => {}
            Err(error) => broken.push((path, error)),
        }
    }
    held.sort();
    Ok((held, broken))
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
