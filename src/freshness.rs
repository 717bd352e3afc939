//! How late a series is, judged from its stored bars and never from the last run. Pure.

use std::time::Duration;

use crate::calendar::due::Due;
use crate::domain::policy::{Freshness, Thresholds};
use crate::domain::range::RangeSet;
use crate::domain::timeframe::Timeframe;

/// A series as far as its freshness needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// When its bars are due.
    pub due: &'a Due,
    /// How long they are.
    pub timeframe: Timeframe,
    /// Its last stored bar; `None` without one.
    pub watermark_ts: Option<i64>,
    /// Since when it is tracked, epoch seconds UTC.
    pub added_at: i64,
    /// From which `ts` on its bars are wanted.
    pub wanted_from: i64,
    /// Its gaps that are no holes.
    pub excused: &'a RangeSet,
}

/// A series' lag, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub status: Freshness,
    /// How long ago the first due bar after the last stored one became due; of a series without a
    /// bar, how long it has been tracked. 0 when the tail is complete.
    pub lag_seconds: i64,
    /// When the first bar after the last stored one became due, or is going to be; `None` when there
    /// is no such bar, or no stored one.
    pub due_at: Option<i64>,
}

/// Judges a series at `now`.
#[must_use]
pub fn judge(held: &Held<'_>, thresholds: Thresholds, now: i64) -> Judged {
    let Some(watermark) = held.watermark_ts else {
        // Whose last session lies before all that is wanted lacks nothing.
        let ended = held.due.listed_until(held.timeframe);
        if ended.is_some_and(|ended| ended <= held.wanted_from) {
            return Judged { status: Freshness::Fresh, lag_seconds: 0, due_at: None };
        }
        let lag_seconds = now.saturating_sub(held.added_at).max(0);
        return Judged { status: Freshness::Missing, lag_seconds, due_at: None };
    };
    let overdue = held.due.overdue_since(held.timeframe, watermark, held.excused, now);
    let lag_seconds = overdue.map_or(0, |since| now.saturating_sub(since).max(0));
    let lag = Duration::from_secs(lag_seconds.unsigned_abs());
    Judged {
        status: Freshness::of_lag(lag, thresholds),
        lag_seconds,
        due_at: overdue.or_else(|| held.due.next_due_at(held.timeframe, watermark, held.excused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Layout, Overrides};
    use crate::domain::policy::Publication;
    use crate::domain::range::TimeRange;

    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;
    /// 2024-07-02T00:00:00Z, a Tuesday; the 3rd closes early, the 4th is a holiday.
    const TUESDAY: i64 = 1_719_878_400;

    fn status(watermark: i64, excused: &RangeSet, now: i64) -> (Freshness, i64) {
        let due = Due {
            calendar: Calendar::named("XNYS", Overrides::default()).unwrap(),
            layout: Layout::default(),
            publication: Publication { lag: Duration::from_secs(1200), end_of_day: None },
            delisted: None,
        };
        let hours = |h: u64| Duration::from_secs(h * 3600);
        let held = Held {
            due: &due,
            timeframe: Timeframe::D1,
            watermark_ts: Some(watermark),
            added_at: 0,
            wanted_from: i64::MIN,
            excused,
        };
        let thresholds = Thresholds { fresh: hours(12), aging: hours(30), stale: hours(54) };
        let judged = judge(&held, thresholds, now);
        (judged.status, judged.lag_seconds)
    }

    #[test]
    fn a_holiday_and_a_weekend_make_nothing_late() {
        let none = RangeSet::new();
        let wednesday = TUESDAY + DAY;
        // Wednesday's bar is in; Friday's is due at 16:20 New York.
        let friday_due = TUESDAY + 3 * DAY + 20 * HOUR + 1200;
        assert_eq!(status(wednesday, &none, friday_due - 1), (Freshness::Fresh, 0));
        assert_eq!(status(wednesday, &none, friday_due), (Freshness::Fresh, 0));
        assert_eq!(status(wednesday, &none, friday_due + 13 * HOUR), (Freshness::Aging, 13 * HOUR));
        assert_eq!(status(wednesday, &none, friday_due + 2 * DAY).0, Freshness::Stale);
    }

    #[test]
    fn an_early_close_is_due_early() {
        let none = RangeSet::new();
        let close = TUESDAY + DAY + 17 * HOUR;
        assert_eq!(status(TUESDAY, &none, close + 1199).1, 0);
        assert_eq!(status(TUESDAY, &none, close + 1200 + 5).1, 5);
    }

    #[test]
    fn a_gap_that_is_no_hole_is_skipped() {
        let wednesday = TUESDAY + DAY;
        let excused = [TimeRange::new(wednesday, wednesday + DAY)].into_iter().collect();
        assert_eq!(status(TUESDAY, &excused, wednesday + DAY + 20 * HOUR).1, 0);
    }
}
