//! How holidays are placed: by month and day, by weekday in the month, by Easter.
//!
//! Every rule answers for one date, so that a market's list of holidays reads as a list.

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// Whether `date` is a Saturday or a Sunday.
pub(super) fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

/// Whether `date` is that day of that month.
pub(super) fn is_day(date: NaiveDate, month: u32, day: u32) -> bool {
    (date.month(), date.day()) == (month, day)
}

/// Whether `date` is one of the (year, month, day) listed.
pub(super) fn is_one_of(date: NaiveDate, days: &[(i32, u32, u32)]) -> bool {
    days.contains(&(date.year(), date.month(), date.day()))
}

/// Whether `date` is the `nth` such weekday of `month`, counted from 1.
pub(super) fn is_nth(date: NaiveDate, nth: u32, weekday: Weekday, month: u32) -> bool {
    date.month() == month && date.weekday() == weekday && date.day().div_ceil(7) == nth
}

/// Whether `date` is the last such weekday of `month`.
pub(super) fn is_last(date: NaiveDate, weekday: Weekday, month: u32) -> bool {
    date.month() == month && date.weekday() == weekday && after(date, 7).month() != month
}

/// Whether a holiday that falls on a Sunday is made up for on the Monday `date`, or is that very
/// day.
pub(super) fn is_day_or_monday_after(date: NaiveDate, month: u32, day: u32) -> bool {
    is_day(date, month, day)
        || date.weekday() == Weekday::Mon && is_day(before(date, 1), month, day)
}

/// Whether `date` is the last weekday on or before that day, which is then the session before it.
pub(super) fn is_last_weekday_to(date: NaiveDate, month: u32, day: u32) -> bool {
    is_day(date, month, day)
        || date.weekday() == Weekday::Fri
            && (1..=2).any(|days| is_day(after(date, days), month, day))
}

/// How many days `date` lies after Western Easter Sunday of its year; negative before it.
pub(super) fn days_after_easter(date: NaiveDate) -> i64 {
    let (month, day) = easter(date.year());
    let easter = NaiveDate::from_ymd_opt(date.year(), month, day);
    (date - easter.expect("Easter falls on a day of March or April")).num_days()
}

/// The date so many days after `date`, which lies far from the end of time.
pub(super) fn after(date: NaiveDate, days: u64) -> NaiveDate {
    date + Days::new(days)
}

/// The date so many days before `date`, which lies far from the beginning of time.
pub(super) fn before(date: NaiveDate, days: u64) -> NaiveDate {
    date - Days::new(days)
}

/// Month and day of Western Easter Sunday, by the Gregorian computus of Meeus, Jones and Butcher.
fn easter(year: i32) -> (u32, u32) {
    let (century, of_century) = (year / 100, year % 100);
    let golden = year % 19;
    let correction = century - century / 4 - (century - (century + 8) / 25 + 1) / 3;
    let moon = (19 * golden + correction + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - moon - of_century % 4) % 7;
    let late = (golden + 11 * moon + 22 * weekday) / 451;
    let days = moon + weekday - 7 * late + 114;
    ((days / 31) as u32, (days % 31 + 1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easter_falls_where_it_fell() {
        let known = [(1961, 4, 2), (2000, 4, 23), (2008, 3, 23), (2011, 4, 24), (2024, 3, 31)];
        for (year, month, day) in known {
            assert_eq!(easter(year), (month, day), "{year}");
        }
        // The earliest and the latest possible day within two centuries of ours.
        assert_eq!((easter(1818), easter(2038)), ((3, 22), (4, 25)));
    }
}
