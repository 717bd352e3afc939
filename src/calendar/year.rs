//! `Year`: the sessions of one year, and the runs of bar windows that are cut from them.
//!
//! Whatever the timeframe, a year is an ascending list of [`Piece`]s, each a run of evenly spaced
//! windows: one per unbroken trading time for intraday bars, one of a single window per session and
//! per week for the others. Seeking is a binary search among pieces and a division inside one.

use std::sync::OnceLock;

use chrono::{Datelike, NaiveDate, Weekday};

use super::market::Market;
use super::{DayEnd, FIRST_YEAR, Overrides, Session, Window};
use crate::domain::range::TimeRange;
use crate::domain::time::{midnight, week_start};
use crate::domain::timeframe::{DAY, Timeframe};

/// The weeks whose Monday lies in one year.
pub(super) struct Year {
    /// Ascending by date.
    sessions: Box<[Session]>,
    /// The labels of their days.
    days: Box<[i64]>,
    /// The last session of each week that has any.
    week_ends: Box<[Session]>,
    /// The labels of these weeks.
    weeks: Box<[i64]>,
    /// The unbroken trading times, ascending and disjoint.
    segments: Box<[TimeRange]>,
    /// Per intraday cut: how many windows lie before each segment, and after the last; on first
    /// use.
    windows_before: [OnceLock<Box<[u32]>>; 2 * INTRADAY],
}

/// How many timeframes are shorter than a day.
const INTRADAY: usize = Timeframe::D1 as usize;

/// What bars are cut from a year, and how.
#[derive(Clone, Copy)]
pub(super) enum Cut {
    /// Full windows of the UTC clock, clipped to the trading time's end.
    Clock(Timeframe),
    /// Counted from the start of each trading time.
    Open(Timeframe),
    /// One per session.
    Day(DayEnd),
    /// One per week.
    Week(DayEnd),
}

/// A run of windows that touch each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The label of the first window.
    pub(super) first: i64,
    /// The distance between labels, seconds.
    step: i64,
    /// How many windows there are; 0 when the only one belongs to the next piece.
    count: i64,
    /// The close of the last window.
    end: i64,
}

impl Year {
    pub(super) fn new(year: i32, market: &Market, overrides: &Overrides) -> Self {
        let sessions: Box<[Session]> = first_monday(year)
            .iter_days()
            .take_while(|date| *date < first_monday(year + 1))
            .filter(|date| date.year() > FIRST_YEAR && date.year() <= super::LAST_YEAR)
            .filter_map(|date| market.session(date, overrides))
            .collect();
        let segments = segments(&sessions);
        let monday = |session: &Session| week_start(midnight(session.date));
        let week_ends: Box<[Session]> = sessions
            .chunk_by(|a, b| monday(a) == monday(b))
            .filter_map(|week| week.last().copied())
            .collect();
        let days = sessions.iter().map(|session| midnight(session.date)).collect();
        let weeks = week_ends.iter().map(monday).collect();
        Self { sessions, days, week_ends, weeks, segments, windows_before: Default::default() }
    }

    pub(super) fn session(&self, date: NaiveDate) -> Option<Session> {
        let index = self.sessions.binary_search_by_key(&date, |session| session.date).ok()?;
        Some(self.sessions[index])
    }

    /// The unbroken trading time that holds `at`.
    pub(super) fn segment_at(&self, at: i64) -> Option<TimeRange> {
        let index = self.segments.partition_point(|segment| segment.end <= at);
        self.segments.get(index).copied().filter(|segment| segment.contains(at))
    }

    /// The pieces from the first on that has a window with a label at or after `ts`.
    pub(super) fn pieces_from(&self, cut: Cut, ts: i64) -> impl Iterator<Item = Piece> {
        (self.first_reaching(cut, ts)..self.len(cut)).map(move |index| self.piece(cut, index))
    }

    /// The last window that is complete at `at`.
    pub(super) fn last_closed(&self, cut: Cut, at: i64) -> Option<Window> {
        let begun = partition(self.len(cut), |index| self.piece(cut, index).first_close() <= at);
        (0..begun).rev().find_map(|index| self.piece(cut, index).last_closed(at))
    }

    /// The last window that has a label before `ts`.
    pub(super) fn last_before(&self, cut: Cut, ts: i64) -> Option<Window> {
        let begun = partition(self.len(cut), |index| self.piece(cut, index).first < ts);
        (0..begun).rev().find_map(|index| self.piece(cut, index).last_before(ts))
    }

    /// How many windows have a label before `ts`.
    pub(super) fn windows_before(&self, cut: Cut, ts: i64) -> u64 {
        let index = self.first_reaching(cut, ts);
        let before = match cut {
            Cut::Day(_) | Cut::Week(_) => index as u64,
            Cut::Clock(timeframe) => u64::from(self.ranks(timeframe as usize, cut)[index]),
            Cut::Open(timeframe) => {
                u64::from(self.ranks(INTRADAY + timeframe as usize, cut)[index])
            }
        };
        match index < self.len(cut) {
            true => before + self.piece(cut, index).count_before(ts) as u64,
            false => before,
        }
    }

