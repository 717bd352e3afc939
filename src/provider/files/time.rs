//! The times of a file. Only what can be read in one way is read: a date that begins with its day or
//! month is refused.

use chrono::NaiveDate;

use crate::domain::timeframe::DAY;

/// From which magnitude on an epoch counts milliseconds; below, seconds (to the year 5138).
const MILLISECONDS: u64 = 100_000_000_000;
/// From which magnitude on it counts microseconds.
const MICROSECONDS: u64 = 100_000_000_000_000;
/// From which magnitude on it counts nanoseconds.
const NANOSECONDS: u64 = 100_000_000_000_000_000;

/// The years that digits in a row may begin with to be a date and no epoch.
const YEARS: std::ops::RangeInclusive<i32> = 1800..=2199;

/// A time as a file states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Epoch seconds; fractions are cut off.
    pub(super) ts: i64,
    /// Whether no time of day was stated.
    is_date: bool,
    /// 00:00:00 UTC of the date that was written, when it was written as a midnight of some zone.
    pub(super) midnight_of: Option<i64>,
}

/// Why a time is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Nothing that is known.
    Unknown,
    /// A date that begins with its day or its month, and nobody can tell with which.
    Ambiguous,
}

/// Reads a time: a date, a date and a time of day with or without a zone (UTC), or an epoch.
pub(super) fn stamp(text: &str) -> Result<Stamp, Unreadable> {
    if let Some(stamp) = digits(text) {
        return Ok(stamp);
    }
    let Some((date, rest)) = date(text) else {
        let ambiguous = begins_with_day_or_month(text);
        return Err(if ambiguous { Unreadable::Ambiguous } else { Unreadable::Unknown });
    };
    if rest.is_empty() {
        return Ok(Stamp { ts: date, is_date: true, midnight_of: None });
    }
    let (second, offset) = rest
        .strip_prefix(['T', 't', ' '])
        .and_then(time_of_day)
        .and_then(|(second, zone)| Some((second, offset(zone)?)))
        .ok_or(Unreadable::Unknown)?;
    let midnight_of = (second == 0).then_some(date);
    Ok(Stamp { ts: date + second - offset, is_date: false, midnight_of })
}

/// Reads a date and the time of day that stands in another column.
pub(super) fn joint(date: &str, time: &str) -> Result<Stamp, Unreadable> {
    let stamp = stamp(date)?;
    if !stamp.is_date {
        return Ok(stamp);
    }
    let (second, offset) = compact_time(time)
        .map(|second| (second, 0))
        .or_else(|| time_of_day(time).and_then(|(second, zone)| Some((second, offset(zone)?))))
        .ok_or(Unreadable::Unknown)?;
    let midnight_of = (second == 0).then_some(stamp.ts);
    Ok(Stamp { ts: stamp.ts + second - offset, is_date: false, midnight_of })
}

/// A number: an epoch by its magnitude, or a date without anything between year, month and day.
fn digits(text: &str) -> Option<Stamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number = whole.strip_prefix('-').unwrap_or(whole);
    if number.is_empty() || ![number, fraction].iter().all(|part| all_digits(part)) {
        return None;
    }
    if let Some(stamp) = (whole.len() == text.len()).then(|| compact(whole)).flatten() {
        return Some(stamp);
    }
    let epoch: i64 = whole.parse().ok()?;
    let unit = match epoch.unsigned_abs() {
        ..MILLISECONDS => 1,
        MILLISECONDS..MICROSECONDS => 1_000,
        MICROSECONDS..NANOSECONDS => 1_000_000,
        NANOSECONDS.. => 1_000_000_000,
    };
    Some(Stamp { ts: epoch.div_euclid(unit), is_date: false, midnight_of: None })
}

/// `YYYYMMDD`, and the same with `HHMM` or `HHMMSS`.
fn compact(text: &str) -> Option<Stamp> {
    if !matches!(text.len(), 8 | 12 | 14) {
        return None;
    }
    let year: i32 = text.get(..4)?.parse().ok()?;
    let date = day_of(year, text.get(4..6)?, text.get(6..8)?).filter(|_| YEARS.contains(&year))?;
    let time = &text[8..];
    let second = if time.is_empty() { 0 } else { compact_time(time)? };
    Some(Stamp { ts: date + second, is_date: time.is_empty(), midnight_of: None })
}

/// `HHMM` or `HHMMSS`, in seconds.
fn compact_time(text: &str) -> Option<i64> {
    if !matches!(text.len(), 4 | 6) || !all_digits(text) {
        return None;
    }
    second_of(&text[..2], &text[2..4], if text.len() == 6 { &text[4..] } else { "0" })
}

