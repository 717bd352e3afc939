//! Which sessions exist, and which bars are due at an instant. The only room that knows.
//!
//! A [`Calendar`] is the rules of one market with the user's [`Overrides`] on top. Every question
//! about bars goes through the same windows: [`Calendar::windows`] lists them, the others count and
//! seek without walking. All instants are epoch seconds UTC, all ranges are half-open, and a window
//! is complete when `close_at <= at`.
//!
//! Promises: pure (no input or output, no clock; the instant is always a parameter), and no panic
//! whatever instant comes in. Dates outside 1960..=2100 have no session. The rules are kept exact
//! from 2000 on; before that holidays follow the rules as they stand, with the changes known to us.
//!
//! Never does: late opens and halts within a day, extended hours, publication lag.
//!
//! Speed: sessions are computed once per year and calendar, on first use; clones share them. After
//! that every question is a binary search in one year.
//!
//! A new market is one file with a `Market` in it and one line in `MARKETS`.

mod always;
pub mod due;
mod fx;
mod market;
mod rules;
mod xetr;
mod xlon;
mod xnys;
mod xtks;
mod year;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use chrono::{Datelike, NaiveDate, NaiveTime};

use self::market::Market;
use self::year::{Cut, Piece, Year};
use crate::domain::range::TimeRange;
use crate::domain::time::{midnight, week_start};
use crate::domain::timeframe::{DAY, Timeframe};
use crate::domain::zone::Zone;

/// The sessions of one market. Cheap to clone; clones share their tables.
#[derive(Clone)]
pub struct Calendar {
    name: &'static str,
    market: &'static Market,
    shared: Arc<Shared>,
}

struct Shared {
    overrides: Overrides,
    /// One per year from [`FIRST_YEAR`] on, filled on first use.
    years: Box<[OnceLock<Box<Year>>]>,
}

/// What the user knows better than the rules. Dates are the sessions' own (local or trade) dates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Dates without a session.
    pub closed: BTreeSet<NaiveDate>,
    /// The local time at which the session of that date closes, whatever the rules say. Without
    /// effect on a date without a session; a close at or before the open leaves no session.
    pub early: BTreeMap<NaiveDate, NaiveTime>,
}

/// One trading day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its own date: local, or the trade date of forex.
    pub date: NaiveDate,
    /// The first instant inside, epoch seconds UTC.
    pub open: i64,
    /// The first instant after it, epoch seconds UTC.
    pub close: i64,
    /// The break inside in which nothing trades; `None` when there is none.
    pub lunch: Option<TimeRange>,
}

/// One bar that the calendar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The bar's label, epoch seconds UTC: the start of its window; for `1d` and `1w` 00:00:00 of
    /// the session's date and of the week's Monday.
    pub ts: i64,
    /// The first instant after it, epoch seconds UTC; the bar is complete from then on.
    pub close_at: i64,
}

/// How a provider cuts its bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layout {
    /// How it cuts bars shorter than a day.
    pub intraday: Intraday,
    /// When its `1d` bars close, and with the last of them its `1w` bars.
    pub day: DayEnd,
}

/// How a provider cuts bars shorter than a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Intraday {
    /// On full windows of the UTC clock, clipped to the session's end.
    #[default]
    Clock,
    /// Counted from the session's open, and anew after a lunch break. The same as `Clock` for
    /// markets that never close for the day.
    Session,
}

/// When a provider's `1d` bar closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DayEnd {
    /// With the session.
    #[default]
    Session,
    /// At 00:00:00 UTC of the day after the session's date.
    Utc,
}

/// Every calendar: its name and whose sessions it has.
const MARKETS: &[(&str, &Market)] = &[
    ("24x7", &always::MARKET),
    ("FX", &fx::MARKET),
    ("XNYS", &xnys::MARKET),
    ("XNAS", &xnys::MARKET),
    ("XLON", &xlon::MARKET),
    ("XETR", &xetr::MARKET),
    ("XTKS", &xtks::MARKET),
];

/// The first year with a table; it holds the week in which 1960 begins.
const FIRST_YEAR: i32 = 1959;
const LAST_YEAR: i32 = 2100;

