//! `mdctl status`: the overview, and one symbol.

use std::collections::HashMap;

use clap::Args;
use schemars::Schema;

use crate::domain::fact::SeriesFact;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::DAY;
use crate::exit::Exit;
use crate::render;
use crate::render::status::{Overview, SymbolStatus};
use crate::report::quality::SeriesQuality;
use crate::report::{Facts, staleness};
use crate::store::{Store, StoreResult};

use super::failure::Failure;
use super::metrics;
use super::scene::Scene;
use super::select;
use super::{Done, print};

/// The overview; with SYMBOL, that job's status, retries and last error.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl status
  mdctl status AAPL")]
pub(super) struct Status {
    /// A symbol.
    symbol: Option<String>,
}

impl Status {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.symbol {
            None => render::status::schema(),
            Some(_) => render::status::symbol_schema(),
        }
    }
}

pub(super) fn exec(command: &Status, scene: &Scene) -> Done {
    let symbol =
        command.symbol.as_deref().map(|name| select::symbol(&scene.settings, name)).transpose()?;
    let store = scene.reader()?;
    let facts = scene.facts(&store, false)?;
    match symbol {
        None => {
            let overview =
                overview(scene, &store, &facts).map_err(|error| Failure::of_reader(&error))?;
            print(|out| {
                if scene.json {
                    render::status::json(out, &overview, scene.now())
                } else {
                    render::status::table(out, &overview, scene.look)
                }
            })?;
        }
        Some(symbol) => {
            let status = of_symbol(scene, &store, &facts, &symbol)
                .map_err(|error| Failure::of_reader(&error))?;
            print(|out| {
                if scene.json {
                    render::status::symbol_json(out, &status, scene.now())
                } else {
                    render::status::symbol_table(out, &status, scene.look)
                }
            })?;
        }
    }
    Ok(Exit::Success)
}

/// The overview.
fn overview(scene: &Scene, store: &Store, facts: &Facts) -> StoreResult<Overview> {
    let (running, last) = scene.at_work_and_last(store)?;
    let queue = match running.as_ref().or(last.as_ref()) {
        Some(run) => store.jobs_of(&run.run_id)?,
        None => Vec::new(),
    };
    Ok(Overview {
        pause: store.pause_at(scene.wall_now)?,
        breakers: scene.breakers(store)?,
        running,
        last,
        next_run_at: scene.next_run(),
        queue,
        metrics: metrics::gather(scene, store, facts, DAY)?,
    })
}

fn of_symbol(
    scene: &Scene,
    store: &Store,
    facts: &Facts,
    symbol: &Symbol,
) -> StoreResult<SymbolStatus> {
    let states = staleness::judge(&scene.settings, facts, scene.now());
    let mut quality: HashMap<SeriesKey, SeriesQuality> =
        scene.quality(store, facts)?.into_iter().map(|row| (row.key.clone(), row)).collect();
    let mut series = Vec::new();
    for state in states.series.into_iter().filter(|state| state.key.symbol == *symbol) {
        if let (Some(fact), Some(quality)) =
            (facts.series.get(&state.key), quality.remove(&state.key))
        {
            series.push((SeriesFact::clone(fact), state, quality));
        }
    }
    series.sort_by_key(|(fact, _, _)| fact.key.timeframe);
    let (job, success) = store.jobs_last(symbol)?;
    let found = scene.settings.members().find(|(_, member)| member.symbol == *symbol);
    Ok(SymbolStatus {
        symbol: symbol.to_string(),
        asset_class: found.map_or("", |(group, _)| group.asset_class.as_str()),
        reference: store.reference_of(symbol)?,
        delisted: found.and_then(|(_, member)| member.delisted),
        job,
        last_success_at: success.and_then(|job| job.completed_at),
        series,
    })
}
