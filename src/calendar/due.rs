//! Which bars are due at an instant: the one place that says which session has finished.
//!
//! A bar is due once its window has closed, inside its session, and the provider's publication lag
//! has passed. Plan, gaps, lag and freshness all ask here.

use chrono::{Days, NaiveDate, NaiveTime};

use crate::domain::policy::{EndOfDay, Publication};
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::time::seconds;
use crate::domain::timeframe::Timeframe;

use super::{Calendar, Layout, Window};

/// When the bars of one symbol are due.
#[derive(Clone, Debug)]
pub struct Due {
    /// When its market trades.
    pub calendar: Calendar,
    /// How its provider cuts bars.
    pub layout: Layout,
    /// When its provider publishes them.
    pub publication: Publication,
    /// Its last session, inclusive; `None` while it is listed.
    pub delisted: Option<NaiveDate>,
}

impl Due {
    /// The last bar that is due at `now`; `None` when none is.
    #[must_use]
    pub fn last(&self, timeframe: Timeframe, now: i64) -> Option<Window> {
        let last = self.calendar.last_closed(timeframe, self.layout, self.cutoff(now))?;
        match self.listed_until(timeframe) {
            Some(end) if last.ts >= end => self.last_before(timeframe, end),
            _ => Some(last),
        }
    }

    /// The end of the `ts` that are due at `now`, exclusive; `None` when none is.
    #[must_use]
    pub fn end(&self, timeframe: Timeframe, now: i64) -> Option<i64> {
        self.last(timeframe, now).map(|window| window.ts + timeframe.seconds())
    }

    /// The part of `range` from its first to its last due bar, at `now`; `None` when none is due in it.
    #[must_use]
    pub fn trim(&self, timeframe: Timeframe, range: TimeRange, now: i64) -> Option<TimeRange> {
        let range = range.intersect(TimeRange::new(i64::MIN, self.end(timeframe, now)?));
        let first = self.calendar.first_from(timeframe, self.layout, range.start)?;
        if first.ts >= range.end {
            return None;
        }
        let last = self.last_before(timeframe, range.end)?;
        Some(TimeRange::new(first.ts, last.ts + timeframe.seconds()))
    }

    /// How many bars of `range` are due at `now`.
    #[must_use]
    pub fn count(&self, timeframe: Timeframe, range: TimeRange, now: i64) -> u64 {
        let Some(end) = self.end(timeframe, now) else {
            return 0;
        };
        let range = range.intersect(TimeRange::new(i64::MIN, end));
        self.calendar.count(timeframe, self.layout, range)
    }

    /// The windows of `range` whose bars are due at `now`, ascending.
    pub fn windows(
        &self,
        timeframe: Timeframe,
        range: TimeRange,
        now: i64,
    ) -> impl Iterator<Item = Window> {
        let end = self.end(timeframe, now).unwrap_or(i64::MIN);
        let range = range.intersect(TimeRange::new(i64::MIN, end));
        self.calendar.windows(timeframe, self.layout, range)
    }

    /// The `ts` of the bars of `range` that are due at `now`, ascending.
    pub fn timestamps(
        &self,
        timeframe: Timeframe,
        range: TimeRange,
        now: i64,
    ) -> impl Iterator<Item = i64> {
        self.windows(timeframe, range, now).map(|window| window.ts)
    }

    /// The instant at which the first bar after `after` became due that is no part of `excused`;
    /// `None` when it is not due yet at `now`, or when there is none.
    ///
    /// `after` is a `ts`; `excused` holds gaps that are no holes.
    #[must_use]
    pub fn overdue_since(
        &self,
        timeframe: Timeframe,
        after: i64,
        excused: &RangeSet,
        now: i64,
    ) -> Option<i64> {
        let end = self.end(timeframe, now)?;
        let window = self.first_not_excused(timeframe, after, excused)?;
        (window.ts < end).then(|| self.due_at(window.close_at))
    }

