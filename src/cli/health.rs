//! `mdctl health`: the verdict.

use clap::Args;

use crate::both::both;
use crate::config::Settings;
use crate::domain::shard::Shard;
use crate::render;
use crate::report::Facts;
use crate::report::health::{self, Evidence};
use crate::report::staleness::{self, Staleness};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, ending, print};

/// The verdict: can the data be trusted, and if not, what is to be done?
///
/// Exits 0 when healthy, 1 when degraded, 2 when critical and 3 when it cannot be told, as monitoring
/// plugins do; its first line is the summary that such systems show.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl health
  mdctl health --json | jq -r '.issues[].hint'")]
pub(super) struct Health {
    /// Only the symbols of this shard; as in `backfill`.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

/// From so many series on it pays to judge them in two threads.
const MANY: usize = 5_000;

pub(super) fn exec(command: &Health, scene: &Scene) -> Done {
    let scene = &scene.anew(command.shard);
    let next_run = scene.next_run();
    let judged = judged(scene, staleness::judge_worst).map(|(report, facts)| {
        ending::leave(facts);
        report
    });
    let report = judged.unwrap_or_else(|why| health::unknown(&scene.settings, &why.line()));
    let next_run = next_run.at();
    print(|out| {
        if scene.json {
            render::health::json(out, &report, &scene.settings, next_run, scene.now())
        } else {
            render::health::table(out, &report, next_run, scene.look, scene.wall_now)
        }
    })?;
    let exit = report.status.exit();
    ending::leave(report);
    Ok(exit)
}

/// The verdict, with the state of every series.
pub(super) fn judge(scene: &Scene) -> Result<health::Health, Failure> {
    Ok(judged(scene, staleness::judge)?.0)
}

/// The verdict, and what it was judged from; `lateness` says how late the series are.
fn judged(
    scene: &Scene,
    lateness: fn(&Settings, &Facts, i64) -> Staleness,
) -> Result<(health::Health, Facts), Failure> {
    let store = scene.reader()?;
    let facts = scene.facts(&store, false)?;
    let (settings, now) = (&*scene.settings, scene.now());
    // How late a series is needs nothing of what else is known.
    let stale = || lateness(settings, &facts, now);
    let gather = || {
        let low_quality = scene.low_quality(&store, &facts)?;
        scene.evidence_with(&store, &facts, Staleness::default(), low_quality)
    };
    let is_long = facts.series.len() >= MANY;
    let (staleness, evidence) = if is_long { both(stale, gather) } else { (stale(), gather()) };
    let evidence = Evidence { staleness, ..evidence? };
    Ok((health::judge(settings, evidence), facts))
}
