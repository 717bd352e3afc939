//! How single values of the config are written: words, durations, sizes, times of the day.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::domain::policy::EndOfDay;

/// A value that is written as text and read by its `FromStr`, so that a wrong one is shown with a
/// caret under it, and no other room needs serde.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words<T>(PhantomData<T>);
        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Words<T> {
            type Value = Text<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text in quotes")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Words(PhantomData))
    }
}

/// A length of time like `250ms`, `30s`, `5m`, `24h`, `90d`, `2y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            || format!("`{text}` is no duration; expected one like 250ms, 30s, 5m, 24h, 90d or 2y");
        // A unit is needed: a bare number would leave it open whether seconds or days are meant. An
        // upper-case M is a month to some and a minute to others.
        if text.contains('M') {
            return Err(expected());
        }
        humantime::parse_duration(text).map(Self).map_err(|_| expected())
    }
}

/// A number of bytes like `16MiB`, `500KB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: Option<u64> = match unit.trim() {
            "" | "B" => Some(1),
            "KB" => Some(1_000),
            "KiB" => Some(1 << 10),
            "MB" => Some(1_000_000),
            "MiB" => Some(1 << 20),
            "GB" => Some(1_000_000_000),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let bytes =
            number.parse::<u64>().ok().zip(factor).and_then(|(n, factor)| n.checked_mul(factor));
        bytes
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no size; expected one like 16MiB or 500KB"))
    }
}

/// A time of the day with its zone, `21:30 America/New_York`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ZonedTime(pub EndOfDay);

impl FromStr for ZonedTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (time, zone) = text.split_once(' ')?;
            Some(EndOfDay { time: local_time(time)?, zone: zone.trim().parse().ok()? })
        };
        read().map(Self).ok_or_else(|| {
            format!("`{text}` is no time of the day; expected one like `21:30 America/New_York`")
        })
    }
}

/// A local time of the day, `13:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalTime(pub NaiveTime);

impl FromStr for LocalTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        local_time(text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no time of the day; expected one like 13:00"))
    }
}

fn local_time(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").ok()
}

/// A date, `2025-01-09`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date(pub NaiveDate);

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is no date; expected one like 2025-01-09"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!("250ms".parse(), Ok(Span(Duration::from_millis(250))));
        assert_eq!("90d".parse(), Ok(Span(Duration::from_secs(90 * 86_400))));
        assert!("90".parse::<Span>().is_err());
        assert!("5M".parse::<Span>().is_err());
    }

    #[test]
    fn sizes_know_both_kinds_of_units() {
        assert_eq!("16MiB".parse(), Ok(Size(16 << 20)));
        assert_eq!("500KB".parse(), Ok(Size(500_000)));
        assert!("lots".parse::<Size>().is_err());
        assert!("99999999999GiB".parse::<Size>().is_err());
    }
}
