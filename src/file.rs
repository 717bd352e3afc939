//! A file that takes the place of another as a whole: whoever reads it meanwhile sees the one or the other.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whoever may read the one before; a new one its owner alone.
    Private,
    /// Whoever may read the one before; a new one as the umask says.
    Usual,
    /// Everybody, whatever stood there before.
    Public,
}

/// Puts `text` in the place of whatever stands at `path`. Where `path` is a link, what it leads to is
/// replaced, and the link stays; what is no file, such as a pipe, is written to.
///
/// # Errors
///
/// When the folder cannot be written, or `path` is one.
pub fn replace(path: &Path, text: &[u8], mode: Mode) -> io::Result<()> {
    let real = path.canonicalize();
    let path = real.as_deref().unwrap_or(path);
    let held = fs::metadata(path).ok();
    match &held {
        Some(held) if held.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Some(held) if !held.is_file() => {
            return File::options().write(true).open(path)?.write_all(text);
        }
        _ => {}
    }
    let folder = folder_of(path);
    // The file beside it has a name that nobody knows.
    let mut file = beside(folder, mode).map_err(|error| io::Error::from(error.kind()))?;
    file.write_all(text)?;
    if let Some(held) = &held {
        keep_owner(file.as_file(), held);
    }
    if let Some(permissions) = permissions(mode, held.as_ref()) {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Without this a power loss may bring the one before back.
    File::open(folder)?.sync_all()
}

/// The folder in which a file stands.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file in `folder`.
fn beside(folder: &Path, mode: Mode) -> io::Result<NamedTempFile> {
    let bits = if mode == Mode::Private { 0o600 } else { 0o666 };
    tempfile::Builder::new()
        .prefix(".mdctl-")
        .permissions(Permissions::from_mode(bits))
        .tempfile_in(folder)
}

/// Gives a new file the owner and the group of the one before, as far as may be: what root replaces stays
/// whose it was, and whose group reads it.
fn keep_owner(file: &File, held: &Metadata) {
    if file.metadata().is_ok_and(|new| (new.uid(), new.gid()) != (held.uid(), held.gid())) {
        let _ = fchown(file, Some(held.uid()), Some(held.gid()))
            .or_else(|_| fchown(file, None, Some(held.gid())));
    }
}

/// What is to be set; `None` when it stays as it was made.
fn permissions(mode: Mode, held: Option<&Metadata>) -> Option<Permissions> {
    match mode {
        Mode::Public => Some(Permissions::from_mode(0o644)),
        Mode::Private | Mode::Usual => held.map(Metadata::permissions),
    }
}
