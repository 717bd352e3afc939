//! A file is opened to be read, and what is said of one that cannot be.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::domain::fact::FileMark;
use crate::domain::run::{ErrorKind, Fault};

use super::http::too_many_files;

/// Opens a file; with the state that it then was in, where the system tells.
///
/// # Errors
///
/// `not_found` when there is none, `bad_request` when it is no file but a folder or a pipe, `auth` when it
/// may not be read, `storage` when no file more can be opened.
pub(super) fn open(path: &Path) -> Result<(File, Option<FileMark>), Fault> {
    // A pipe under that name would be waited for.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        let message = format!("{} is no regular file", path.display());
        return Err(Fault::new(ErrorKind::BadRequest, message));
    }
    let file = File::open(path).map_err(|error| cannot("open", path, &error))?;
    let mark = file.metadata().ok().and_then(|metadata| FileMark::of(&metadata));
    Ok((file, mark))
}

/// The fault behind an error of the file system.
pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Auth,
        _ if too_many_files(error) => ErrorKind::Storage,
        _ => ErrorKind::Network,
    };
    Fault::new(kind, format!("cannot {what} {}: {error}", path.display()))
}
