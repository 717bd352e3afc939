//! Bars of a timeframe that the provider does not offer, made of a finer one that it does. Pure.
//!
//! A window becomes a bar only when each of its due source bars is stored or known not to have traded:
//! a bar made of half its parts would look like any other. A window is told in the shares of its end: what
//! lies in it before a split is scaled.

use crate::calendar::Intraday;
use crate::calendar::due::Due;
use crate::domain::action::{Factors, scaled};
use crate::domain::bar::Bar;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::time::week_start;
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
    /// What splits do to its bars.
    pub factors: &'a Factors,
}

/// The bars of `timeframe` whose windows begin in `range`, are due at `now`, and are whole.
#[must_use]
pub fn bars(parts: &Parts<'_>, timeframe: Timeframe, range: TimeRange, now: i64) -> Vec<Bar> {
    let mut derived = Vec::new();
    for due in parts.due.windows(timeframe, range, now) {
        // Up to its close: behind a lunch break another window begins.
        derived.extend(window(parts, TimeRange::new(due.ts, due.close_at), now));
    }
    derived
}

/// The bar of one window; `None` when a part is lacking, or nothing was traded.
fn window(parts: &Parts<'_>, range: TimeRange, now: i64) -> Option<Bar> {
    let first = parts.bars.partition_point(|bar| bar.ts < range.start);
    let held = parts.bars[first..].iter().take_while(|bar| bar.ts < range.end);
    let mut held = held.copied().peekable();
    let mut whole: Option<Sum> = None;
    let (end_factor, _) = parts.factors.at(range.end - 1);
    for ts in parts.due.timestamps(parts.source, range, now) {
        while held.next_if(|bar| bar.ts < ts).is_some() {}
        match held.next_if(|bar| bar.ts == ts) {
            Some(bar) => {
                let (factor, _) = parts.factors.at(ts);
                let bar =
                    if factor == end_factor { bar } else { scaled(&bar, factor / end_factor) };
                match &mut whole {
                    Some(sum) => sum.add(&bar),
                    None => whole = Some(Sum::new(&bar)),
                }
            }
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
        bar.volume = sum_of(bar.volume, next.volume);
        bar.trades = bar.trades.zip(next.trades).map(|(sum, more)| sum.saturating_add(more));
        self.turnover = sum_of(self.turnover, turnover(next));
    }

    fn bar(self, ts: i64) -> Bar {
        let volume = self.bar.volume.filter(|volume| *volume > 0.0);
        let vwap = self.turnover.zip(volume).map(|(turnover, volume)| turnover / volume);
        Bar { ts, vwap, ..self.bar }
    }
}

/// The sum of two numbers that are there; none when it is too large to be one.
fn sum_of(sum: Option<f64>, more: Option<f64>) -> Option<f64> {
    sum.zip(more).map(|(sum, more)| sum + more).filter(|sum| sum.is_finite())
}

/// Price times volume; a bar without volume adds nothing, one without vwap makes the sum unknown.
fn turnover(bar: &Bar) -> Option<f64> {
    match (bar.vwap, bar.volume) {
        (Some(vwap), Some(volume)) => Some(vwap * volume),
        (None, Some(0.0)) => Some(0.0),
        _ => None,
    }
}

/// The stretches of `timeframe` to be made: whole windows of what its source covers, less what its own
/// coverage says was made of it.
#[must_use]
pub fn stale(
    due: &Due,
    (source, first_ts, covered): (Timeframe, i64, &RangeSet),
    (timeframe, own): (Timeframe, &RangeSet),
    now: i64,
) -> Vec<TimeRange> {
    let Some(end) = due.end(timeframe, now) else { return Vec::new() };
    let mut stale = Vec::new();
    for held in covered.ranges() {
        let held = over_closed_time(due, source, *held);
        let start = if held.start < first_ts {
            window_start(timeframe, first_ts)
        } else {
            window_end(timeframe, held.start)
        };
        let part = TimeRange::new(start, window_start(timeframe, held.end).min(end));
        stale.extend_from_slice(own.missing_in(part).ranges());
    }
    stale
}

/// `range` with the closed time around it: up to the bars that are due before and after it.
fn over_closed_time(due: &Due, timeframe: Timeframe, range: TimeRange) -> TimeRange {
    let before = due.last_before(timeframe, range.start);
    let after = due.calendar.first_from(timeframe, due.layout, range.end);
    TimeRange::new(
        before.map_or(range.start, |window| window.ts + timeframe.seconds()),
        after.map_or(range.end, |window| window.ts),
    )
}

/// The windows of `timeframe` into which bars of `range` may go.
#[must_use]
pub fn windows_of(due: &Due, timeframe: Timeframe, range: TimeRange) -> TimeRange {
    // Windows that are counted from a session's open may begin up to their length before the clock's.
    let shift = if due.layout.intraday == Intraday::Session { timeframe.seconds() } else { 0 };
    let start = window_start(timeframe, range.start).saturating_sub(shift);
    TimeRange::new(start, window_end(timeframe, range.end))
}

/// The last start of a window at or before `ts`.
fn window_start(timeframe: Timeframe, ts: i64) -> i64 {
    match timeframe {
        Timeframe::W1 => week_start(ts),
        _ => ts.saturating_sub(ts.rem_euclid(timeframe.seconds())),
    }
}

/// The first start of a window at or after `ts`.
fn window_end(timeframe: Timeframe, ts: i64) -> i64 {
    let start = window_start(timeframe, ts);
    if start == ts { ts } else { start.saturating_add(timeframe.seconds()) }
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

    fn four_hours(bars: &[Bar], untraded: &RangeSet) -> Vec<Bar> {
        let due = due("24x7");
        let parts = Parts {
            due: &due,
            source: Timeframe::H1,
            bars,
            untraded,
            factors: &Factors::default(),
        };
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
    fn a_window_ends_where_its_session_breaks() {
        let mut due = due("XTKS");
        due.layout.intraday = Intraday::Session;
        // 2018-03-05 in Tokyo: 00:00Z to 02:30Z, and 03:30Z to 06:00Z; hours as the session cuts them.
        let starts = [0, 3_600, 7_200, 12_600, 16_200, 19_800];
        let bars: Vec<Bar> =
            starts.iter().map(|at| Bar { ts: MONDAY + at, ..hours(1)[0] }).collect();
        let parts = Parts {
            due: &due,
            source: Timeframe::H1,
            bars: &bars,
            untraded: &RangeSet::new(),
            factors: &Factors::default(),
        };
        let day = TimeRange::new(MONDAY, MONDAY + 24 * HOUR);
        let made = super::bars(&parts, Timeframe::H4, day, MONDAY + 24 * HOUR);
        let volumes: Vec<_> = made.iter().map(|bar| (bar.ts - MONDAY, bar.volume)).collect();
        assert_eq!(volumes, [(0, Some(30.0)), (12_600, Some(30.0))]);
    }

    #[test]
    fn a_window_that_lacks_a_part_is_no_bar_unless_nothing_was_traded_there() {
        let mut bars = hours(8);
        bars.remove(1);
        assert_eq!(four_hours(&bars, &RangeSet::new()).len(), 1);
        let untraded = [TimeRange::new(MONDAY + HOUR, MONDAY + 2 * HOUR)].into_iter().collect();
        assert_eq!(four_hours(&bars, &untraded).len(), 2);
    }

    #[test]
    fn what_is_made_is_not_made_again_and_closed_time_makes_no_difference() {
        let due = due("XNYS");
        let day = 24 * HOUR;
        let monday = |week: i64| MONDAY + 7 * week * day;
        let friday_evening = MONDAY + 11 * day + 22 * HOUR;
        // Covered from a Wednesday to the Saturday of the next week.
        let covered: RangeSet =
            [TimeRange::new(MONDAY + 2 * day, MONDAY + 12 * day)].into_iter().collect();
        let stale = |first_ts, own: &RangeSet| {
            super::stale(
                &due,
                (Timeframe::D1, first_ts, &covered),
                (Timeframe::W1, own),
                friday_evening,
            )
        };
        let none = RangeSet::new();
        let second = TimeRange::new(monday(1), monday(2));
        assert_eq!(stale(MONDAY - day, &none), [second]);
        let listed_then = TimeRange::new(monday(0), monday(2));
        assert_eq!(stale(MONDAY + 3 * day, &none), [listed_then], "the week of the first bar too");
        assert_eq!(stale(MONDAY - day, &[second].into_iter().collect()), []);
    }

    #[test]
    fn a_week_is_its_sessions_and_none_of_the_days_between() {
        let due = due("XNYS");
        let day = |index: i64| Bar { ts: MONDAY + index * 24 * HOUR, ..hours(1)[0] };
        let bars: Vec<_> = (0..5).map(day).collect();
        let parts = Parts {
            due: &due,
            source: Timeframe::D1,
            bars: &bars,
            untraded: &RangeSet::new(),
            factors: &Factors::default(),
        };
        let range = TimeRange::new(MONDAY, MONDAY + 1);
        let friday_close = MONDAY + 4 * 24 * HOUR + 21 * HOUR;
        let weeks = |now| super::bars(&parts, Timeframe::W1, range, now);
        assert_eq!(weeks(friday_close - 1), []);
        assert_eq!(weeks(friday_close)[0].volume, Some(50.0));
    }

    #[test]
    fn a_week_is_told_in_the_shares_of_its_end() {
        use crate::domain::action::Step;
        let due = due("XNYS");
        let day = |index: i64, price: f64, volume: f64| Bar {
            ts: MONDAY + index * 24 * HOUR,
            open: price,
            high: price + 4.0,
            low: price - 4.0,
            close: price,
            volume: Some(volume),
            vwap: Some(price),
            trades: Some(1),
        };
        // 4:1 on the Wednesday, and 2:1 on the Monday after.
        let before = [day(0, 400.0, 10.0), day(1, 408.0, 10.0)];
        let after = [day(2, 101.0, 40.0), day(3, 100.0, 40.0), day(4, 99.0, 40.0)];
        let bars = [&before[..], &after[..]].concat();
        let step =
            |day: i64, split| Step { until_ts: MONDAY + day * 24 * HOUR, split, total: split };
        let factors = Factors::new(vec![step(2, 0.125), step(7, 0.5)]);
        let untraded = RangeSet::new();
        let parts = Parts {
            due: &due,
            source: Timeframe::D1,
            bars: &bars,
            untraded: &untraded,
            factors: &factors,
        };
        let range = TimeRange::new(MONDAY, MONDAY + 1);
        let made = super::bars(&parts, Timeframe::W1, range, MONDAY + 7 * 24 * HOUR);
        let expected = Bar {
            ts: MONDAY,
            open: 100.0,
            high: 105.0,
            low: 95.0,
            close: 99.0,
            volume: Some(200.0),
            vwap: Some(100.4),
            trades: Some(5),
        };
        assert_eq!(made, [expected]);
    }
}
