//! What is declared of a symbol besides its bars: splits, dividends, and what the symbol is; and which
//! numbers and dates of them can be meant.

use chrono::{Datelike as _, NaiveDate};

use crate::domain::action::{Action, ActionKind};
use crate::domain::reference::Listing;

/// What an answer declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// Splits or dividends, in the order of the answer.
    pub actions: Vec<Action>,
    /// What the symbol is; `None` when the answer is about something else, or holds nothing.
    pub listing: Option<Listing>,
}

/// More new shares for an old one, or old ones for a new one, than there ever were.
const LARGEST_RATIO: f64 = 1e6;

/// More cash than any share pays, in whatever money.
const LARGEST_CASH: f64 = 1e9;

/// The split of `from` old shares into `to` new ones; `None` when that cannot be.
pub(super) fn split(ex_date: NaiveDate, from: f64, to: f64) -> Option<Action> {
    let counts = |shares: f64| shares.is_finite() && shares > 0.0;
    let ratio = to / from;
    let believable = (1.0 / LARGEST_RATIO..=LARGEST_RATIO).contains(&ratio);
    (counts(from) && counts(to) && believable)
        .then_some(Action { ex_date, kind: ActionKind::Split { from, to } })
}

/// The payment of `cash` a share; `None` when that cannot be.
pub(super) fn dividend(ex_date: NaiveDate, cash: f64, currency: Option<String>) -> Option<Action> {
    (cash > 0.0 && cash <= LARGEST_CASH)
        .then_some(Action { ex_date, kind: ActionKind::Dividend { cash, currency } })
}

/// A date as `YYYY-MM-DD`, of an age in which shares are traded.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    let is_plain =
        text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date: NaiveDate = if is_plain { text.parse().ok()? } else { return None };
    (1600..=2500).contains(&date.year()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_are_none() {
        let day = date("2024-06-10").unwrap();
        for (from, to) in [(1.0, 4.0), (20.0, 1.0), (2.0, 3.0), (1.0, 1.0)] {
            assert!(split(day, from, to).is_some(), "{from} {to}");
        }
        let nan = f64::NAN;
        let wrong = [
            (0.0, 1.0),
            (1.0, 0.0),
            (-1.0, -4.0),
            (nan, 1.0),
            (1.0, nan),
            (1.0, f64::INFINITY),
            (f64::INFINITY, f64::INFINITY),
            (5e-324, 1.0),
            (1.0, 1e300),
        ];
        for (from, to) in wrong {
            assert_eq!(split(day, from, to), None, "{from} {to}");
        }
        assert!(dividend(day, 0.205, None).is_some());
        for cash in [0.0, -0.1, nan, f64::INFINITY, 1e300] {
            assert_eq!(dividend(day, cash, None), None, "{cash}");
        }
    }

    #[test]
    fn a_date_is_one_in_full() {
        assert!(date("2020-08-31").is_some());
        for wrong in
            ["", "2020-8-31", "2020-02-30", "0020-02-03", "9999-01-01", "+020-08-31", "31.08.2020"]
        {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }
}
