//! Bars of a timeframe that the provider does not offer, made of a finer one that it does. Pure.
//!
//! A window becomes a bar only when each of its due source bars is stored or known not to have traded:
//! a bar made of half its parts would look like any other.

use crate::calendar::Intraday;
use crate::calendar::due::Due;
use crate::domain::bar::Bar;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::timeframe::Timeframe;

/// What windows are made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// When the symbol's bars are due.
    pub due: &'a Due,
    /// The finer timeframe.
    pub source: Timeframe,
    /// Its stored bars, ascending.
    pub bars: &'a [Bar],
    /// Where it was not traded.
    pub untraded: &'a RangeSet,
}

/// The bars of `timeframe` whose windows begin in `range`, are due at `now`, and are whole.
#[must_use]
pub fn bars(parts: &Parts<'_>, timeframe: Timeframe, range: TimeRange, now: i64) -> Vec<Bar> {
    let mut derived = Vec::new();
    for ts in parts.due.timestamps(timeframe, range, now) {
        derived.extend(window(parts, TimeRange::new(ts, ts + timeframe.seconds()), now));
    }
    derived
}

/// The bar of one window; `None` when a part is lacking, or nothing was traded.
fn window(parts: &Parts<'_>, range: TimeRange, now: i64) -> Option<Bar> {
    let first = parts.bars.partition_point(|bar| bar.ts < range.start);
    let mut held = parts.bars[first..].iter().take_while(|bar| bar.ts < range.end).peekable();
    let mut whole: Option<Sum> = None;
    for ts in parts.due.timestamps(parts.source, range, now) {
        while held.next_if(|bar| bar.ts < ts).is_some() {}
        match held.next_if(|bar| bar.ts == ts) {
            Some(bar) => match &mut whole {
                Some(sum) => sum.add(bar),
                None => whole = Some(Sum::new(bar)),
            },
            None if parts.untraded.contains(ts) => {}
            None => return None,
        }
    }
    whole.map(|sum| sum.bar(range.start))
}

/// A window being summed up.
struct Sum {
    bar: Bar,
    turnover: Option<f64>,
}

impl Sum {
    fn new(bar: &Bar) -> Self {
        Self { bar: *bar, turnover: turnover(bar) }
    }

    fn add(&mut self, next: &Bar) {
        let bar = &mut self.bar;
        bar.high = bar.high.max(next.high);
        bar.low = bar.low.min(next.low);
        bar.close = next.close;
        bar.volume = bar.volume.zip(next.volume).map(|(sum, more)| sum + more);
        bar.trades = bar.trades.zip(next.trades).map(|(sum, more)| sum.saturating_add(more));
        self.turnover = self.turnover.zip(turnover(next)).map(|(sum, more)| sum + more);
    }

    fn bar(self, ts: i64) -> Bar {
        let volume = self.bar.volume.filter(|volume| *volume > 0.0);
        let vwap = self.turnover.zip(volume).map(|(turnover, volume)| turnover / volume);
        Bar { ts, vwap, ..self.bar }
    }
}

/// Price times volume; a bar without volume adds nothing, one without vwap makes the sum unknown.
fn turnover(bar: &Bar) -> Option<f64> {
    match (bar.vwap, bar.volume) {
        (Some(vwap), Some(volume)) => Some(vwap * volume),
        (None, Some(0.0)) => Some(0.0),
        _ => None,
    }
}

/// A source series as far as its derived ones need to know it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its first stored bar.
    pub first_ts: Option<i64>,
    /// The `ts` written in this run, from the first to the last.
    pub touched: Option<TimeRange>,
    /// What was asked for and answered.
    pub covered: &'a RangeSet,
}

/// The stretch of windows that may have changed: around what was written to the source, and what of
/// its coverage the derived series does not have yet.
#[must_use]
pub fn stale_range(
    due: &Due,
    timeframe: Timeframe,
    source: &Source<'_>,
    own: &RangeSet,
    now: i64,
) -> Option<TimeRange> {
    let end = due.end(timeframe, now)?;
    let first = source.first_ts?;
    let mut stale: Vec<TimeRange> = source.touched.into_iter().collect();
    for range in source.covered.ranges() {
        let range = TimeRange::new(range.start.max(first), range.end);
        stale.extend_from_slice(own.missing_in(range).ranges());
    }
    let start = stale.iter().map(|range| range.start).min()?;
    let stop = stale.iter().map(|range| range.end).max()?;
    // A window is named by its start: the first one may begin before what changed in it, and by up to
    // its length where windows are counted from a session's open.
    let shift = if due.layout.intraday == Intraday::Session { timeframe.seconds() } else { 0 };
    let start = window_start(timeframe, start).saturating_sub(shift);
    let range = TimeRange::new(start, stop.min(end).max(start));
    (!range.is_empty()).then_some(TimeRange::new(range.start, window_end(timeframe, range.end)))
}

