//! A database copied into a new file, with a bar where there is a terminal, until it is proven or a signal
//! comes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::domain::database::Copied;
use crate::domain::place::folder_of;
use crate::domain::run::StopSignal;
use crate::domain::words::quoted;
use crate::exit::Exit;
use crate::file::Draft;
use crate::render::progress;
use crate::store::{Progress, Store, StoreError};

use super::super::failure::Failure;
use super::super::scene::Scene;

/// Copies `store` to `target`, where nothing is yet, to be read and written as `bits` say; tells where it is
/// then: where something came to stand there meanwhile, `next` names another place. Nothing half stays,
/// whatever happens.
pub(super) fn copy(
    scene: &Scene,
    stop: &Stop,
    store: &Store,
    target: &Path,
    bits: u32,
    next: &dyn Fn(&Path) -> Option<PathBuf>,
) -> Result<(Copied, PathBuf), Failure> {
    let mut target = target.to_owned();
    let draft = loop {
        match Draft::of(&target) {
            Ok(draft) => break draft,
            Err(error) => target = another(&target, &error, next)?,
        }
    };
    let bar = scene.bar.then(|| progress::copying(&scene.screen));
    let tell = |at: Progress| {
        if let Some(bar) = &bar {
            progress::copied(bar, at.done, at.of);
        }
    };
    let copied = store.copy_to(draft.path(), &|| stop.came().is_some(), tell);
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let copied = stop.or(copied.map_err(|error| failed(error, &target))?)?;
    let mut draft = draft.whole(bits).map_err(|error| cannot_make(&target, &error))?;
    loop {
        match draft.name(&target) {
            Ok(()) => return Ok((copied, target)),
            Err((error, nameless)) => {
                target = another(&target, &error, next)?;
                draft = nameless.ok_or_else(|| cannot_make(&target, &error))?;
            }
        }
    }
}

/// The next place, where `target` is taken.
fn another(
    target: &Path,
    error: &io::Error,
    next: &dyn Fn(&Path) -> Option<PathBuf>,
) -> Result<PathBuf, Failure> {
    let next = (error.kind() == io::ErrorKind::AlreadyExists).then(|| next(target)).flatten();
    next.ok_or_else(|| cannot_make(target, error))
}

/// That `path` cannot be made, for its folder is not there.
pub(super) fn no_folder(path: &Path, folder: &Path) -> Failure {
    let words =
        format!("cannot create {}: there is no folder {}", path.display(), folder.display());
    Failure::new(Exit::CannotCreate, "create", words)
        .hinted(format!("make it first: mkdir -p {}", quoted(folder)))
}

/// Who may read and write a file.
pub(super) fn bits(path: &Path) -> u32 {
    fs::metadata(path).map_or(0o600, |metadata| metadata.permissions().mode() & 0o666)
}

/// The size of a file.
pub(super) fn bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Why a copy cannot be made at `target`.
fn cannot_make(target: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failure::new(
            Exit::CannotCreate,
            "create",
            format!("{} is there already, and is not written over", target.display()),
        )
        .hinted("name another file, or move this one away");
    }
    let folder = folder_of(target);
    if error.kind() == io::ErrorKind::NotFound && folder.symlink_metadata().is_err() {
        return no_folder(target, folder);
    }
    Failure::create(target, error)
}

/// Why a copy came to nothing.
fn failed(error: StoreError, target: &Path) -> Failure {
    let is_full = error.is_disk_full();
    let failure = Failure::from(error);
    if !is_full {
        return failure;
    }
    let folder = quoted(folder_of(target));
    failure.hinted(format!(
        "nothing half was left behind; free space there (`df {folder}`), or name a folder on a larger disk"
    ))
}

/// Signals that came.
pub(super) struct Stop {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Stop {
    /// Listens for SIGINT and SIGTERM; the second one ends the process as if nobody had listened.
    pub(super) fn listen() -> Result<Self, Failure> {
        let stop = Self { interrupt: Arc::default(), terminate: Arc::default() };
        for (signal, came) in [(SIGINT, &stop.interrupt), (SIGTERM, &stop.terminate)] {
            flag::register_conditional_default(signal, Arc::clone(came))
                .and_then(|_| flag::register(signal, Arc::clone(came)))
                .map_err(|error| Failure::io("cannot listen to signals", &error))?;
        }
        Ok(stop)
    }

    pub(super) fn came(&self) -> Option<StopSignal> {
        if self.interrupt.load(Ordering::Relaxed) {
            Some(StopSignal::Interrupt)
        } else if self.terminate.load(Ordering::Relaxed) {
            Some(StopSignal::Terminate)
        } else {
            None
        }
    }

    /// What was done, unless a signal came meanwhile.
    pub(super) fn or<T>(&self, done: Option<T>) -> Result<T, Failure> {
        match (done, self.came()) {
            (Some(done), None) => Ok(done),
            (_, signal) => {
                let signal = signal.unwrap_or(StopSignal::Terminate);
                let words = format!("stopped by {}; nothing was left behind", signal.as_str());
                Err(Failure::new(Exit::Stopped(signal), "stopped", words))
            }
        }
    }
}
