//! What is counted on the axis of time: lengths in whole seconds, and where days and weeks begin.
//!
//! Instants are epoch seconds UTC. None of this overflows: what lies beyond the ends of the axis is its end.

use std::time::Duration;

use chrono::NaiveDate;

use super::timeframe::DAY;

const WEEK: i64 = 7 * DAY;

/// 1970-01-05, the first Monday of the epoch.
const MONDAY: i64 = 4 * DAY;

/// A length of time in whole seconds, without the rest; as long as can be, when it is longer.
#[must_use]
pub fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// The first instant of the UTC day that holds `at`.
#[must_use]
pub const fn day_start(at: i64) -> i64 {
    at.saturating_sub(at.rem_euclid(DAY))
}

/// The first instant of the UTC week that holds `at`: 00:00:00 of its Monday.
#[must_use]
pub const fn week_start(at: i64) -> i64 {
    at.saturating_sub((at.rem_euclid(WEEK) - MONDAY).rem_euclid(WEEK))
}

/// 00:00:00 UTC of a date: the `ts` of its `1d` bar.
#[must_use]
pub fn midnight(date: NaiveDate) -> i64 {
    i64::from(date.to_epoch_days()) * DAY
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Datelike as _, NaiveTime, Weekday};

    use super::*;

    #[test]
    fn lengths_are_whole_seconds_and_end_with_the_axis() {
        assert_eq!(seconds(Duration::from_millis(1_999)), 1);
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::MAX), i64::MAX);
    }

    #[test]
    fn days_begin_at_midnight_also_before_1970() {
        assert_eq!([-1, 0, DAY - 1, DAY].map(day_start), [-DAY, 0, 0, DAY]);
        assert_eq!(day_start(-DAY), -DAY);
        assert_eq!(day_start(i64::MIN), i64::MIN);
        assert_eq!(day_start(i64::MAX).rem_euclid(DAY), 0);
    }

    #[test]
    fn weeks_begin_on_mondays_also_before_1970() {
        assert_eq!(
            [MONDAY - 1, MONDAY, MONDAY + WEEK - 1].map(week_start),
            [-3 * DAY, MONDAY, MONDAY]
        );
        for at in (-100..100).map(|step| step * 90_001) {
            let start = week_start(at);
            let date = DateTime::from_timestamp(start, 0).expect("a near instant").date_naive();
            assert_eq!((date.weekday(), midnight(date)), (Weekday::Mon, start), "of {at}");
            assert!((start..start + WEEK).contains(&at), "{at} is not in the week of {start}");
        }
        assert_eq!(week_start(i64::MIN), i64::MIN);
        assert_eq!(week_start(i64::MAX), week_start(i64::MAX - WEEK) + WEEK);
    }

    #[test]
    fn the_midnight_of_every_date_is_that_of_the_calendar() {
        let near = ["1900-01-01", "1969-12-31", "1970-01-01", "2000-02-29", "2100-12-31"];
        let near = near.into_iter().map(|date| date.parse().expect("a date"));
        for date in near.chain([NaiveDate::MIN, NaiveDate::MAX]) {
            assert_eq!(midnight(date), date.and_time(NaiveTime::MIN).and_utc().timestamp());
        }
    }
}
