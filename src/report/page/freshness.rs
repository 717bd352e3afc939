//! The freshness of every series as a map: symbols by timeframes.

use std::collections::{BTreeMap, HashMap};

use crate::config::Settings;
use crate::domain::policy::Freshness;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;

use super::super::staleness::{Counts, SeriesState, Staleness};

/// Series in the list, at most.
pub const MOST: usize = 40;

/// How fresh every series is.
#[derive(Debug)]
pub struct Map {
    /// The timeframes that occur, short to long, each with its counts.
    pub timeframes: Vec<(Timeframe, Counts)>,
    /// The symbols in the order of the config, each with a state for each of the timeframes; `None` where
    /// it has no such series.
    pub symbols: Vec<(Symbol, Vec<Option<Freshness>>)>,
    /// The series that are furthest behind, the worst first; not all where there are more than [`MOST`].
    pub worst: Vec<SeriesState>,
    /// Series in all.
    pub series: usize,
}

impl Map {
    /// The map of those series.
    #[must_use]
    pub fn of(settings: &Settings, staleness: &Staleness) -> Self {
        let mut counts: BTreeMap<Timeframe, Counts> = BTreeMap::new();
        let mut states: HashMap<&SeriesKey, Freshness> = HashMap::new();
        for row in &staleness.series {
            counts.entry(row.key.timeframe).or_default().add(row.status);
            states.insert(&row.key, row.status);
        }
        let timeframes: Vec<(Timeframe, Counts)> = counts.into_iter().collect();
        let cells = |symbol: &Symbol| {
            let key = |timeframe| SeriesKey { symbol: symbol.clone(), timeframe };
            timeframes.iter().map(|(timeframe, _)| states.get(&key(*timeframe)).copied()).collect()
        };
        let members = settings.members();
        Self {
            symbols: members.map(|(_, m)| (m.symbol.clone(), cells(&m.symbol))).collect(),
            timeframes,
            worst: staleness.series.iter().take(MOST).cloned().collect(),
            series: staleness.series.len(),
        }
    }
}
