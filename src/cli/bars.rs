//! `mdctl bars`: stored bars of a symbol.

use std::io;

use clap::Args;

use crate::domain::action::{ActionStatus, Factors};
use crate::domain::policy::Freshness;
use crate::domain::range::TimeRange;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::domain::words::span;
use crate::exit::Exit;
use crate::render::bars::{Adjusted, Format, Rows};
use crate::report::{Facts, staleness};
use crate::store::{BarQuery, Store, StoreError};

use super::failure::Failure;
use super::scene::{Scene, closed_before};
use super::select;
use super::times::Edge;
use super::{Done, print};

/// Stored bars of a symbol, oldest first.
///
/// A stale series is warned of on stderr; of a missing one the command that fills it is named.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl bars AAPL --timeframe 1d --limit 20
  mdctl bars AAPL --timeframe 1d --adjusted all --format csv
  mdctl bars BTCUSDT --timeframe 1h --from 2024-01-01 --to 2024-01-31 --format csv > january.csv")]
pub(super) struct Bars {
    /// The symbol.
    symbol: String,
    /// Which bars; may be left out where the symbol has one timeframe.
    #[arg(long, value_name = "TF")]
    timeframe: Option<Timeframe>,
    /// From this session date, inclusive, or instant on.
    #[arg(long, value_name = "DATE")]
    from: Option<Edge>,
    /// Up to this session date, inclusive, or instant.
    #[arg(long, value_name = "DATE")]
    to: Option<Edge>,
    /// The last so many bars; on a terminal without a range 20, else all.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// For what prices and volumes are adjusted: nothing, splits, or splits and dividends; then they
    /// are those of today's shares, with --as-of of the shares of then.
    #[arg(long, value_name = "WHAT", default_value = "none")]
    adjusted: Adjusted,
    /// How they are written; `--json` is short for json.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

/// Bars shown on a terminal when nothing says which.
const SCREENFUL: u64 = 20;

pub(super) fn exec(command: &Bars, scene: &Scene) -> Done {
    let symbol = select::symbol(&scene.settings, &command.symbol)?;
    let key = key(command, scene, &symbol)?;
    let store = scene.reader()?;
    let facts = scene.facts(&store, false)?;
    warn(scene, &facts, &key);
    if command.adjusted != Adjusted::None {
        warn_of_disputes(&store, &symbol)?;
    }
    let open = command.from.is_none() && command.to.is_none();
    let limit = command.limit.or((open && scene.look.width.is_some()).then_some(SCREENFUL));
    // A series that no run has seen yet has no row, and no bars.
    let series_id = facts.series.get(&key).map_or(0, |fact| fact.series_id);
    let query = BarQuery { series_id, range: range(command, scene, &key)?, limit };
    let format = if scene.json { Format::Json } else { command.format };
    let factors = match command.adjusted {
        Adjusted::None => Factors::default(),
        Adjusted::Splits | Adjusted::All => factors(scene, &store, &facts, &key)?,
    };
    let mut trouble = None;
    print(|out| {
        let mut rows = Rows::begin(out, format, (&key, command.adjusted), scene.now())?;
        let read = store.bars_read::<Stop>(&query, |bar| {
            let bar = command.adjusted.of(bar, &factors);
            rows.add(&bar).map_err(Stop::Output)
        });
        match read {
            Ok(()) => rows.end(),
            Err(Stop::Output(error)) => Err(error),
            Err(Stop::Store(error)) => {
                trouble = Some(error);
                Ok(())
            }
        }
    })?;
    match trouble {
        Some(error) => Err(Failure::of_reader(&error)),
        None => Ok(Exit::Success),
    }
}

/// Why reading ended early.
enum Stop {
    Store(StoreError),
    Output(io::Error),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The series that is meant.
fn key(command: &Bars, scene: &Scene, symbol: &Symbol) -> Result<SeriesKey, Failure> {
    let group = scene
        .settings
        .members()
        .find(|(_, member)| member.symbol == *symbol)
        .map(|(group, _)| group.timeframe_list.as_slice())
        .unwrap_or_default();
    let words = || group.iter().map(|tf| tf.as_str()).collect::<Vec<_>>().join(", ");
    let timeframe = match (command.timeframe, group) {
        (Some(timeframe), all) if all.contains(&timeframe) => timeframe,
        (None, [only]) => *only,
        (Some(timeframe), _) => {
            return Err(Failure::usage(format!("{symbol} has no timeframe `{timeframe}`"))
                .hinted(format!("it has {}", words())));
        }
        (None, _) => {
            return Err(Failure::usage(format!("{symbol} has several timeframes"))
                .hinted(format!("--timeframe with one of {}", words())));
        }
    };
    Ok(SeriesKey { symbol: symbol.clone(), timeframe })
}

/// What actions do to the bars; with `--as-of` as far as they had happened then.
fn factors(
    scene: &Scene,
    store: &Store,
    facts: &Facts,
    key: &SeriesKey,
) -> Result<Factors, Failure> {
    let read = |timeframe| {
        let fact = facts.series.get(&SeriesKey { timeframe, ..key.clone() });
        let factors = fact.map(|fact| store.factors_of(fact.series_id)).transpose();
        factors.map(Option::unwrap_or_default).map_err(|error| Failure::of_reader(&error))
    };
    let factors = read(key.timeframe)?;
    let Some(as_of) = scene.as_of else { return Ok(factors) };
    // A week's begin with its Monday, whichever day of it was the ex date; days tell which.
    let days = if key.timeframe == Timeframe::W1 { read(Timeframe::D1)? } else { factors.clone() };
    Ok(factors.up_to(days.at(as_of - 1)))
}

/// The `ts` that are meant.
fn range(command: &Bars, scene: &Scene, key: &SeriesKey) -> Result<TimeRange, Failure> {
    let found = scene.settings.members().find(|(_, member)| member.symbol == key.symbol);
    let Some((group, member)) = found else { return Ok(TimeRange::new(i64::MIN, i64::MAX)) };
    let due = scene.settings.due(group, member);
    let timeframe = key.timeframe;
    let start = command.from.map_or(i64::MIN, |edge| edge.0.start(&due, timeframe));
    let end = command.to.map_or(i64::MAX, |edge| edge.0.end(&due, timeframe));
    if start >= end {
        return Err(Failure::usage("--from lies after --to"));
    }
    let shown = scene.as_of.map_or(i64::MAX, |as_of| closed_before(&due, timeframe, as_of));
    Ok(TimeRange::new(start, end.min(shown)))
}

/// Says on stderr when the bars are not what they should be.
fn warn(scene: &Scene, facts: &Facts, key: &SeriesKey) {
    let states = staleness::judge(&scene.settings, facts, scene.now());
    let Some(state) = states.series.into_iter().find(|state| state.key == *key) else { return };
    match state.status {
        Freshness::Stale => tracing::warn!(
            "{key} is stale: {} behind; mdctl backfill --repair {} --timeframe {}",
            span(state.lag_seconds),
            key.symbol,
            key.timeframe
        ),
        Freshness::Missing => tracing::warn!(
            "{key} has no bars; mdctl backfill {} --timeframe {}",
            key.symbol,
            key.timeframe
        ),
        Freshness::Fresh | Freshness::Aging => {}
    }
}

/// Says on stderr which actions are not in what is shown.
fn warn_of_disputes(store: &Store, symbol: &Symbol) -> Result<(), Failure> {
    let actions = store.actions_of(symbol).map_err(|error| Failure::of_reader(&error))?;
    for fact in actions.iter().filter(|fact| fact.status == ActionStatus::Disputed) {
        let (kind, ex_date) = (&fact.action.kind, fact.action.ex_date);
        tracing::warn!(
            "{symbol}: {kind} of {ex_date} is disputed, and not applied; mdctl actions {symbol}"
        );
    }
    Ok(())
}