    /// The instant at which the first bar after `after` that is no part of `excused` is going to be,
    /// or became, due; `None` when there is none.
    #[must_use]
    pub fn next_due_at(&self, timeframe: Timeframe, after: i64, excused: &RangeSet) -> Option<i64> {
        let window = self.first_not_excused(timeframe, after, excused)?;
        let listed = self.listed_until(timeframe).is_none_or(|end| window.ts < end);
        listed.then(|| self.due_at(window.close_at))
    }

    /// The first window after `after` that is no part of `excused`.
    fn first_not_excused(
        &self,
        timeframe: Timeframe,
        after: i64,
        excused: &RangeSet,
    ) -> Option<Window> {
        let mut from = after.saturating_add(1);
        loop {
            let window = self.calendar.first_from(timeframe, self.layout, from)?;
            match excused.around(window.ts) {
                Some(range) => from = range.end,
                None => return Some(window),
            }
        }
    }

    /// The `ts` of the bar `steps` bars before the one at `ts`, by the calendar.
    #[must_use]
    pub fn back(&self, timeframe: Timeframe, ts: i64, steps: u32) -> i64 {
        let mut at = ts;
        for _ in 0..steps {
            match self.last_before(timeframe, at) {
                Some(window) => at = window.ts,
                None => break,
            }
        }
        at
    }

    /// The last window whose label lies before `ts`.
    #[must_use]
    pub fn last_before(&self, timeframe: Timeframe, ts: i64) -> Option<Window> {
        self.calendar.last_before(timeframe, self.layout, ts)
    }

    /// The labels of the session in which the intraday bar labelled `ts` lies: they end at the session's close.
    /// `None` where there is no session on its date.
    #[must_use]
    pub fn session_labels(&self, timeframe: Timeframe, ts: i64) -> Option<TimeRange> {
        let session = self.calendar.session(self.calendar.zone().date(ts)?)?;
        // The window in which the session opens may be named by an earlier full hour.
        Some(TimeRange::new(session.open - timeframe.seconds() + 1, session.close))
    }

    /// Bars that closed at or before this instant are published at `now`.
    fn cutoff(&self, now: i64) -> i64 {
        let published = match self.publication.end_of_day {
            Some(end_of_day) => latest(end_of_day, now),
            None => now,
        };
        published.saturating_sub(self.lag())
    }

    /// When a bar that closes at `close_at` is due.
    fn due_at(&self, close_at: i64) -> i64 {
        let lagged = close_at.saturating_add(self.lag());
        match self.publication.end_of_day {
            Some(end_of_day) => earliest(end_of_day, lagged),
            None => lagged,
        }
    }

    fn lag(&self) -> i64 {
        seconds(self.publication.lag)
    }

    /// The end of the labels that its listing allows, exclusive; `None` while it is listed.
    #[must_use]
    pub fn listed_until(&self, timeframe: Timeframe) -> Option<i64> {
        let after = self.delisted?.checked_add_days(Days::new(1))?;
        let midnight = after.and_time(NaiveTime::MIN);
        Some(if timeframe.is_intraday() {
            let local = self.calendar.zone().earliest(midnight);
            local.unwrap_or_else(|| midnight.and_utc().timestamp())
        } else {
            midnight.and_utc().timestamp()
        })
    }
}

/// The last `end_of_day` at or before `now`.
fn latest(end_of_day: EndOfDay, now: i64) -> i64 {
    instants(end_of_day, now).filter(|at| *at <= now).last().unwrap_or(now)
}

/// The first `end_of_day` at or after `at`.
fn earliest(end_of_day: EndOfDay, at: i64) -> i64 {
    instants(end_of_day, at).find(|candidate| *candidate >= at).unwrap_or(at)
}

/// The `end_of_day` of the days around `at`, ascending.
fn instants(end_of_day: EndOfDay, at: i64) -> impl Iterator<Item = i64> {
    let today = end_of_day.zone.date(at);
    let first = today.and_then(|date| date.checked_sub_days(Days::new(1)));
    first
        .into_iter()
        .flat_map(|date| date.iter_days().take(3))
        .filter_map(move |date| end_of_day.zone.earliest(date.and_time(end_of_day.time)))
}