    fn ranks(&self, slot: usize, cut: Cut) -> &[u32] {
        self.windows_before[slot].get_or_init(|| {
            let counts = (0..self.len(cut)).map(|index| self.piece(cut, index).count as u32);
            let sums = counts.scan(0, |sum, count| {
                *sum += count;
                Some(*sum)
            });
            std::iter::once(0).chain(sums).collect()
        })
    }

    /// The index of the first piece that has a window with a label at or after `ts`.
    fn first_reaching(&self, cut: Cut, ts: i64) -> usize {
        partition(self.len(cut), |index| self.piece(cut, index).last_label() < ts)
    }

    fn len(&self, cut: Cut) -> usize {
        match cut {
            Cut::Clock(_) | Cut::Open(_) => self.segments.len(),
            Cut::Day(_) => self.sessions.len(),
            Cut::Week(_) => self.week_ends.len(),
        }
    }

    #[inline]
    fn piece(&self, cut: Cut, index: usize) -> Piece {
        match cut {
            Cut::Clock(timeframe) => self.clock_piece(timeframe.seconds(), index),
            Cut::Open(timeframe) => {
                let TimeRange { start, end } = self.segments[index];
                Piece::covering(start, timeframe.seconds(), end)
            }
            Cut::Day(day) => {
                let (first, session) = (self.days[index], &self.sessions[index]);
                Piece { first, step: DAY, count: 1, end: close(session, day) }
            }
            Cut::Week(day) => {
                let (first, session) = (self.weeks[index], &self.week_ends[index]);
                Piece { first, step: 7 * DAY, count: 1, end: close(session, day) }
            }
        }
    }

    /// A window that the next segment reaches too (across a lunch break) is left to that one, whose
    /// end closes it.
    fn clock_piece(&self, step: i64, index: usize) -> Piece {
        let TimeRange { start, end } = self.segments[index];
        let mut piece = Piece::covering(start - start.rem_euclid(step), step, end);
        let next = self.segments.get(index + 1).map_or(i64::MAX, |next| next.start);
        if next < piece.first + piece.count * step {
            piece.count -= 1;
            piece.end = piece.first + piece.count * step;
        }
        piece
    }
}

impl Piece {
    /// The windows from `first` on that are needed to reach `end`, where the last one closes.
    fn covering(first: i64, step: i64, end: i64) -> Self {
        Self { first, step, count: (end - first + step - 1) / step, end }
    }

    pub(super) fn windows(self) -> impl Iterator<Item = Window> {
        (0..self.count).map(move |index| self.window(index))
    }

    /// What of it has labels in `range`.
    pub(super) fn within(self, range: TimeRange) -> Self {
        let skipped = self.count_before(range.start);
        let count = (self.count_before(range.end) - skipped).max(0);
        let first = self.first + skipped * self.step;
        let cut_short = skipped + count < self.count;
        let end = if cut_short { first + count * self.step } else { self.end };
        Self { first, step: self.step, count, end }
    }

    fn window(self, index: i64) -> Window {
        let ts = self.first + index * self.step;
        let close_at = if index + 1 == self.count { self.end } else { ts + self.step };
        Window { ts, close_at }
    }

    /// The label of the last window; below `first` when there is none, so that pieces stay in
    /// order.
    fn last_label(self) -> i64 {
        self.first + (self.count - 1) * self.step
    }

    fn first_close(self) -> i64 {
        if self.count > 1 { self.first + self.step } else { self.end }
    }

    /// How many windows have a label before `ts`.
    fn count_before(self, ts: i64) -> i64 {
        let distance = ts.min(self.last_label() + 1).max(self.first) - self.first;
        (distance + self.step - 1) / self.step
    }

    /// The last window that has a label before `ts`.
    fn last_before(self, ts: i64) -> Option<Window> {
        let before = self.count_before(ts);
        (before > 0).then(|| self.window(before - 1))
    }

    /// The last window that is complete at `at`, when the first one is.
    fn last_closed(self, at: i64) -> Option<Window> {
        let closed = match at >= self.end {
            true => self.count,
            false => (at - self.first) / self.step,
        };
        (closed > 0).then(|| self.window(closed - 1))
    }
}

/// The trading times of `sessions`, without lunch breaks; sessions that touch become one,
/// and so do those that the user made overlap.
fn segments(sessions: &[Session]) -> Box<[TimeRange]> {
    let mut segments: Vec<TimeRange> = Vec::new();
    for session in sessions {
        let lunch = session.lunch.unwrap_or(TimeRange::new(session.close, session.close));
        let halves =
            [TimeRange::new(session.open, lunch.start), TimeRange::new(lunch.end, session.close)];
        for half in halves.into_iter().filter(|half| !half.is_empty()) {
            match segments.last_mut() {
                Some(last) if last.end >= half.start => last.end = last.end.max(half.end),
                _ => segments.push(half),
            }
        }
    }
    segments.into()
}

fn close(session: &Session, day: DayEnd) -> i64 {
    match day {
        DayEnd::Session => session.close,
        DayEnd::Utc => midnight(session.date) + DAY,
    }
}

fn first_monday(year: i32) -> NaiveDate {
    NaiveDate::from_weekday_of_month_opt(year, 1, Weekday::Mon, 1)
        .expect("every January has a first Monday")
}

/// The first index below `len` for which `is_before` no longer holds, else `len`; it must hold for
/// all indexes up to some point and for none after.
fn partition(len: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
