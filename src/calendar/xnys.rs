//! `XNYS`: the New York Stock Exchange. Nasdaq (`XNAS`) keeps the same sessions.
//!
//! Exact from 1990 on, but for early closes in the middle of a storm or after a death.

use crate::domain::zone::Zone;
use chrono::Weekday::{Fri, Mon, Thu, Tue, Wed};
use chrono::{Datelike, NaiveDate};

use super::market::{Hours, Market};
use super::rules::{
    after, before, days_after_easter, is_day, is_day_or_monday_after, is_last, is_nth, is_one_of,
    is_weekend,
};

pub(super) const MARKET: Market = Market { zone: Zone::NEW_YORK, has_sessions: true, hours };

/// Nixon, the attacks of 2001, Reagan, Ford, Sandy, G. H. W. Bush, Carter.
const SPECIAL_CLOSURES: &[(i32, u32, u32)] = &[
    (1994, 4, 27),
    (2001, 9, 11),
    (2001, 9, 12),
    (2001, 9, 13),
    (2001, 9, 14),
    (2004, 6, 11),
    (2007, 1, 2),
    (2012, 10, 29),
    (2012, 10, 30),
    (2018, 12, 5),
    (2025, 1, 9),
];

const SPECIAL_EARLY_CLOSES: &[(i32, u32, u32)] = &[(1997, 12, 26), (1999, 12, 31), (2003, 12, 26)];

fn hours(date: NaiveDate) -> Option<Hours> {
    if is_weekend(date) || is_holiday(date) || is_one_of(date, SPECIAL_CLOSURES) {
        return None;
    }
    let close = match is_early_close(date) {
        true if date.year() < 1993 => 14,
        true => 13,
        false => 16,
    };
    Some(Hours::on(date, (9, 30), (close, 0)))
}

fn is_holiday(date: NaiveDate) -> bool {
    let year = date.year();
    // New Year's Day on a Saturday is not made up for: the year's last day is a full session.
    is_day_or_monday_after(date, 1, 1)
        || year >= 1998 && is_nth(date, 3, Mon, 1)
        || is_nth(date, 3, Mon, 2)
        || days_after_easter(date) == -2
        || is_last(date, Mon, 5)
        || year >= 2022 && is_observed(date, 6, 19)
        || is_observed(date, 7, 4)
        || is_nth(date, 1, Mon, 9)
        || is_nth(date, 4, Thu, 11)
        || is_observed(date, 12, 25)
}

/// Whether a holiday is kept on the weekday `date`: that day, the Friday before or the Monday
/// after.
fn is_observed(date: NaiveDate, month: u32, day: u32) -> bool {
    is_day_or_monday_after(date, month, day)
        || date.weekday() == Fri && is_day(after(date, 1), month, day)
}

fn is_early_close(date: NaiveDate) -> bool {
    let (year, weekday) = (date.year(), date.weekday());
    let day_after_thanksgiving = year >= 1992 && is_nth(before(date, 1), 4, Thu, 11);
    let christmas_eve = year >= 1990 && is_day(date, 12, 24);
    // A Wednesday Jul 3 closes early from 2013 on; before that the Friday Jul 5 did instead.
    let independence = match weekday {
        Mon | Tue | Thu => year >= 1995 && is_day(date, 7, 3),
        Wed => year >= 2013 && is_day(date, 7, 3),
        Fri => (1995..=2012).contains(&year) && is_day(date, 7, 5),
        _ => false,
    };
    day_after_thanksgiving || christmas_eve || independence || is_one_of(date, SPECIAL_EARLY_CLOSES)
}
