//! What is stored of what is due: series by stretches of time, each stretch with the reasons for what is
//! lacking in it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate};

use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::TimeRange;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::time::midnight;
use crate::domain::timeframe::{DAY, Timeframe};
use crate::plan::Want;

use super::super::gaps::GapState;

/// Series in a map, at most.
pub const MOST: usize = 40;

/// Stretches in a map, as far as the units go.
const STRETCHES: i64 = 62;

/// Days of the map that shows the last ones singly.
const RECENT: i64 = 45;

/// Missing bars by reason, in the order of [`GapReason::ALL`].
pub type ByReason = [u64; GapReason::ALL.len()];

/// What is stored of the series of one timeframe.
#[derive(Debug)]
pub struct Coverage {
    /// Which timeframe.
    pub timeframe: Timeframe,
    /// Series in all.
    pub series: usize,
    /// Series that lack bars for a reason that makes a hole.
    pub with_holes: usize,
    /// Series of which nothing is due, as far as is known: such as those of files that were never read.
    pub without_due: usize,
    /// Every reason that occurs, with its gaps and its missing bars, as `mdctl gaps` lists them.
    pub reasons: Vec<(GapReason, u64, u64)>,
    /// All the time that is wanted, and the last days where these are a small part of it; none where
    /// nothing is due.
    pub maps: Vec<Map>,
}

/// A stretch of time, cut.
#[derive(Debug)]
pub struct Map {
    /// How long the stretches are.
    pub unit: Unit,
    /// Where each begins, epoch seconds UTC, ascending.
    pub starts: Vec<i64>,
    /// Where the last one ends.
    pub end: i64,
    /// Due bars of all series by stretch.
    pub due: Vec<u64>,
    /// Of them those that are missing, by stretch and reason.
    pub missing: Vec<ByReason>,
    /// The series that lack most, the worst first; not all where there are more than [`MOST`].
    pub rows: Vec<Row>,
}

/// One series in a map.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose.
    pub symbol: Symbol,
    /// What of it, by stretch.
    pub cells: Vec<Cell>,
    /// Missing bars in this map that are holes.
    pub holes: u64,
    /// Missing bars in this map that are none.
    pub explained: u64,
}

/// One series in one stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Bars that are due.
    pub due: u64,
    /// Of them those that are not stored.
    pub missing: u64,
    /// Why most of them are not, holes before what is none; `None` where none is missing.
    pub reason: Option<GapReason>,
}

/// How long the stretches of a map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// UTC days.
    Day,
    /// From Monday to Sunday.
    Week,
    /// Calendar months.
    Month,
    /// Calendar quarters.
    Quarter,
    /// Calendar years.
    Year,
}

impl Unit {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// The shortest one of which `range` has no more than [`STRETCHES`].
    fn of(range: TimeRange) -> Self {
        let days = range.seconds() / DAY;
        let units = [(Self::Day, 1), (Self::Week, 7), (Self::Month, 30), (Self::Quarter, 91)];
        let fits = units.into_iter().find(|(_, length)| days <= STRETCHES * length);
        fits.map_or(Self::Year, |(unit, _)| unit)
    }

    /// The stretch that holds `date` begins with this date.
    fn first(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => Some(date),
            Self::Week => {
                date.checked_sub_days(Days::new(date.weekday().num_days_from_monday().into()))
            }
            Self::Month => date.with_day(1),
            Self::Quarter => date.with_day(1)?.with_month0(date.month0() / 3 * 3),
            Self::Year => date.with_day(1)?.with_month(1),
        }
    }

    fn next(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => date.succ_opt(),
            Self::Week => date.checked_add_days(Days::new(7)),
            Self::Month => date.checked_add_months(Months::new(1)),
            Self::Quarter => date.checked_add_months(Months::new(3)),
            Self::Year => date.checked_add_months(Months::new(12)),
        }
    }

    /// Where the stretches that `range` touches begin, and where the last one ends.
    fn cut(self, range: TimeRange) -> Vec<i64> {
        let date = DateTime::from_timestamp(range.start, 0).map(|start| start.date_naive());
        let first = date.and_then(|date| self.first(date));
        let mut edges = Vec::new();
        for date in std::iter::successors(first, |date| self.next(*date)) {
            edges.push(midnight(date));
            if midnight(date) >= range.end {
                break;
            }
        }
        edges
    }
}

