//! A file that takes the place of another as a whole: whoever reads it meanwhile sees the one or the other.
//! And one that takes a name that nobody has, once it is whole.

use crate::domain::place::folder_of;
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

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
/// replaced, and the link stays; what is no file, such as a pipe, is written to. But root follows nothing
/// that somebody else has put into a folder of his: what stands there is replaced itself.
///
/// # Errors
///
/// When the folder cannot be written, or `path` is one.
pub fn replace(path: &Path, text: &[u8], mode: Mode) -> io::Result<()> {
    let is_wary = is_of_somebody_else(folder_of(path));
    let real = if is_wary { None } else { path.canonicalize().ok() };
    let path = real.as_deref().unwrap_or(path);
    let mut held = path.symlink_metadata().ok();
    match &held {
        Some(held) if held.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Some(other) if !other.is_file() && is_wary => held = None,
        Some(other) if !other.is_file() => {
            return File::options().write(true).open(path)?.write_all(text);
        }
        _ => {}
    }
    let folder = folder_of(path);
    // The file beside it has a name that nobody knows.
    let mut file = beside(folder, mode).map_err(|error| io::Error::from(error.kind()))?;
    file.write_all(text)?;
    match &held {
        Some(held) => keep_owner(file.as_file(), held),
        None => hand_over(file.as_file(), folder)?,
    }
    if let Some(permissions) = permissions(mode, held.as_ref()) {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Without this a power loss may bring the one before back.
    File::open(folder)?.sync_all()
}

/// Whether this is root, and the folder another user's.
fn is_of_somebody_else(folder: &Path) -> bool {
    rustix::process::geteuid().is_root() && fs::metadata(folder).is_ok_and(|it| it.uid() != 0)
}

/// Gives what root has just made in somebody's folder to whom the folder belongs: they could not work with
/// it otherwise. What others make stays theirs.
///
/// # Errors
///
/// When the system refuses it.
pub fn hand_over(made: &File, folder: &Path) -> io::Result<()> {
    let folder = fs::metadata(folder)?;
    if made.metadata()?.uid() == 0 && folder.uid() != 0 {
        fchown(made, Some(folder.uid()), Some(folder.gid()))?;
    }
    Ok(())
}

/// Likewise with the file that stands at `path`, unless it is a link, or has another name as well: whoever
/// owns the folder could have root give away what is somebody else's.
///
/// # Errors
///
/// When it cannot be opened, or the system refuses it.
pub fn hand_over_at(path: &Path) -> io::Result<()> {
    let file = open_itself(path)?;
    let held = file.metadata()?;
    if held.is_file() && held.nlink() == 1 { hand_over(&file, folder_of(path)) } else { Ok(()) }
}

/// Makes a folder with that mode; likewise whose the one above it is.
///
/// # Errors
///
/// When it is there, or cannot be made.
pub fn make_folder(path: &Path, bits: u32) -> io::Result<()> {
    DirBuilder::new().mode(bits).create(path)?;
    hand_over(&open_itself(path)?, folder_of(path))
}

/// Makes a folder with that mode whatever the umask says, and the ones above it; it is that owner's and that
/// group's where they are named. One that is there stays as it is.
///
/// # Errors
///
/// When it cannot be made, or not be given away.
pub fn make_folder_of(
    path: &Path,
    bits: u32,
    owner: Option<u32>,
    group: Option<u32>,
) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder_of(path))?;
    DirBuilder::new().mode(bits).create(path)?;
    let made = open_itself(path)?;
    fchown(&made, owner, group)?;
    made.set_permissions(Permissions::from_mode(bits))
}

/// Opens what stands at `path`, and not what a link there leads to; nothing waits for a pipe's other end.
fn open_itself(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
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

/// A file that is being made beside where it is to stand. Until it is whole it has another name, which is
/// hidden; dropped before, it is gone.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    folder: PathBuf,
}

/// A file that is whole, and lacks but its name.
#[derive(Debug)]
pub struct Nameless(NamedTempFile);

impl Nameless {
    /// Gives it its name, in the folder that it was made in; what came to stand there meanwhile stays.
    ///
    /// # Errors
    ///
    /// When something came to stand there: then with the file, for another name. Without it when the disk
    /// fails.
    pub fn name(self, target: &Path) -> Result<(), (io::Error, Option<Self>)> {
        if let Err(failed) = self.0.persist_noclobber(target) {
            return Err((failed.error, Some(Self(failed.file))));
        }
        File::open(folder_of(target))
            .and_then(|folder| folder.sync_all())
            .map_err(|error| (error, None))
    }
}

/// What the names of drafts begin with.
const DRAFT: &str = ".mdctl-draft-";

impl Draft {
    /// Begins an empty file that is to become `target`, and until then is its maker's alone. Drafts in the
    /// same folder whose makers were killed are removed.
    ///
    /// # Errors
    ///
    /// When `target` is there already, or its folder cannot be written.
    pub fn of(target: &Path) -> io::Result<Self> {
        if target.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let folder = folder_of(target);
        sweep(folder);
        loop {
            let file = tempfile::Builder::new()
                .prefix(DRAFT)
                .permissions(Permissions::from_mode(0o600))
                .tempfile_in(folder)
                .map_err(|error| io::Error::from(error.kind()))?;
            // As long as it is held, somebody is at work on it.
            file.as_file().lock()?;
            // Another one who makes a draft here may have swept it away before it was held.
            if file.path().exists() {
                return Ok(Self { file, folder: folder.to_owned() });
            }
        }
    }

    /// Where it is until it is whole.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives it to whom the folder belongs, to be read and written as `bits` say, once all of it has reached
    /// the disk.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn whole(self, bits: u32) -> io::Result<Nameless> {
        hand_over(self.file.as_file(), &self.folder)?;
        self.file.as_file().set_permissions(Permissions::from_mode(bits))?;
        self.file.as_file().sync_all()?;
        Ok(Nameless(self.file))
    }
}

/// Removes the drafts that nobody is at work on.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let drafts = entries.flatten().filter(|entry| {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        is_file && entry.file_name().to_string_lossy().starts_with(DRAFT)
    });
    for draft in drafts {
        let Ok(held) = File::open(draft.path()) else { continue };
        // Held until it is gone: whoever has just made it waits for that, and sees that it is.
        if held.try_lock().is_ok() {
            // Another one may have swept it at the same time.
            let _ = fs::remove_file(draft.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_draft_that_is_just_being_made_is_not_swept_away_by_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    sweep(folder.path());
                }
            });
            let drafts = [(); 2_000].map(|()| {
                let draft = Draft::of(&folder.path().join("copy.db"))?;
                Ok::<_, io::Error>(draft.path().is_file())
            });
            is_over.store(true, Ordering::Relaxed);
            assert!(drafts.into_iter().all(|draft| draft.is_ok_and(|is_there| is_there)));
        });
    }
}
