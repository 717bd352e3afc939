//! `XLON`: the London Stock Exchange.

use crate::domain::zone::Zone;
use chrono::Weekday::{Mon, Tue};
use chrono::{Datelike, NaiveDate};

use super::market::{Hours, Market};
use super::rules::{
    days_after_easter, is_day, is_day_or_monday_after, is_last, is_last_weekday_to, is_nth,
    is_one_of, is_weekend,
};

pub(super) const MARKET: Market = Market { zone: Zone::LONDON, has_sessions: true, hours };

/// Days closed beyond the yearly ones, and the days to which a yearly one was moved.
const EXTRA_CLOSURES: &[(i32, u32, u32)] = &[
    (1995, 5, 8),   // Fifty years of peace; the early May holiday, moved.
    (1999, 12, 31), // The millennium.
    (2002, 6, 3),   // Golden jubilee, and the spring holiday moved to the day after it.
    (2002, 6, 4),
    (2011, 4, 29), // Royal wedding.
    (2012, 6, 4),  // Spring holiday, moved, and the diamond jubilee.
    (2012, 6, 5),
    (2020, 5, 8), // 75 years of peace; the early May holiday, moved.
    (2022, 6, 2), // Spring holiday, moved, and the platinum jubilee.
    (2022, 6, 3),
    (2022, 9, 19), // Funeral of Elizabeth II.
    (2023, 5, 8),  // Coronation.
];

/// Years in which the first Monday of May, or the last, was an ordinary day.
const EARLY_MAY_MOVED: &[i32] = &[1995, 2020];
const SPRING_MOVED: &[i32] = &[2002, 2012, 2022];

fn hours(date: NaiveDate) -> Option<Hours> {
    if is_weekend(date) || is_holiday(date) || is_one_of(date, EXTRA_CLOSURES) {
        return None;
    }
    let early = is_last_weekday_to(date, 12, 24) || is_last_weekday_to(date, 12, 31);
    let close = if early { (12, 30) } else { (16, 30) };
    Some(Hours::on(date, (8, 0), close))
}

fn is_holiday(date: NaiveDate) -> bool {
    let year = date.year();
    is_new_year(date)
        || matches!(days_after_easter(date), -2 | 1)
        || is_nth(date, 1, Mon, 5) && !EARLY_MAY_MOVED.contains(&year)
        || is_last(date, Mon, 5) && !SPRING_MOVED.contains(&year)
        || is_last(date, Mon, 8)
        || is_christmas(date)
}

/// Jan 1, or the Monday after when it falls on a weekend.
fn is_new_year(date: NaiveDate) -> bool {
    is_day_or_monday_after(date, 1, 1) || is_day(date, 1, 3) && date.weekday() == Mon
}

/// Dec 25 and 26; what falls on a weekend is made up for on the 27th, the 28th or both.
fn is_christmas(date: NaiveDate) -> bool {
    let made_up = matches!(date.weekday(), Mon | Tue);
    date.month() == 12
        && (matches!(date.day(), 25 | 26) || matches!(date.day(), 27 | 28) && made_up)
}
