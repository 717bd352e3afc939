//! A database for a while: beside another one, so that it is on the same disk, and gone when it is dropped.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::domain::place::folder_of;

use super::{StoreError, StoreResult};

/// Letters and digits at the end of a folder's name.
const LETTERS: usize = 6;

/// A folder that nobody else may look into, beside a database.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// Makes one beside `database`, whose lock the caller holds; what others left that were killed is
    /// deleted.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn beside(database: &Path) -> StoreResult<Self> {
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let (folder, prefix) = (folder_of(&database), prefix_of(&database));
        let create = |error| StoreError::Create { path: folder.join(&prefix), error };
        for left in left_in(folder, &prefix) {
            let _ = fs::remove_dir_all(left);
        }
        let made = tempfile::Builder::new()
            .prefix(&prefix)
            .rand_bytes(LETTERS)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(folder)
            .map_err(create)?;
        Ok(Self { folder: made })
    }

    /// The path of the database in it, which nobody has made yet.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("scratch.db")
    }
}

fn prefix_of(database: &Path) -> String {
    let name = database.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}-scratch-")
}

/// Folders of that prefix.
fn left_in(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let is_left = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let letters = name.strip_prefix(prefix);
        is_folder
            && letters.is_some_and(|letters| {
                letters.len() == LETTERS && letters.chars().all(|c| c.is_ascii_alphanumeric())
            })
    };
    entries.filter(is_left).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_in_the_end_and_so_is_what_a_killed_one_left_of_this_database_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("mdctl.db");
        let at = |name: &str| folder.path().join(name);
        for name in [".mdctl.db-scratch-Ab12Cd", ".other.db-scratch-Ab12Cd"] {
            fs::create_dir(at(name)).expect("a folder");
            fs::write(at(name).join("scratch.db"), "x").expect("a file");
        }
        for name in [".mdctl.db-scratch-mine", ".mdctl.db-scratch-Ab-2Cd"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        let scratch = Scratch::beside(&database).expect("a folder");
        let made = folder_of(&scratch.database()).to_owned();
        assert_eq!(fs::metadata(&made).expect("it is there").permissions().mode() & 0o777, 0o700);
        fs::write(scratch.database(), "x").expect("a file");
        assert!(!at(".mdctl.db-scratch-Ab12Cd").exists());
        assert!(at(".other.db-scratch-Ab12Cd").exists());
        assert!(at(".mdctl.db-scratch-mine").exists() && at(".mdctl.db-scratch-Ab-2Cd").exists());
        drop(scratch);
        assert!(!made.exists());
    }
}
