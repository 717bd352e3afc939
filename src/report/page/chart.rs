//! The bars of one series with their features, and a place for every stretch of bars that is lacking.

use crate::calendar::due::Due;
use crate::domain::bar::Bar;
use crate::domain::feature::{COUNT, Row};
use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::TimeRange;
use crate::domain::series::SeriesKey;

/// Bars in the chart, at most.
pub const MOST: usize = 400;

/// The last bars of one series.
#[derive(Debug)]
pub struct Chart {
    /// Which series.
    pub key: SeriesKey,
    /// Bars stored in all.
    pub stored: u64,
    /// What is shown, ascending.
    pub slots: Vec<Slot>,
    /// The features that have a value in it, as indices into their names.
    pub features: Vec<usize>,
}

/// A place in the chart.
#[derive(Clone, Debug)]
pub enum Slot {
    /// A bar, with its features where it has any.
    Bar(Bar, Option<Box<Row>>),
    /// Due bars that are not stored.
    Lacking {
        /// From the first of them to the end of the last.
        range: TimeRange,
        /// How many.
        missing: u64,
        /// Why; `None` when nothing is known of it.
        reason: Option<GapReason>,
    },
}

/// What the chart is made from.
#[derive(Debug)]
pub struct Rows<'a> {
    /// Which series.
    pub key: SeriesKey,
    /// Bars stored in all.
    pub stored: u64,
    /// The last ones, adjusted for splits, ascending.
    pub bars: Vec<Bar>,
    /// The features of some of them, ascending.
    pub features: Vec<Row>,
    /// Its gaps, ascending.
    pub gaps: &'a [Gap],
    /// When its bars are due.
    pub due: &'a Due,
}

impl Chart {
    /// The chart of those bars at `now`.
    #[must_use]
    pub fn of(rows: &Rows<'_>, now: i64) -> Self {
        let timeframe = rows.key.timeframe;
        let mut slots = Vec::with_capacity(rows.bars.len());
        let mut features = rows.features.iter().peekable();
        let mut after = None;
        for bar in &rows.bars {
            if let Some(last) = after {
                lacking(rows, TimeRange::new(last, bar.ts), &mut slots);
            }
            after = Some(bar.ts + 1);
            while features.next_if(|row| row.ts < bar.ts).is_some() {}
            slots.push(Slot::Bar(
                *bar,
                features.next_if(|row| row.ts == bar.ts).copied().map(Box::new),
            ));
        }
        if let Some((last, end)) = after.zip(rows.due.end(timeframe, now)) {
            lacking(rows, TimeRange::new(last, end), &mut slots);
        }
        let has = |index: &usize| rows.features.iter().any(|row| row.value(*index).is_some());
        Self {
            key: rows.key.clone(),
            stored: rows.stored,
            features: (0..COUNT).filter(has).collect(),
            slots,
        }
    }

    /// The bars in it.
    pub fn bars(&self) -> impl DoubleEndedIterator<Item = &Bar> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Bar(bar, _) => Some(bar),
            Slot::Lacking { .. } => None,
        })
    }

    /// How many due bars are lacking in it.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let missing = |slot: &Slot| match slot {
            Slot::Bar(..) => 0,
            Slot::Lacking { missing, .. } => *missing,
        };
        self.slots.iter().map(missing).sum()
    }
}

/// Adds what is due in `range`, in which nothing is stored: a slot a reason.
fn lacking(rows: &Rows<'_>, range: TimeRange, slots: &mut Vec<Slot>) {
    let count =
        |range: TimeRange| rows.due.calendar.count(rows.key.timeframe, rows.due.layout, range);
    let mut left = if range.is_empty() { 0 } else { count(range) };
    if left == 0 {
        return;
    }
    let first = rows.gaps.partition_point(|gap| gap.range.end <= range.start);
    for gap in rows.gaps[first..].iter().take_while(|gap| gap.range.start < range.end) {
        let part = gap.range.intersect(range);
        let missing = count(part).min(left);
        if missing > 0 {
            slots.push(Slot::Lacking { range: part, missing, reason: Some(gap.reason) });
            left -= missing;
        }
    }
    if left > 0 {
        slots.push(Slot::Lacking { range, missing: left, reason: None });
    }
}

#[cfg(test)]
mod tests;
