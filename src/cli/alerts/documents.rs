//! The documents that rules look into: word for word what the other reports print with `--json`.

use std::io;

use serde_json::Value;

use crate::render;
use crate::report::alerts::Documents;

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{health, quality, slo, status};

/// All of them, at the instant to judge at.
pub(super) fn of(scene: &Scene) -> Result<Documents, Failure> {
    let now = scene.now();
    let verdict = health::judge(scene)?;
    let health = document(|out| render::health::json(out, &verdict, &scene.settings, now))?;
    drop(verdict);
    let store = scene.reader()?;
    let mut facts = scene.facts(&store, true)?;
    let unread = |error| Failure::of_reader(&error);
    let overview = status::overview(scene, &store, &facts).map_err(unread)?;
    let mut overview = document(|out| render::status::json(out, &overview, now))?;
    facts.gaps = quality::gaps_now(scene, &facts);
    let rows = scene.quality(&store, &facts).map_err(unread)?;
    let quality = document(|out| render::quality::json(out, &rows, now))?;
    let slo = slo::judge(scene)?;
    let slo = document(|out| render::slo::json(out, &slo, scene.wall_now))?;
    Ok(Documents::new(health, overview["metrics"].take(), quality, Some(slo)))
}

fn document(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<Value, Failure> {
    let mut text = Vec::new();
    write(&mut text)?;
    serde_json::from_slice(&text).map_err(|error| Failure::from(io::Error::from(error)))
}