/// A date that begins with its year, as 00:00:00 UTC, and what follows it.
fn date(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    let year: i32 = text.get(..4).filter(|year| all_digits(year))?.parse().ok()?;
    let between = *bytes.get(4)?;
    if between.is_ascii_digit() {
        let stamp = compact(text.get(..8).filter(|date| all_digits(date))?)?;
        return Some((stamp.ts, &text[8..]));
    }
    let same = matches!(between, b'-' | b'/' | b'.') && bytes.get(7) == Some(&between);
    let date = day_of(year, text.get(5..7)?, text.get(8..10)?).filter(|_| same)?;
    Some((date, &text[10..]))
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fff`, in seconds, and what follows it.
fn time_of_day(text: &str) -> Option<(i64, &str)> {
    let (hour, rest) = text.split_once(':')?;
    let minute = rest.get(..2)?;
    let mut rest = &rest[2..];
    let mut second = "0";
    if let Some(after) = rest.strip_prefix(':') {
        second = after.get(..2)?;
        rest = &after[2..];
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    Some((second_of(hour, minute, second)?, rest))
}

/// How far a zone is ahead of UTC, in seconds; UTC when none is stated.
fn offset(zone: &str) -> Option<i64> {
    let zone = zone.trim_start();
    if zone.is_empty() || ["Z", "UTC", "GMT"].iter().any(|utc| zone.eq_ignore_ascii_case(utc)) {
        return Some(0);
    }
    let sign = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let zone = &zone[1..];
    let (hours, minutes) = match zone.len() {
        2 => (zone, "0"),
        4 => (zone.get(..2)?, zone.get(2..)?),
        5 if zone.as_bytes()[2] == b':' => (zone.get(..2)?, zone.get(3..)?),
        _ => return None,
    };
    Some(sign * second_of(hours, minutes, "0")?)
}

/// Whether a text looks like `03/01/2013`.
fn begins_with_day_or_month(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(3, ['/', '-', '.']).collect();
    let short = |part: &str| (1..=2).contains(&part.len()) && all_digits(part);
    let [first, second, year] = parts[..] else { return false };
    short(first) && short(second) && year.get(..2).is_some_and(all_digits)
}

/// 00:00:00 UTC of a day.
fn day_of(year: i32, month: &str, day: &str) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(year, number(month)?, number(day)?)?;
    Some(i64::from(date.to_epoch_days()) * DAY)
}

/// The second of a day.
fn second_of(hour: &str, minute: &str, second: &str) -> Option<i64> {
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    let real = hour < 24 && minute < 60 && second < 60;
    real.then(|| i64::from(hour * 3_600 + minute * 60 + second))
}

/// One or two digits.
fn number(text: &str) -> Option<u32> {
    (text.len() <= 2 && all_digits(text)).then(|| text.parse().ok()).flatten()
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2013-03-01T14:30:00Z.
    const HALF_PAST_TWO: i64 = 1_362_148_200;
    const MIDNIGHT: i64 = 1_362_096_000;

    #[test]
    fn every_form_of_a_time_reads_alike() {
        for text in [
            "2013-03-01T14:30:00Z",
            "2013-03-01T14:30:00",
            "2013-03-01 14:30:00",
            "2013-03-01 14:30",
            "2013-03-01T14:30Z",
            "2013-03-01 14:30:00.000",
            "2013-03-01 14:30:00.999999+00:00",
            "2013-03-01 14:30:00 UTC",
            "2013-03-01 09:30:00-05:00",
            "2013-03-01T09:30:00-0500",
            "2013-03-01 23:30:00 +09",
            "2013/03/01 14:30",
            "2013.03.01 14:30",
            "20130301 14:30",
            "20130301T14:30:00Z",
            "201303011430",
            "20130301143000",
            "1362148200",
            "1362148200.0",
            "1362148200.75",
            "1362148200000",
            "1362148200000000",
            "1362148200000000000",
        ] {
            assert_eq!(stamp(text).map(|stamp| stamp.ts), Ok(HALF_PAST_TWO), "{text}");
        }
        for text in ["2013-03-01", "20130301", "2013/03/01", "2013.03.01", "1362096000"] {
            assert_eq!(stamp(text).map(|stamp| stamp.ts), Ok(MIDNIGHT), "{text}");
        }
    }

    #[test]
    fn an_epoch_is_read_by_its_magnitude() {
        for (text, ts) in [
            ("0", 0),
            ("-86400", -86_400),
            ("99999999999", 99_999_999_999),
            ("100000000000", 100_000_000),
            ("99999999999999", 99_999_999_999),
            ("100000000000000", 100_000_000),
            ("100000000000000000", 100_000_000),
            ("-1500", -1_500),
            ("86400000", 86_400_000),
        ] {
            assert_eq!(stamp(text).map(|stamp| stamp.ts), Ok(ts), "{text}");
        }
    }

    #[test]
    fn a_time_of_day_may_stand_in_its_own_column() {
        for (date, time) in [
            ("2013-03-01", "14:30"),
            ("20130301", "143000"),
            ("20130301", "1430"),
            ("2013.03.01", "14:30:00"),
            ("2013-03-01T14:30:00Z", "whatever"),
        ] {
            assert_eq!(joint(date, time).map(|s| s.ts), Ok(HALF_PAST_TWO), "{date} {time}");
        }
        assert!(joint("2013-03-01", "").is_err());
        assert!(joint("2013-03-01", "noon").is_err());
    }

    #[test]
    fn a_day_that_may_be_a_month_is_not_guessed_at() {
        for text in ["03/01/2013", "3/1/2013 09:30", "01.03.2013", "13-03-2013", "03/01/13"] {
            assert_eq!(stamp(text), Err(Unreadable::Ambiguous), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "yesterday",
            "null",
            "2013-13-01",
            "2013-02-30",
            "2013-03/01",
            "2013-03-01x",
            "2013-03-01T",
            "2013-03-01T25:00:00Z",
            "2013-03-01T14:30:00 CET",
            "2013-03-01T14:30:00+1:00",
            "99999999999999999999",
            "1.36e9",
            "é013-03-01",
            "2013-é3-01",
            "2013-03-01T1é:30",
        ] {
            assert_eq!(stamp(text), Err(Unreadable::Unknown), "{text}");
        }
    }
}
