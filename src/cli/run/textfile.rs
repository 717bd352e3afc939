//! The metrics file for node exporter's textfile collector: whole or not at all, and never a reason for a run
//! to fail.

use crate::domain::place::folder_of;
use crate::domain::shard::Shard;
use crate::domain::words::quoted;
use crate::file::{self, Mode};
use crate::render;
use crate::report::telemetry::Telemetry;
use crate::store::Store;

use super::super::metrics;
use super::super::scene::Scene;

/// Leaves the metrics behind, where the config says so. `store` is `None` when the database cannot be
/// read.
pub(super) fn leave(scene: &Scene, store: Option<&Store>, shard: Option<Shard>) {
    let Some(path) = &scene.settings.textfile else { return };
    let told = tell(scene, store);
    let mut text = Vec::new();
    let written = render::prometheus::write(&mut text, &told, shard)
        .and_then(|()| file::replace(path, &text, Mode::Public));
    if let Err(error) = written {
        let folder = quoted(folder_of(path));
        tracing::error!(
            "cannot write the metrics file {}: {error}; the run is not affected; see whether its folder is \
             there and may be written (ls -ld {folder}, mkdir -p {folder}), or name another in [metrics] \
             textfile",
            path.display()
        );
    }
}

fn tell(scene: &Scene, store: Option<&Store>) -> Telemetry {
    match store.map(|store| metrics::tell(scene, store)) {
        Some(Ok(told)) => told,
        Some(Err(error)) => {
            tracing::warn!("the metrics file tells of this run alone: {error}");
            metrics::tell_without_database(scene)
        }
        // Why it cannot be opened is what the run ends with.
        None => metrics::tell_without_database(scene),
    }
}