/// Every window of every calendar lies well inside, from a week before 1960 to a week after 2100.
const REACH: TimeRange = TimeRange::new(-315_619_200 - 7 * DAY, 4_133_980_800 + 7 * DAY);

impl Calendar {
    /// The names that [`Calendar::named`] knows.
    pub const NAMES: &'static [&'static str] = &{
        let mut names = [""; MARKETS.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = MARKETS[index].0;
            index += 1;
        }
        names
    };

    /// The calendar of that name; `None` when there is none.
    #[must_use]
    pub fn named(name: &str, overrides: Overrides) -> Option<Self> {
        let (name, market) = MARKETS.iter().find(|(known, _)| *known == name)?;
        let years = (FIRST_YEAR..=LAST_YEAR).map(|_| OnceLock::new()).collect();
        Some(Self { name, market, shared: Arc::new(Shared { overrides, years }) })
    }

    /// The name it was asked for by.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// A text that changes whenever what its sessions or bars follow from does.
    #[must_use]
    pub fn fingerprint(&self, layout: Layout) -> String {
        let Overrides { closed, early } = &self.shared.overrides;
        format!("{} {layout:?} {closed:?} {early:?}", self.name)
    }

    /// The zone in which its hours are stated: UTC for `24x7`, New York for `FX`.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.market.zone
    }

    /// Whether it closes for the day, as exchanges do; `24x7` and `FX` do not.
    #[must_use]
    pub fn has_sessions(&self) -> bool {
        self.market.has_sessions
    }

    /// The session of `date`; `None` when the market does not open.
    #[must_use]
    pub fn session(&self, date: NaiveDate) -> Option<Session> {
        self.year(table_of(midnight(date))).session(date)
    }

    /// Whether `at` is inside a session and outside its lunch break.
    #[must_use]
    pub fn is_open(&self, at: i64) -> bool {
        self.segment_at(at).is_some()
    }

    /// The bars the calendar has whose `ts` lies in `range` (half-open), ascending.
    pub fn windows(
        &self,
        timeframe: Timeframe,
        layout: Layout,
        range: TimeRange,
    ) -> impl Iterator<Item = Window> {
        self.pieces(self.cut(timeframe, layout), range).flat_map(Piece::windows)
    }

    /// How many bars [`Calendar::windows`] would give.
    #[must_use]
    pub fn count(&self, timeframe: Timeframe, layout: Layout, range: TimeRange) -> u64 {
        let cut = self.cut(timeframe, layout);
        if range.is_empty() {
            return 0;
        }
        tables_of(range)
            .map(|year| self.year(year))
            .map(|year| year.windows_before(cut, range.end) - year.windows_before(cut, range.start))
            .sum()
    }

    /// The last bar that is complete at `at` (`close_at <= at`); `None` before the first one.
    #[must_use]
    pub fn last_closed(&self, timeframe: Timeframe, layout: Layout, at: i64) -> Option<Window> {
        let cut = self.cut(timeframe, layout);
        tables_of(TimeRange::new(REACH.start, at))
            .rev()
            .find_map(|year| self.year(year).last_closed(cut, at))
    }

    /// The last bar with `window.ts < ts`; `None` before the first one.
    #[must_use]
    pub fn last_before(&self, timeframe: Timeframe, layout: Layout, ts: i64) -> Option<Window> {
        let cut = self.cut(timeframe, layout);
        tables_of(TimeRange::new(REACH.start, ts))
            .rev()
            .find_map(|year| self.year(year).last_before(cut, ts))
    }

    /// The first bar with `window.ts >= ts`; `None` after the last one.
    #[must_use]
    pub fn first_from(&self, timeframe: Timeframe, layout: Layout, ts: i64) -> Option<Window> {
        self.windows(timeframe, layout, TimeRange::new(ts, REACH.end)).next()
    }

    /// The exclusive end of the bar labelled `ts`, epoch seconds UTC.
    ///
    /// Clipped to the session when the calendar has that bar, else `ts` plus the timeframe's
    /// length.
    #[must_use]
    pub fn close_at(&self, timeframe: Timeframe, layout: Layout, ts: i64) -> i64 {
        self.window_at(timeframe, layout, ts)
            .map_or(ts.saturating_add(timeframe.seconds()), |window| window.close_at)
    }

    /// Whether a bar of this timeframe may bear the label `ts` at all, inside a session or outside.
    ///
    /// `1d`: 00:00:00 UTC; `1w`: of a Monday. Intraday on the clock: a full multiple of the length.
    /// Counted from the open: a multiple of the length since the open or the end of the lunch break
    /// where the market trades, and a full minute elsewhere, where nothing says what to count from.
    #[must_use]
    pub fn on_grid(&self, timeframe: Timeframe, layout: Layout, ts: i64) -> bool {
        match self.cut(timeframe, layout) {
            Cut::Clock(_) | Cut::Day(_) => ts.rem_euclid(timeframe.seconds()) == 0,
            Cut::Week(_) => week_start(ts) == ts,
            Cut::Open(_) => match self.segment_at(ts) {
                Some(segment) => (ts - segment.start) % timeframe.seconds() == 0,
                None => ts.rem_euclid(Timeframe::M1.seconds()) == 0,
            },
        }
    }

    /// Whether `ts` is the label of one of the calendar's bars.
    #[must_use]
    pub fn in_session(&self, timeframe: Timeframe, layout: Layout, ts: i64) -> bool {
        self.window_at(timeframe, layout, ts).is_some()
    }

    fn window_at(&self, timeframe: Timeframe, layout: Layout, ts: i64) -> Option<Window> {
        self.first_from(timeframe, layout, ts).filter(|window| window.ts == ts)
    }

    /// The unbroken trading time that holds `at`.
    fn segment_at(&self, at: i64) -> Option<TimeRange> {
        tables_of(TimeRange::new(at, at)).find_map(|year| self.year(year).segment_at(at))
    }

    /// The runs of windows whose `ts` lies in `range`, ascending.
    fn pieces(&self, cut: Cut, range: TimeRange) -> impl Iterator<Item = Piece> {
        tables_of(range)
            .flat_map(move |year| self.year(year).pieces_from(cut, range.start))
            .take_while(move |piece| piece.first < range.end)
            .map(move |piece| piece.within(range))
    }

    fn cut(&self, timeframe: Timeframe, layout: Layout) -> Cut {
        match (timeframe, layout.intraday) {
            (Timeframe::D1, _) => Cut::Day(layout.day),
            (Timeframe::W1, _) => Cut::Week(layout.day),
            (_, Intraday::Session) if self.market.has_sessions => Cut::Open(timeframe),
            _ => Cut::Clock(timeframe),
        }
    }

    /// The table of `year`, which lies in `FIRST_YEAR..=LAST_YEAR`.
    fn year(&self, year: i32) -> &Year {
        self.shared.years[(year - FIRST_YEAR) as usize]
            .get_or_init(|| Box::new(Year::new(year, self.market, &self.shared.overrides)))
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calendar")
            .field("name", &self.name)
            .field("overrides", &self.shared.overrides)
            .finish_non_exhaustive()
    }
}

/// The years whose tables may hold windows that start or close in `range`.
///
/// A day is added at the end, since a Monday's forex session opens on the Sunday before.
fn tables_of(range: TimeRange) -> RangeInclusive<i32> {
    table_of(range.start)..=table_of(range.end.saturating_add(DAY))
}

/// The year whose table holds the Monday-to-Sunday week of the UTC date of `ts`.
///
/// A table holds whole weeks, those whose Monday lies in its year, so that neither a trading week
/// nor the unbroken forex week is ever cut in two.
fn table_of(ts: i64) -> i32 {
    let monday = week_start(ts.clamp(REACH.start, REACH.end));
    date_of(monday).year().clamp(FIRST_YEAR, LAST_YEAR)
}

fn date_of(ts: i64) -> NaiveDate {
    let days = i32::try_from(ts.div_euclid(DAY)).ok();
    days.and_then(NaiveDate::from_epoch_days).expect("only instants within reach are dated")
}
