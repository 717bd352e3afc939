//! `mdctl health`: the verdict.

use clap::Args;

use crate::domain::shard::Shard;
use crate::render;
use crate::report::{health, staleness};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, print};

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

pub(super) fn exec(command: &Health, scene: &Scene) -> Done {
    let scene = &scene.anew(command.shard);
    let report = judge(scene).unwrap_or_else(|why| health::unknown(&scene.settings, &why.line()));
    let next_run = scene.next_run();
    print(|out| {
        if scene.json {
            render::health::json(out, &report, &scene.settings, next_run, scene.now())
        } else {
            render::health::table(out, &report, next_run, scene.look, scene.wall_now)
        }
    })?;
    Ok(report.status.exit())
}

/// The verdict.
pub(super) fn judge(scene: &Scene) -> Result<health::Health, Failure> {
    let store = scene.reader()?;
    let facts = scene.facts(&store, false)?;
    let staleness = staleness::judge(&scene.settings, &facts, scene.now());
    let evidence = scene.evidence(&store, &facts, staleness)?;
    Ok(health::judge(&scene.settings, evidence))
}
