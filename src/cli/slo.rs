//! `mdctl slo`: service levels.

use clap::Args;

use crate::domain::shard::Shard;
use crate::domain::time::seconds;
use crate::exit::Exit;
use crate::render;
use crate::report::slo::{self, Service};
use crate::report::staleness::{self, Staleness};
use crate::store::{Store, StoreResult};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, print};

/// Service levels, recovery time and recovery point against their objectives.
///
/// What is promised, and over which window, stands in [objectives] of the config. `rpo` is the largest lag
/// of a series, now or at the end of a run; `rto` the longest time from a failed run to the next good one;
/// `detection` the share of new bars that came within so long of the beginning of their run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl slo
  mdctl slo --check                      a gate: exits 1 when a promise is missed, 2 when rpo or rto is
  mdctl slo --json | jq '.incidents[0]'")]
pub(super) struct Slo {
    /// Exit 1 when an objective is missed, and 2 when it is rpo or rto.
    #[arg(long)]
    check: bool,
    /// Only the symbols of this shard; as in `backfill`.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

pub(super) fn exec(command: &Slo, scene: &Scene) -> Done {
    let scene = &scene.anew(command.shard);
    let report = judge(scene)?;
    print(|out| {
        if scene.json {
            render::slo::json(out, &report, scene.wall_now)
        } else {
            render::slo::table(out, &report, scene.look, scene.wall_now)
        }
    })?;
    Ok(if command.check { report.exit() } else { Exit::Success })
}

/// The service levels of the window that ends now.
fn judge(scene: &Scene) -> Result<slo::Slo, Failure> {
    let store = scene.reader()?;
    let facts = scene.facts(&store, false)?;
    let staleness = staleness::judge(&scene.settings, &facts, scene.now());
    let service = service(scene, &store, &staleness).map_err(|error| Failure::of_reader(&error))?;
    Ok(slo::judge(&scene.settings.objectives, &service, scene.wall_now))
}

/// What the service levels are judged by.
pub(super) fn service(scene: &Scene, store: &Store, staleness: &Staleness) -> StoreResult<Service> {
    let lags = staleness.series.iter().map(|row| row.lag_seconds);
    // As of another instant it is no lag of now, and everything else here is.
    let worst_lag = lags.max().filter(|_| scene.as_of.is_none());
    let promised = &scene.settings.objectives;
    let since = scene.wall_now.saturating_sub(seconds(promised.window));
    let mut runs = store.runs_last(u64::MAX, Some(since), None, None)?;
    runs.extend(store.run_good_before(since)?);
    runs.retain(|run| !run.is_import() && !scene.is_ahead(run));
    runs.reverse();
    runs.iter_mut().for_each(|run| scene.as_it_is(run));
    let (running, _) = scene.at_work_and_last(store)?;
    let mut providers = store.provider_runs(since)?;
    // A file that cannot be read is no outage of a provider.
    providers
        .retain(|run| !scene.settings.providers.get(&run.provider).is_some_and(|it| it.is_files()));
    Ok(Service {
        runs,
        providers,
        response_times: store.fetch_facts(since)?.times_ms,
        detected: store.detected(since, promised.detection.within.as_secs_f64())?,
        worst_lag_seconds: worst_lag,
        max_run_age_seconds: seconds(scene.settings.health.max_run_age),
        running: running.is_some_and(|run| !run.is_import()),
    })
}