/// 1970-01-05, a Monday: the clock from which weeks are counted.
const MONDAY: i64 = 4 * 86_400;

fn window_start(timeframe: Timeframe, ts: i64) -> i64 {
    let origin = if timeframe == Timeframe::W1 { MONDAY } else { 0 };
    let length = timeframe.seconds();
    (ts - origin).div_euclid(length) * length + origin
}

fn window_end(timeframe: Timeframe, end: i64) -> i64 {
    let start = window_start(timeframe, end);
    if start == end { end } else { start + timeframe.seconds() }
}

/// The whole windows of `range` that lie in what is covered.
#[must_use]
pub fn whole_windows(covered: &RangeSet, range: TimeRange, timeframe: Timeframe) -> RangeSet {
    covered
        .ranges()
        .iter()
        .map(|held| {
            let start = window_end(timeframe, held.start.max(range.start));
            TimeRange::new(start, window_start(timeframe, held.end.min(range.end)))
        })
        .filter(|part| !part.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Layout, Overrides};
    use crate::domain::policy::Publication;

    const HOUR: i64 = 3_600;
    /// 2018-03-05T00:00:00Z, a Monday.
    const MONDAY: i64 = 1_520_208_000;

    fn due(calendar: &str) -> Due {
        Due {
            calendar: Calendar::named(calendar, Overrides::default()).unwrap(),
            layout: Layout::default(),
            publication: Publication::default(),
            delisted: None,
        }
    }

    fn hours(count: i64) -> Vec<Bar> {
        (0..count)
            .map(|hour| {
                let price = 100.0 + hour as f64;
                Bar {
                    ts: MONDAY + hour * HOUR,
                    open: price,
                    high: price + 2.0,
                    low: price - 2.0,
                    close: price + 1.0,
                    volume: Some(10.0),
                    vwap: Some(price),
                    trades: Some(3),
                }
            })
            .collect()
    }

    fn four_hours(bars: &[Bar], explained: &RangeSet) -> Vec<Bar> {
        let due = due("24x7");
        let parts = Parts { due: &due, source: Timeframe::H1, bars, untraded: explained };
        let range = TimeRange::new(MONDAY, MONDAY + 24 * HOUR);
        super::bars(&parts, Timeframe::H4, range, MONDAY + 8 * HOUR)
    }

    #[test]
    fn a_window_is_the_sum_of_its_parts() {
        let derived = four_hours(&hours(8), &RangeSet::new());
        assert_eq!(derived.len(), 2);
        let bar = derived[0];
        assert_eq!((bar.open, bar.high, bar.low, bar.close), (100.0, 105.0, 98.0, 104.0));
        assert_eq!((bar.volume, bar.vwap, bar.trades), (Some(40.0), Some(101.5), Some(12)));
        assert_eq!(derived[1].ts, MONDAY + 4 * HOUR);
    }

    #[test]
    fn a_window_that_lacks_a_part_is_no_bar_unless_nothing_was_traded_there() {
        let mut bars = hours(8);
        bars.remove(1);
        assert_eq!(four_hours(&bars, &RangeSet::new()).len(), 1);
        let explained = [TimeRange::new(MONDAY + HOUR, MONDAY + 2 * HOUR)].into_iter().collect();
        assert_eq!(four_hours(&bars, &explained).len(), 2);
    }

    #[test]
    fn a_week_is_its_sessions_and_none_of_the_days_between() {
        let due = due("XNYS");
        let day = |index: i64| Bar { ts: MONDAY + index * 24 * HOUR, ..hours(1)[0] };
        let bars: Vec<_> = (0..5).map(day).collect();
        let parts =
            Parts { due: &due, source: Timeframe::D1, bars: &bars, untraded: &RangeSet::new() };
        let range = TimeRange::new(MONDAY, MONDAY + 1);
        let friday_close = MONDAY + 4 * 24 * HOUR + 21 * HOUR;
        let weeks = |now| super::bars(&parts, Timeframe::W1, range, now);
        assert_eq!(weeks(friday_close - 1), []);
        assert_eq!(weeks(friday_close)[0].volume, Some(50.0));
    }
}
