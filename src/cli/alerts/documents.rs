//! The documents that rules look into: word for word what the other reports print with `--json`, all of one
//! reading.

use std::io;

use serde_json::Value;

use crate::domain::alert::Rule;
use crate::domain::timeframe::DAY;
use crate::render;
use crate::report::alerts::{self, Documents};
use crate::report::metrics::Metrics;
use crate::report::quality::SeriesQuality;
use crate::report::slo::{self, Slo};
use crate::report::{health, staleness};
use crate::store::{Store, StoreResult};

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{self as cli};

/// What they are written from.
struct Reading {
    health: health::Health,
    metrics: Metrics,
    quality: Vec<SeriesQuality>,
    slo: Slo,
}

/// All of them, at the instant to judge at.
pub(super) fn of(scene: &Scene) -> Result<Documents, Failure> {
    let next_run = scene.next_run();
    let store = scene.reader()?;
    let read = read(scene, &store).map_err(|error| Failure::of_reader(&error))?;
    let Reading { health, metrics, quality, slo } = &read;
    let (next_run, now, rules) = (next_run.at(), scene.now(), &scene.settings.alerts);
    Ok(Documents::new(
        document(rules, |out| render::health::json(out, health, &scene.settings, next_run, now))?,
        document(rules, |out| render::metrics::json(out, metrics, now))?,
        document(rules, |out| render::quality::json(out, quality, now))?,
        document(rules, |out| render::slo::json(out, slo, scene.wall_now))?,
    ))
}

fn read(scene: &Scene, store: &Store) -> StoreResult<Reading> {
    let mut facts = scene.facts_of(store, true)?;
    let staleness = staleness::judge(&scene.settings, &facts, scene.now());
    let service = cli::slo::service(scene, store, &staleness)?;
    let quality = scene.quality(store, &facts)?;
    let low = cli::metrics::low_of(&quality);
    let evidence = scene.evidence_with(store, &facts, staleness, low)?;
    let health = health::judge(&scene.settings, evidence);
    let metrics = cli::metrics::gather_with(scene, store, &quality, DAY)?;
    let gaps = cli::quality::gaps_now(scene, &mut facts);
    facts.gaps = cli::quality::by_series(&facts, gaps);
    Ok(Reading {
        health,
        metrics,
        quality: scene.quality(store, &facts)?,
        slo: slo::judge(&scene.settings.objectives, &service, scene.wall_now),
    })
}

/// What a report prints, as far as the rules look into it.
fn document(
    rules: &[Rule],
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<Value, Failure> {
    let mut text = Vec::new();
    write(&mut text)?;
    alerts::excerpt(&text, rules).map_err(|error| Failure::from(io::Error::from(error)))
}
