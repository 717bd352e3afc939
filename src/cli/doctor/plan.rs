//! What the next backfill would bring, and whether there is room for it.

use crate::clock::{Chance, new_run_id};
use crate::config::JobRetries;
use crate::domain::place::folder_of;
use crate::pipeline::{self, Request, Selection};
use crate::plan::{Options, Pass};
use crate::report::doctor::Plan;
use crate::report::health::Disk;
use crate::store::{Store, StoreResult, disk};

use super::super::scene::Scene;

/// The plan and the disk; `None` where either cannot be told.
pub(super) fn next(scene: &Scene, store: Option<&Store>) -> Option<Plan> {
    let free_bytes = disk::free_bytes(folder_of(&scene.settings.database))?;
    let held = |store: &Store| -> StoreResult<(u64, u64)> {
        Ok((store.room()?.used_bytes(), store.bars_in_all()?))
    };
    let (used_bytes, bars) = store.map_or(Ok((0, 0)), held).ok()?;
    let (plan, _) = pipeline::plan(&scene.settings, store, &request(scene), scene.wall_now).ok()?;
    let planned = plan.jobs.iter().flat_map(|job| &job.tasks).map(|task| task.bars).sum();
    Some(Plan { disk: Disk { free_bytes, used_bytes, bars }, bars: planned })
}

/// A backfill of everything.
fn request(scene: &Scene) -> Request {
    Request {
        run_id: new_run_id(&mut Chance::new()),
        command: "backfill",
        trigger: String::new(),
        host: String::new(),
        selection: Selection::default(),
        options: Options { pass: Pass::Backfill, ..Options::default() },
        parallel: 1,
        job_retries: JobRetries::NONE,
        max_requests: None,
        time: scene.settings.run.deadline,
        force: None,
        as_of: scene.as_of,
        no_features: false,
        import: None,
    }
}
