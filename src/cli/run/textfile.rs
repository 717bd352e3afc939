//! The metrics file for node exporter's textfile collector: whole or not at all, and never a reason for a run
//! to fail.

use crate::domain::fact::RunFact;
use crate::domain::run::{RunStatus, Totals};
use crate::exit::Exit;
use crate::file::{self, Mode};
use crate::pipeline::Request;
use crate::render;
use crate::report::telemetry::Telemetry;
use crate::store::Store;

use super::super::metrics;
use super::super::scene::Scene;

/// Leaves the metrics behind, where the config says so. `store` is `None` when the database cannot be
/// read.
pub(super) fn leave(scene: &Scene, store: Option<&Store>, request: &Request, exit: Exit) {
    let Some(path) = &scene.settings.textfile else { return };
    // A run takes its time: what it leaves behind is judged now.
    let at_end = scene.anew(request.selection.shard);
    let ended = ended(request, exit, scene.wall_now, at_end.wall_now);
    let told = tell(&at_end, store, &ended);
    let mut text = Vec::new();
    let written = render::prometheus::write(&mut text, &told, request.selection.shard)
        .and_then(|()| file::replace(path, &text, Mode::Public));
    if let Err(error) = written {
        let folder = file::folder_of(path).display();
        tracing::warn!(
            "cannot write the metrics file {}: {error}; the run is not affected; see whether its folder is \
             there and may be written (ls -ld {folder}, mkdir -p {folder}), or name another in [metrics] \
             textfile",
            path.display()
        );
    }
}

fn tell(scene: &Scene, store: Option<&Store>, ended: &RunFact) -> Telemetry {
    let told = store.map(|store| metrics::tell(scene, store, Some(ended)));
    match told {
        Some(Ok(told)) => told,
        Some(Err(error)) => {
            tracing::warn!("the metrics file tells of this run alone: {error}");
            metrics::tell_without_database(scene, ended)
        }
        // Why it cannot be opened is what the run ends with.
        None => metrics::tell_without_database(scene, ended),
    }
}

/// The run as it is known here; its row tells more, if it could be written.
fn ended(request: &Request, exit: Exit, started_at: i64, ended_at: i64) -> RunFact {
    RunFact {
        run_id: request.run_id.clone(),
        command: request.command.to_owned(),
        trigger: request.trigger.clone(),
        status: match exit {
            Exit::Stopped(_) => RunStatus::Interrupted,
            _ => RunStatus::Failed,
        },
        started_at,
        completed_at: Some(ended_at),
        totals: Totals::default(),
        exit_code: Some(i64::from(exit.code())),
        error: Some("its end could not be written down".to_owned()),
        worst_lag_seconds: None,
    }
}
