//! `XTKS`: the Tokyo Stock Exchange.
//!
//! It closes on Japan's national holidays and from Dec 31 to Jan 3. Today's lunch break is used for
//! all years, although until 2011 it began at 11:00; half days of the past are not modelled.

use crate::domain::zone::Zone;
use chrono::Weekday::{Mon, Sun};
use chrono::{Datelike, NaiveDate};

use super::market::{Hours, Market, local};
use super::rules::{after, before, is_day, is_nth, is_one_of, is_weekend};

pub(super) const MARKET: Market = Market { zone: Zone::TOKYO, has_sessions: true, hours };

/// The day the trading system failed.
const SPECIAL_CLOSURES: &[(i32, u32, u32)] = &[(2020, 10, 1)];

/// National holidays of one year only: the Shōwa Emperor's funeral, the enthronement of 1990, the
/// royal wedding, the accession and the enthronement of 2019.
const SINGLE_HOLIDAYS: &[(i32, u32, u32)] =
    &[(1989, 2, 24), (1990, 11, 12), (1993, 6, 9), (2019, 5, 1), (2019, 10, 22)];

fn hours(date: NaiveDate) -> Option<Hours> {
    if is_weekend(date) || is_holiday(date) || is_one_of(date, SPECIAL_CLOSURES) {
        return None;
    }
    let longer = (date.year(), date.month(), date.day()) >= (2024, 11, 5);
    let close = if longer { (15, 30) } else { (15, 0) };
    let lunch = Some((local(date, (11, 30)), local(date, (12, 30))));
    Some(Hours { lunch, ..Hours::on(date, (9, 0), close) })
}

fn is_holiday(date: NaiveDate) -> bool {
    let year_end = is_day(date, 12, 31) || date.month() == 1 && date.day() <= 3;
    year_end || is_named(date) || is_substitute(date) || is_between_holidays(date)
}

/// Whether `date` makes up for a holiday on a Sunday: the Monday after, and since 2007 the first
/// day after that is no holiday itself.
fn is_substitute(date: NaiveDate) -> bool {
    let reach = match date.year() {
        ..1973 => 0,
        1973..2007 => 1,
        _ => 6,
    };
    (1..=reach)
        .map(|days| before(date, days))
        .take_while(|day| is_named(*day))
        .any(|day| day.weekday() == Sun)
}

/// Whether `date` lies between two holidays, which makes it one.
fn is_between_holidays(date: NaiveDate) -> bool {
    date.year() >= 1988 && is_named(before(date, 1)) && is_named(after(date, 1))
}

/// Whether `date` is a holiday by its own name.
fn is_named(date: NaiveDate) -> bool {
    let (year, day) = (date.year(), date.day());
    let by_month = match date.month() {
        1 => day == 1 || is_coming_of_age(date),
        2 => day == 11 && year >= 1967 || day == 23 && year >= 2020,
        3 => day == equinox(year, Equinox::Spring),
        4 => day == 29,
        5 => day == 3 || day == 5 || day == 4 && year >= 2007,
        7 => is_marine_day(date) || is_sports_day_of_the_games(date),
        8 => is_mountain_day(date),
        9 => is_respect_day(date) || day == equinox(year, Equinox::Autumn),
        10 => is_sports_day(date),
        11 => day == 3 || day == 23,
        12 => day == 23 && (1989..=2018).contains(&year),
        _ => false,
    };
    by_month || is_one_of(date, SINGLE_HOLIDAYS)
}

fn is_coming_of_age(date: NaiveDate) -> bool {
    match date.year() {
        ..2000 => is_day(date, 1, 15),
        _ => is_nth(date, 2, Mon, 1),
    }
}

fn is_marine_day(date: NaiveDate) -> bool {
    match date.year() {
        ..1996 => false,
        1996..2003 => is_day(date, 7, 20),
        2020 => is_day(date, 7, 23),
        2021 => is_day(date, 7, 22),
        _ => is_nth(date, 3, Mon, 7),
    }
}

fn is_mountain_day(date: NaiveDate) -> bool {
    match date.year() {
        ..2016 => false,
        2020 => is_day(date, 8, 10),
        2021 => is_day(date, 8, 8),
        _ => is_day(date, 8, 11),
    }
}

fn is_respect_day(date: NaiveDate) -> bool {
    match date.year() {
        ..1966 => false,
        1966..2003 => is_day(date, 9, 15),
        _ => is_nth(date, 3, Mon, 9),
    }
}

fn is_sports_day(date: NaiveDate) -> bool {
    match date.year() {
        ..1966 | 2020 | 2021 => false,
        1966..2000 => is_day(date, 10, 10),
        _ => is_nth(date, 2, Mon, 10),
    }
}

/// The opening days of the Olympic Games, planned and real, to which sports day was moved.
fn is_sports_day_of_the_games(date: NaiveDate) -> bool {
    is_one_of(date, &[(2020, 7, 24), (2021, 7, 23)])
}

#[derive(Clone, Copy)]
enum Equinox {
    Spring,
    Autumn,
}

/// The day of March or September on which the equinox falls in Japan, for 1960 to 2100.
///
/// The tropical year exceeds 365 days by 0.242194; leap days take that back. The offsets are those
/// of the almanac's formula, in millionths of a day.
fn equinox(year: i32, equinox: Equinox) -> u32 {
    let offset = match (equinox, year) {
        (Equinox::Spring, ..1980) => 20_835_700,
        (Equinox::Spring, 1980..2100) => 20_843_100,
        (Equinox::Spring, _) => 21_851_000,
        (Equinox::Autumn, ..1980) => 23_258_800,
        (Equinox::Autumn, 1980..2100) => 23_248_800,
        (Equinox::Autumn, _) => 24_248_800,
    };
    let leap_days = if year < 1980 { (year - 1983) / 4 } else { (year - 1980) / 4 };
    ((offset + 242_194 * (year - 1980)) / 1_000_000 - leap_days) as u32
}
