//! Instants and dates as they are typed.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime};

use crate::domain::timeframe::DAY;
use crate::plan::Bound;

/// `--as-of`: an instant, or a date, which is its end in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AsOf(pub(super) i64);

impl FromStr for AsOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(date) = text.parse::<NaiveDate>() {
            return Ok(Self(date.and_time(NaiveTime::MIN).and_utc().timestamp() + DAY));
        }
        instant(text).map(Self)
    }
}

/// `--from` and `--to`: a session date, inclusive, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge(pub(super) Bound);

impl FromStr for Edge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(date) = text.parse::<NaiveDate>() {
            return Ok(Self(Bound::Date(date)));
        }
        instant(text).map(|at| Self(Bound::Instant(at)))
    }
}

impl Edge {
    /// Whether nothing can lie between it, as a beginning, and `end`.
    pub(super) fn is_after(self, end: Self) -> bool {
        match (self.0, end.0) {
            (Bound::Date(from), Bound::Date(to)) => from > to,
            (Bound::Instant(from), Bound::Instant(to)) => from >= to,
            // A date's session and an instant are compared by the plan, which knows the calendar.
            _ => false,
        }
    }
}

fn instant(text: &str) -> Result<i64, String> {
    DateTime::parse_from_rfc3339(text).map(|at| at.timestamp()).map_err(|_| {
        format!("`{text}` is no time; expected a date like 2024-03-15 or an instant like 2024-03-15T20:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_end_as_an_instant_and_itself_as_an_edge() {
        assert_eq!("1970-01-02".parse(), Ok(AsOf(2 * DAY)));
        assert_eq!("1970-01-02T00:00:00+01:00".parse(), Ok(AsOf(DAY - 3600)));
        let date = NaiveDate::from_ymd_opt(1970, 1, 2).unwrap();
        assert_eq!("1970-01-02".parse(), Ok(Edge(Bound::Date(date))));
        assert!("yesterday".parse::<AsOf>().is_err());
    }
}