/// What is stored of the wanted series at `now`: a part for each timeframe, short to long. `gaps` are all
/// that there are.
#[must_use]
pub fn judge(wants: &[Want], gaps: &[GapState], now: i64) -> Vec<Coverage> {
    let mut gaps_of: HashMap<&SeriesKey, Vec<&Gap>> = HashMap::new();
    for row in gaps {
        gaps_of.entry(&row.key).or_default().push(&row.gap);
    }
    let mut by_timeframe: BTreeMap<Timeframe, Vec<Series<'_>>> = BTreeMap::new();
    for want in wants {
        let gaps = gaps_of.remove(&want.key).unwrap_or_default();
        let series = Series { want, gaps, whole: want.whole(now) };
        by_timeframe.entry(want.key.timeframe).or_default().push(series);
    }
    by_timeframe.into_iter().map(|(timeframe, series)| one(timeframe, &series)).collect()
}

struct Series<'a> {
    want: &'a Want,
    gaps: Vec<&'a Gap>,
    whole: Option<TimeRange>,
}

fn one(timeframe: Timeframe, series: &[Series<'_>]) -> Coverage {
    let gaps = || series.iter().flat_map(|series| &series.gaps);
    let of = |reason: GapReason| {
        let own = gaps().filter(|gap| gap.reason == reason).map(|gap| gap.missing);
        own.fold((reason, 0, 0), |(reason, gaps, bars), missing| (reason, gaps + 1, bars + missing))
    };
    let has_holes = |series: &&Series<'_>| series.gaps.iter().any(|gap| gap.reason.is_hole());
    Coverage {
        timeframe,
        series: series.len(),
        with_holes: series.iter().filter(has_holes).count(),
        without_due: series.iter().filter(|series| series.whole.is_none()).count(),
        reasons: GapReason::ALL.map(of).into_iter().filter(|(_, gaps, _)| *gaps > 0).collect(),
        maps: stretches(timeframe, series).into_iter().map(|range| map(range, series)).collect(),
    }
}

/// All the time that the series are wanted in; and its last days.
fn stretches(timeframe: Timeframe, series: &[Series<'_>]) -> Vec<TimeRange> {
    let wholes = || series.iter().filter_map(|series| series.whole);
    let start = wholes().map(|range| range.start).min();
    let end = wholes().map(|range| range.end).max();
    let Some((start, end)) = start.zip(end) else { return Vec::new() };
    let whole = TimeRange::new(start, end);
    let recent = TimeRange::new(end.saturating_sub(RECENT * DAY), end);
    if timeframe == Timeframe::W1 || Unit::of(whole) == Unit::Day {
        return vec![whole];
    }
    vec![recent, whole]
}

fn map(range: TimeRange, series: &[Series<'_>]) -> Map {
    let unit = Unit::of(range);
    let edges = unit.cut(range);
    let mut dues = Dues { edges: &edges, known: HashMap::new() };
    let lanes: Vec<Lane<'_>> = series.iter().map(|series| Lane::of(series, &mut dues)).collect();
    let stretches = edges.len().saturating_sub(1);
    let mut due = vec![0; stretches];
    let mut missing = vec![ByReason::default(); stretches];
    for lane in &lanes {
        due.iter_mut().zip(lane.due.iter()).for_each(|(all, own)| *all += own);
        for (stretch, own) in &lane.missing {
            missing[*stretch].iter_mut().zip(own).for_each(|(all, own)| *all += own);
        }
    }
    let mut worst: Vec<&Lane<'_>> = lanes.iter().collect();
    worst.sort_by_key(|lane| Reverse((lane.holes, lane.explained)));
    Map {
        unit,
        end: edges.last().copied().unwrap_or(range.end),
        due,
        missing,
        rows: worst.into_iter().take(MOST).map(Lane::row).collect(),
        starts: edges[..stretches].to_vec(),
    }
}

/// One series in a map that is being made.
struct Lane<'a> {
    symbol: &'a Symbol,
    due: Arc<[u64]>,
    /// By the number of the stretch; only those in which bars are missing.
    missing: BTreeMap<usize, ByReason>,
    holes: u64,
    explained: u64,
}

impl<'a> Lane<'a> {
    fn of(series: &Series<'a>, dues: &mut Dues<'_>) -> Self {
        let want = series.want;
        let mut lane = Self {
            symbol: &want.key.symbol,
            due: dues.of(want, series.whole),
            missing: BTreeMap::new(),
            holes: 0,
            explained: 0,
        };
        let Some(whole) = series.whole else { return lane };
        for gap in &series.gaps {
            lane.add(want, gap, whole, dues.edges);
        }
        lane
    }

    /// Adds what is missing in a gap to the stretches that it lies in.
    fn add(&mut self, want: &Want, gap: &Gap, whole: TimeRange, edges: &[i64]) {
        let range = gap.range.intersect(whole);
        if range.is_empty() {
            return;
        }
        let first = edges.partition_point(|edge| *edge <= range.start).saturating_sub(1);
        for (stretch, ends) in edges.windows(2).enumerate().skip(first) {
            let part = range.intersect(TimeRange::new(ends[0], ends[1]));
            if ends[0] >= range.end {
                break;
            }
            let missing = if part == gap.range {
                gap.missing
            } else {
                want.due.calendar.count(want.key.timeframe, want.due.layout, part)
            };
            if missing > 0 {
                let reason = gap.reason as usize;
                self.missing.entry(stretch).or_default()[reason] += missing;
                *if gap.reason.is_hole() { &mut self.holes } else { &mut self.explained } +=
                    missing;
            }
        }
    }

    fn row(&self) -> Row {
        let cell = |(stretch, due): (usize, &u64)| match self.missing.get(&stretch) {
            None => Cell { due: *due, ..Cell::default() },
            Some(missing) => {
                Cell { due: *due, missing: missing.iter().sum(), reason: main_reason(missing) }
            }
        };
        Row {
            symbol: self.symbol.clone(),
            cells: self.due.iter().enumerate().map(cell).collect(),
            holes: self.holes,
            explained: self.explained,
        }
    }
}

/// Why most of them are missing, holes before what is none.
fn main_reason(missing: &ByReason) -> Option<GapReason> {
    let present = GapReason::ALL.into_iter().filter(|reason| missing[*reason as usize] > 0);
    present.max_by_key(|reason| (reason.is_hole(), missing[*reason as usize]))
}

/// Due bars by stretch. Most series of a timeframe share them.
struct Dues<'a> {
    edges: &'a [i64],
    known: HashMap<(String, String, TimeRange), Arc<[u64]>>,
}

impl Dues<'_> {
    fn of(&mut self, want: &Want, whole: Option<TimeRange>) -> Arc<[u64]> {
        let whole = whole.unwrap_or(TimeRange::new(0, 0));
        let edges = self.edges;
        let count = || {
            let stretches = edges.windows(2).map(|ends| TimeRange::new(ends[0], ends[1]));
            let due = |range: TimeRange| {
                let part = range.intersect(whole);
                want.due.calendar.count(want.key.timeframe, want.due.layout, part)
            };
            stretches.map(due).collect()
        };
        let market = want.due.calendar.fingerprint(want.due.layout);
        let key = (want.provider.clone(), market, whole);
        Arc::clone(self.known.entry(key).or_insert_with(count))
    }
}

#[cfg(test)]
mod tests;
