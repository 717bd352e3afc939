//! `XETR`: Xetra, Frankfurt.
//!
//! Its hours are 09:00 to 17:30 in all years, although until 2003 it traded into the evening.

use crate::domain::zone::Zone;
use chrono::{Datelike, NaiveDate};

use super::market::{Hours, Market};
use super::rules::{days_after_easter, is_day, is_last_weekday_to, is_one_of, is_weekend};

pub(super) const MARKET: Market = Market { zone: Zone::BERLIN, has_sessions: true, hours };

/// 500 years of Reformation.
const SPECIAL_CLOSURES: &[(i32, u32, u32)] = &[(2017, 10, 31)];

fn hours(date: NaiveDate) -> Option<Hours> {
    if is_weekend(date) || is_holiday(date) || is_one_of(date, SPECIAL_CLOSURES) {
        return None;
    }
    let early = date.year() >= 2010 && is_last_weekday_to(date, 12, 30);
    let close = if early { (14, 0) } else { (17, 30) };
    Some(Hours::on(date, (9, 0), close))
}

/// Nothing that falls on a weekend is made up for.
fn is_holiday(date: NaiveDate) -> bool {
    let year = date.year();
    is_day(date, 1, 1)
        || matches!(days_after_easter(date), -2 | 1)
        || is_day(date, 5, 1)
        || is_whit_monday(date)
        || (2014..=2021).contains(&year) && is_day(date, 10, 3)
        || date.month() == 12 && matches!(date.day(), 24..=26 | 31)
}

/// Whit Monday was a holiday in 2007, and again from 2015 to 2021.
fn is_whit_monday(date: NaiveDate) -> bool {
    matches!(date.year(), 2007 | 2015..=2021) && days_after_easter(date) == 50
}
