//! A database copied into a new file, with a bar where there is a terminal, until it is proven or a signal
//! comes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::domain::database::Copied;
use crate::domain::run::StopSignal;
use crate::exit::Exit;
use crate::file::Draft;
use crate::render::progress;
use crate::store::{Store, StoreError};

use super::super::failure::Failure;
use super::super::scene::Scene;

/// Copies `store`, whose file is `source`, to `target`, where nothing is yet, readable by whoever may read
/// the source. Nothing half stays, whatever happens.
pub(super) fn copy(
    scene: &Scene,
    store: &Store,
    source: &Path,
    target: &Path,
) -> Result<Copied, Failure> {
    let draft = Draft::of(target, bits(source)).map_err(|error| cannot_make(target, &error))?;
    let stop = Stop::listen()?;
    let bar = scene.bar.then(|| progress::copying(&scene.screen));
    let copied = store.copy_to(draft.path(), |at| {
        if let Some(bar) = &bar {
            bar.set_length(at.of);
            bar.set_position(at.done);
        }
        stop.came().is_none()
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let copied = copied.map_err(|error| failed(error, target))?;
    match (copied, stop.came()) {
        (Some(copied), None) => {
            draft.finish().map_err(|error| cannot_make(target, &error))?;
            Ok(copied)
        }
        (_, signal) => {
            let signal = signal.unwrap_or(StopSignal::Terminate);
            let words = format!("stopped by {}; nothing was left behind", signal.as_str());
            Err(Failure::new(Exit::Stopped(signal), "stopped", words))
        }
    }
}

/// Who may read and write what is copied of `source`.
pub(super) fn bits(source: &Path) -> u32 {
    fs::metadata(source).map_or(0o600, |metadata| metadata.permissions().mode() & 0o666)
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
    Failure::create(target, error)
}

/// Why a copy came to nothing.
fn failed(error: StoreError, target: &Path) -> Failure {
    let is_full = error.is_disk_full();
    let failure = Failure::from(error);
    if !is_full {
        return failure;
    }
    let folder = crate::file::folder_of(target).display();
    failure.hinted(format!(
        "nothing half was left behind; free space there (`df {folder}`), or name a folder on a larger disk"
    ))
}

/// Signals that came.
struct Stop {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Stop {
    /// Listens for SIGINT and SIGTERM; the second one ends the process as if nobody had listened.
    fn listen() -> Result<Self, Failure> {
        let stop = Self { interrupt: Arc::default(), terminate: Arc::default() };
        for (signal, came) in [(SIGINT, &stop.interrupt), (SIGTERM, &stop.terminate)] {
            flag::register_conditional_default(signal, Arc::clone(came))
                .and_then(|_| flag::register(signal, Arc::clone(came)))
                .map_err(|error| Failure::io("cannot listen to signals", &error))?;
        }
        Ok(stop)
    }

    fn came(&self) -> Option<StopSignal> {
        if self.interrupt.load(Ordering::Relaxed) {
            Some(StopSignal::Interrupt)
        } else if self.terminate.load(Ordering::Relaxed) {
            Some(StopSignal::Terminate)
        } else {
            None
        }
    }
}
