//! What a run leaves behind for others besides its rows, however it ended: the metrics file, the page,
//! pings. All of it is told from the run's row and its exit code, and nothing of it fails the run.

use crate::exit::Exit;
use crate::pipeline::Request;
use crate::store::Store;

use super::super::scene::Scene;
use super::textfile;

/// Leaves it behind. `exit` is what the process is about to end with; where the database itself failed,
/// the run's row may know less.
pub(super) fn leave(scene: &Scene, store: &Store, request: &Request, exit: Exit) {
    textfile::leave(scene, Some(store), request, exit);
}

/// Likewise of a run that came to nothing, for its lock or its database could not be opened to write: it has
/// no row.
pub(super) fn leave_without_row(scene: &Scene, request: &Request, exit: Exit) {
    textfile::leave(scene, scene.reader().ok().as_ref(), request, exit);
}
