//! What a run leaves behind for others besides its rows, however it ended: the metrics file, the page,
//! pings. All of it is told from the run's row and its exit code, and nothing of it fails the run.

use crate::clock;
use crate::domain::fact::RunFact;
use crate::domain::run::{RunStatus, Totals};
use crate::exit::Exit;
use crate::logging::Tail;
use crate::notify::pulse::Pulse;
use crate::pipeline::Request;
use crate::render;
use crate::store::Store;

use super::super::report;
use super::super::scene::Scene;
use super::textfile;

/// Tells the dead man's switches that the run starts: an import, which somebody makes by hand, would have
/// them believe that the schedule is alive.
pub(super) fn begin(scene: &Scene, request: &Request) -> Pulse {
    let listeners = scene.settings.notifiers.iter().filter(|_| request.import.is_none());
    Pulse::start(listeners, &request.run_id)
}

/// Leaves it behind. `exit` is what the process is about to end with; where the database itself failed,
/// the run's row may know less. Where it could not be opened to write there is no `store`: then what can still
/// be read is told.
pub(super) fn leave(
    scene: &Scene,
    store: Option<&Store>,
    request: &Request,
    pulse: Pulse,
    exit: Exit,
) {
    let shard = request.selection.shard;
    // A run takes its time: what it leaves behind is judged now.
    let scene = scene.after(ended(request, exit, scene.wall_now), shard);
    let read_only = store.is_none().then(|| scene.reader().ok()).flatten();
    let store = store.or(read_only.as_ref());
    textfile::leave(&scene, store, shard);
    report::leave(&scene);
    ping(&scene, store, request, pulse, exit);
}

/// The run as it is known here; its row tells more, if it could be written.
fn ended(request: &Request, exit: Exit, started_at: i64) -> RunFact {
    RunFact {
        run_id: request.run_id.clone(),
        command: request.command.to_owned(),
        trigger: request.trigger.clone(),
        status: match exit {
            Exit::Stopped(_) => RunStatus::Interrupted,
            _ => RunStatus::Failed,
        },
        started_at,
        completed_at: Some(clock::now()),
        totals: Totals::default(),
        exit_code: Some(i64::from(exit.code())),
        error: Some("its end could not be written down".to_owned()),
        worst_lag_seconds: None,
    }
}

/// Tells the dead man's switches how the run ended, what it did and its last log lines.
fn ping(scene: &Scene, store: Option<&Store>, request: &Request, pulse: Pulse, exit: Exit) {
    if pulse.is_none() {
        return;
    }
    let mut text = format!("run {}\n", request.run_id).into_bytes();
    let run = store.and_then(|store| store.runs_by_prefix(&request.run_id.0).ok()?.pop());
    if let Some(mut run) = run {
        scene.as_it_is(&mut run);
        // Into memory, which takes it.
        let _ = render::history::ended(&mut text, &run);
    }
    let lines = scene.tail.as_ref().map(Tail::text).unwrap_or_default();
    let text = format!("{}exit code {}\n\n{lines}", String::from_utf8_lossy(&text), exit.code());
    for (name, error) in pulse.end(exit, &text) {
        tracing::error!(notifier = name, "a dead man's switch was not told of the run: {error}");
    }
}
