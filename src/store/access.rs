//! Whose the database's files are, and who may read them.
//!
//! A database is its owner's alone, but for that of a system install, which its group reads, too; so do they
//! with every other that has been given such a mode. SQLite makes the log and its index like the database.
//! Of a database that a group reads the log stays when nobody has it open: its readers could not make one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use crate::domain::place::{self, folder_of};
use crate::file;

/// The owner's alone.
const PRIVATE: u32 = 0o600;

/// For its group to read.
const OF_GROUP: u32 = 0o640;

/// The mode of files that stand beside a database, and of itself while it is not there.
#[must_use]
pub fn mode(database: &Path) -> u32 {
    let is_of_group = match fs::metadata(database) {
        Ok(held) => is_read_by_group(held.mode()),
        Err(_) => is_of_system(database),
    };
    if is_of_group { OF_GROUP } else { PRIVATE }
}

fn is_of_system(database: &Path) -> bool {
    std::path::absolute(database).is_ok_and(|path| path.starts_with(place::STATE))
}

/// Whether a database's group reads it.
pub(super) fn is_of_group(database: &Path) -> bool {
    fs::metadata(database).is_ok_and(|held| is_read_by_group(held.mode()))
}

const fn is_read_by_group(mode: u32) -> bool {
    mode & 0o040 != 0
}

/// Opens a file to write, and makes it with that mode where it is not there; what stands in it stays.
pub(super) fn open(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Whose folder it is may put a link there, and root would follow it.
    options.write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    match options.clone().create_new(true).mode(mode).open(path) {
        Ok(file) => {
            // Whatever the umask says.
            file.set_permissions(Permissions::from_mode(mode))?;
            file::hand_over(&file, folder_of(path))?;
            Ok(file)
        }
        // Somebody else may have made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_says_itself_who_reads_what_is_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mdctl.db");
        assert_eq!(mode(&path), PRIVATE);
        drop(open(&path, OF_GROUP).expect("a file"));
        assert!(is_of_group(&path) && mode(&path) == OF_GROUP);
        fs::set_permissions(&path, Permissions::from_mode(0o604)).expect("a mode");
        assert!(!is_of_group(&path) && mode(&path) == PRIVATE);
    }

    #[test]
    fn that_of_a_system_install_is_for_its_group() {
        assert_eq!(mode(Path::new("/var/lib/mdctl/no-such.db")), OF_GROUP);
        assert_eq!(mode(Path::new("/var/lib/mdctl-of-mine/no-such.db")), PRIVATE);
    }

    #[test]
    fn what_stands_in_a_file_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "text").expect("a file");
        drop(open(&path, PRIVATE).expect("it opens"));
        assert_eq!(fs::read_to_string(&path).expect("it reads"), "text");
    }
}
