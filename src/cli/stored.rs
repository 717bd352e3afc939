//! Stored rows of one series: which are meant, and what is to be said of them before they are shown.

use std::io;

use clap::Args;

use crate::domain::action::{ActionStatus, Factors};
use crate::domain::policy::Freshness;
use crate::domain::range::TimeRange;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::domain::words::span;
use crate::exit::Exit;
use crate::render::bars::Adjusted;
use crate::render::rows::Format;
use crate::report::{Facts, staleness};
use crate::store::{Store, StoreError};

use super::failure::Failure;
use super::scene::{Scene, closed_before};
use super::select;
use super::times::Edge;
use super::{Done, print};

/// Which rows, and how they are written.
#[derive(Debug, Args)]
pub(super) struct Meant {
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
    /// The last so many rows; on a terminal without a range 20, else all.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// How they are written; `--json` is short for json.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

/// Rows shown on a terminal when nothing says which.
const SCREENFUL: u64 = 20;

/// What kind of rows is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The bars themselves.
    Bars,
    /// What is computed from them.
    Features,
}

/// A series whose rows are to be shown.
pub(super) struct Rows {
    pub(super) store: Store,
    pub(super) key: SeriesKey,
    /// Its row's id; that of none when no run has seen the series yet.
    pub(super) series_id: i64,
    pub(super) range: TimeRange,
    pub(super) limit: Option<u64>,
    pub(super) format: Format,
    /// What actions do to its prices.
    pub(super) factors: Factors,
}

impl Meant {
    /// Opens the series that is meant, and says on stderr when its rows are not what they should be.
    pub(super) fn open(
        &self,
        scene: &Scene,
        kind: Kind,
        adjusted: Adjusted,
    ) -> Result<Rows, Failure> {
        let symbol = select::symbol(&scene.settings, &self.symbol)?;
        let key = self.key(scene, &symbol)?;
        let store = scene.reader()?;
        let facts = scene.facts(&store, false)?;
        warn(scene, &facts, &key, kind);
        let factors = match adjusted {
            Adjusted::None => Factors::default(),
            Adjusted::Splits | Adjusted::All => {
                warn_of_disputes(&store, &symbol)?;
                // Features are told in shares of today, whatever is asked about.
                let as_of = scene.as_of.filter(|_| kind == Kind::Bars);
                factors(as_of, &store, &facts, &key)?
            }
        };
        let open = self.from.is_none() && self.to.is_none();
        let screenful = (open && scene.look.width.is_some()).then_some(SCREENFUL);
        Ok(Rows {
            series_id: facts.series.get(&key).map_or(0, |fact| fact.series_id),
            range: self.range(scene, &key)?,
            limit: self.limit.or(screenful),
            format: if scene.json { Format::Json } else { self.format },
            store,
            key,
            factors,
        })
    }

    /// The series that is meant.
    fn key(&self, scene: &Scene, symbol: &Symbol) -> Result<SeriesKey, Failure> {
        let group = scene
            .settings
            .members()
            .find(|(_, member)| member.symbol == *symbol)
            .map(|(group, _)| group.timeframe_list.as_slice())
            .unwrap_or_default();
        let words = || group.iter().map(|tf| tf.as_str()).collect::<Vec<_>>().join(", ");
        let timeframe = match (self.timeframe, group) {
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

    /// The `ts` that are meant.
    fn range(&self, scene: &Scene, key: &SeriesKey) -> Result<TimeRange, Failure> {
        let found = scene.settings.members().find(|(_, member)| member.symbol == key.symbol);
        let Some((group, member)) = found else { return Ok(TimeRange::new(i64::MIN, i64::MAX)) };
        let due = scene.settings.due(group, member);
        let timeframe = key.timeframe;
        let start = self.from.map_or(i64::MIN, |edge| edge.0.start(&due, timeframe));
        let end = self.to.map_or(i64::MAX, |edge| edge.0.end(&due, timeframe));
        if start >= end {
            return Err(Failure::usage("--from lies after --to"));
        }
        let shown = scene.as_of.map_or(i64::MAX, |as_of| closed_before(&due, timeframe, as_of));
        Ok(TimeRange::new(start, end.min(shown)))
    }
}

/// Writes rows that are read one by one: `show` reads them.
pub(super) fn stream(show: impl FnOnce(&mut dyn io::Write) -> Result<(), Stop>) -> Done {
    let mut trouble = None;
    print(|out| match show(out) {
        Ok(()) => Ok(()),
        Err(Stop::Output(error)) => Err(error),
        Err(Stop::Store(error)) => {
            trouble = Some(error);
            Ok(())
        }
    })?;
    match trouble {
        Some(error) => Err(Failure::of_reader(&error)),
        None => Ok(Exit::Success),
    }
}

/// Why reading ended early.
pub(super) enum Stop {
    Store(StoreError),
    Output(io::Error),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// What actions do to the bars; with `--as-of` as far as they had happened then.
fn factors(
    as_of: Option<i64>,
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
    let Some(as_of) = as_of else { return Ok(factors) };
    // A week's begin with its Monday, whichever day of it was the ex date; days tell which.
    let days = if key.timeframe == Timeframe::W1 { read(Timeframe::D1)? } else { factors.clone() };
    Ok(factors.up_to(days.at(as_of - 1)))
}

/// Says on stderr when the rows are not what they should be.
fn warn(scene: &Scene, facts: &Facts, key: &SeriesKey, kind: Kind) {
    let states = staleness::judge(&scene.settings, facts, scene.now());
    let Some(state) = states.series.into_iter().find(|state| state.key == *key) else { return };
    let SeriesKey { symbol, timeframe } = key;
    let is_older = facts.series.get(key).is_some_and(|fact| fact.features.is_none());
    match (state.bars_status, kind, state.features_status) {
        (Freshness::Missing, ..) => {
            tracing::warn!("{key} has no bars; mdctl backfill {symbol} --timeframe {timeframe}");
        }
        (Freshness::Stale, ..) => tracing::warn!(
            "{key} is stale: {} behind; mdctl backfill --repair {symbol} --timeframe {timeframe}",
            span(state.lag_seconds)
        ),
        (_, Kind::Features, None) if is_older => tracing::warn!(
            "the database was written by an older mdctl, and has no features yet; mdctl backfill"
        ),
        (_, Kind::Features, None) => tracing::warn!(
            "{key} has no features: `features` of its group asks for none at {timeframe}"
        ),
        (_, Kind::Features, Some(Freshness::Missing | Freshness::Stale)) => tracing::warn!(
            "the features of {key} are behind its bars; mdctl backfill {symbol} --timeframe {timeframe}"
        ),
        _ => {}
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
