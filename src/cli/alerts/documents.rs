//! The documents that rules look into: word for word what the other reports print with `--json`, all of one
//! reading.

use std::io;

use serde_json::Value;

use crate::domain::timeframe::DAY;
use crate::render;
use crate::report::alerts::Documents;
use crate::report::{health, staleness};
use crate::store::{Store, StoreResult};

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{metrics, quality, slo};

/// All of them, at the instant to judge at.
pub(super) fn of(scene: &Scene) -> Result<Documents, Failure> {
    let store = scene.reader()?;
    read(scene, &store).map_err(|error| Failure::of_reader(&error))?
}

fn read(scene: &Scene, store: &Store) -> StoreResult<Result<Documents, Failure>> {
    let now = scene.now();
    let mut facts = scene.facts_of(store, true)?;
    let staleness = staleness::judge(&scene.settings, &facts, now);
    let service = slo::service(scene, store, &staleness)?;
    let verdict = health::judge(&scene.settings, scene.evidence(store, &facts, staleness)?);
    let figures = metrics::gather(scene, store, &facts, DAY)?;
    facts.gaps = quality::by_series(&facts, quality::gaps_now(scene, &facts));
    let rows = scene.quality(store, &facts)?;
    let kept = crate::report::slo::judge(&scene.settings.objectives, &service, scene.wall_now);
    let documents = || {
        Ok(Documents::new(
            document(|out| render::health::json(out, &verdict, &scene.settings, now))?,
            document(|out| render::metrics::json(out, &figures, now))?,
            document(|out| render::quality::json(out, &rows, now))?,
            document(|out| render::slo::json(out, &kept, scene.wall_now))?,
        ))
    };
    Ok(documents())
}

fn document(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<Value, Failure> {
    let mut text = Vec::new();
    write(&mut text)?;
    serde_json::from_slice(&text).map_err(|error| Failure::from(io::Error::from(error)))
}
