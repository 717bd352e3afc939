//! Instants and dates as they are typed.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate};
use clap::{ArgGroup, Args};

use crate::config::Span;
use crate::domain::time::midnight;
use crate::domain::timeframe::DAY;
use crate::domain::words;
use crate::plan::Bound;

use super::failure::Failure;

/// `--as-of`: an instant, or a date, which is its end in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AsOf(pub(super) i64);

impl FromStr for AsOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(date) = text.parse::<NaiveDate>() {
            return Ok(Self(midnight(date) + DAY));
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

/// 9999-12-31T23:59:59Z, the last instant that can be written down.
const END_OF_9999: i64 = 253_402_300_799;

/// When something that is ordered ends by itself.
#[derive(Clone, Copy, Debug, Args)]
#[command(group(ArgGroup::new("end").required(true).args(["span", "until"])))]
pub(super) struct Ending {
    /// So long from now, as in 30m, 4h or 3d.
    #[arg(long = "for", value_name = "DURATION")]
    span: Option<Span>,
    /// Until then: an RFC 3339 instant, or a date, which is its end in UTC.
    #[arg(long, value_name = "TIME")]
    until: Option<AsOf>,
}

impl Ending {
    /// The first instant after a `what` that is ordered at `now`.
    pub(super) fn of(self, what: &str, now: i64) -> Result<i64, Failure> {
        let until = match (self.span, self.until) {
            (Some(Span(length)), _) => {
                let seconds = length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0));
                now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX))
            }
            (None, Some(AsOf(until))) => until,
            // Clap asks for one of the two.
            (None, None) => now,
        };
        if until <= now {
            let now = words::instant(now);
            return Err(Failure::usage(format!("the {what} would have ended already"))
                .hinted(format!("it is {now} now; name a later end, or `--for 2h`")));
        }
        if until > END_OF_9999 {
            return Err(Failure::usage(format!(
                "the {what} would end in no year that a calendar has"
            ))
            .hinted("name an earlier end"));
        }
        Ok(until)
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
