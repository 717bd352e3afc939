//! `mdctl metrics`: fetch, compute and quality figures, and what Prometheus is told.

use std::io;

use clap::Args;

use crate::config::Span;
use crate::domain::shard::Shard;
use crate::domain::time::seconds;
use crate::exit::Exit;
use crate::render;
use crate::render::metrics::Format;
use crate::report::metrics::{FetchMetrics, Metrics, QualityMetrics};
use crate::report::quality::SeriesQuality;
use crate::report::telemetry::{Ground, Known, LastRun, Telemetry};
use crate::report::{Facts, health, staleness};
use crate::store::{Store, StoreResult};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, print};

/// Fetch, compute and quality figures over a window; or totals and states for Prometheus.
///
/// With `[metrics] textfile = "PATH"` in the config, every run leaves the Prometheus text in that file for
/// node exporter's textfile collector.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl metrics
  mdctl metrics --window 7d --json
  mdctl metrics --format prometheus")]
pub(super) struct MetricsArgs {
    /// How far back requests and computing are looked at, as in 24h. Prometheus' text has totals instead, of
    /// which Prometheus makes windows of its own.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    window: Span,
    /// How they are written; --json gives the table's figures as JSON.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Only the symbols of this shard, and for Prometheus its label on every sample; as in `backfill`.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

pub(super) fn exec(command: &MetricsArgs, scene: &Scene) -> Done {
    if scene.json && command.format == Format::Prometheus {
        return Err(Failure::usage("--json and --format prometheus ask for two documents")
            .hinted("leave one of them out"));
    }
    let scene = &scene.anew(command.shard);
    let store = scene.reader()?;
    let reader = |error| Failure::of_reader(&error);
    if command.format == Format::Prometheus {
        let told = tell(scene, &store).map_err(reader)?;
        print(|out| render::prometheus::write(out, &told, command.shard))?;
        return Ok(Exit::Success);
    }
    let facts = scene.facts(&store, false)?;
    let window = seconds(command.window.0);
    let metrics = gather(scene, &store, &facts, window).map_err(reader)?;
    print(|out: &mut dyn io::Write| {
        if scene.json {
            render::metrics::json(out, &metrics, scene.now())
        } else {
            render::metrics::table(out, &metrics, scene.look)
        }
    })?;
    Ok(Exit::Success)
}

/// What is measured of the last `window` seconds by the wall clock, and of the data at the instant to judge
/// at.
pub(super) fn gather(
    scene: &Scene,
    store: &Store,
    facts: &Facts,
    window: i64,
) -> StoreResult<Metrics> {
    gather_with(scene, store, &scene.quality(store, facts)?, window)
}

/// Likewise, for those who have judged the quality of all series already.
pub(super) fn gather_with(
    scene: &Scene,
    store: &Store,
    quality: &[SeriesQuality],
    window: i64,
) -> StoreResult<Metrics> {
    let since = scene.wall_now.saturating_sub(window);
    Ok(Metrics {
        window_seconds: window,
        fetch: FetchMetrics::of(&store.fetch_facts(since)?),
        quotas: scene.quotas(store)?,
        compute: store.compute_facts(since)?,
        symbols_tracked: scene.settings.members().count() as u64,
        quality: QualityMetrics::of(quality),
    })
}

/// What monitoring is told.
pub(super) fn tell(scene: &Scene, store: &Store) -> StoreResult<Telemetry> {
    let settings = &scene.settings;
    let facts = scene.facts_of(store, false)?;
    let staleness = staleness::judge(settings, &facts, scene.now());
    let quality = scene.quality(store, &facts)?;
    let evidence = scene.evidence_with(store, &facts, staleness, low_of(&quality))?;
    let last_run = evidence.last.as_ref().map(|run| {
        let told = LastRun::of(run);
        // What its row was kept from saying is not known.
        let is_unwritten = scene.ended.as_deref() == Some(run);
        if is_unwritten { LastRun { totals: None, ..told } } else { told }
    });
    let ground = Ground {
        facts: &facts,
        quality: &quality,
        quotas: scene.quotas(store)?,
        totals: store.totals()?,
        database_bytes: store.room()?.bytes,
    };
    let known = Known::of(settings, health::judge(settings, evidence), ground);
    Ok(telemetry(scene, last_run, known))
}

/// Those whose score is low for what is held of them.
pub(super) fn low_of(quality: &[SeriesQuality]) -> Vec<SeriesQuality> {
    quality.iter().filter(|row| row.is_held_low()).cloned().collect()
}

/// What is told when the database cannot be read: that this process's run has ended, and how.
pub(super) fn tell_without_database(scene: &Scene) -> Telemetry {
    let last_run = scene.ended.as_deref().map(LastRun::of);
    telemetry(scene, last_run.map(|run| LastRun { totals: None, ..run }), None)
}

fn telemetry(scene: &Scene, last_run: Option<LastRun>, known: Option<Known>) -> Telemetry {
    Telemetry {
        at: scene.wall_now,
        judged_at: scene.now(),
        max_run_age_seconds: scene.settings.health.max_run_age.as_secs(),
        last_run,
        known,
    }
}
