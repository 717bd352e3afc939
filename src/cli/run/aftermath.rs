//! What a run leaves behind for others besides its rows, however it ended: the metrics file, the page,
//! pings. All of it is told from the run's row and its exit code, and nothing of it fails the run.

use crate::exit::Exit;
use crate::pipeline::Request;
use crate::store::Store;

use super::super::report;
use super::super::scene::Scene;

/// Leaves it behind. `exit` is what the process is about to end with; where the database itself failed,
/// the run's row may know less.
pub(super) fn leave(scene: &Scene, _store: &Store, _request: &Request, _exit: Exit) {
    // Judged as of its end, and it may have taken hours.
    let scene = scene.later();
    report::leave(&scene);
}
