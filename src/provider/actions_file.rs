//! The file of a symbol's actions in the folder of the embedded provider: `SYMBOL_actions.csv`.
//!
//! Pure: it names the file and reads records; `fetch` opens it. The header is `ex_date,kind,value`, in
//! any order and case; further columns are nobody's. A split's value is the new shares for one old one.

use csv::StringRecord;

use crate::domain::action::Action;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::Symbol;

use super::declared::{date, dividend, split};
use super::text::shown;

/// The name of a symbol's file of actions in its folder. A `/` in the symbol is written `-`.
#[must_use]
pub fn file_name(symbol: &Symbol) -> String {
    format!("{}_actions.csv", symbol.as_str().replace('/', "-"))
}

/// Which column of a file of actions holds what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    ex_date: usize,
    kind: usize,
    value: usize,
}

impl Columns {
    /// Finds the columns by a file's header; case does not matter.
    ///
    /// # Errors
    ///
    /// `malformed`, naming the column, when one is not there, or stands there twice.
    pub fn of_header(header: &StringRecord) -> Result<Self, Fault> {
        let is = |field: &str, name: &str| {
            field.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name)
        };
        let find = |name: &str| {
            let mut at = header.iter().enumerate().filter(|(_, field)| is(field, name));
            match (at.next(), at.next()) {
                (Some((index, _)), None) => Ok(index),
                (Some(_), Some(_)) => Err(format!("the header names the column `{name}` twice")),
                (None, _) => Err(format!(
                    "the header has no column `{name}`: it is `{}`, expected `ex_date,kind,value`",
                    shown(&header.iter().collect::<Vec<_>>().join(","))
                )),
            }
        };
        let fault = |message| Fault::new(ErrorKind::Malformed, message);
        Ok(Self {
            ex_date: find("ex_date").map_err(fault)?,
            kind: find("kind").map_err(fault)?,
            value: find("value").map_err(fault)?,
        })
    }

    /// Reads one record.
    ///
    /// # Errors
    ///
    /// The record's text, fit to be shown, when it is no action.
    pub fn action(&self, record: &StringRecord) -> Result<Action, String> {
        let field = |column: usize| record.get(column).map(str::trim);
        let read = || {
            let ex_date = date(field(self.ex_date)?)?;
            let value = field(self.value)?.parse().ok()?;
            let kind = field(self.kind)?;
            if kind.eq_ignore_ascii_case("split") {
                split(ex_date, 1.0, value)
            } else if kind.eq_ignore_ascii_case("dividend") {
                dividend(ex_date, value, None)
            } else {
                None
            }
        };
        read().ok_or_else(|| shown(&record.iter().collect::<Vec<_>>().join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::ActionKind;

    fn record(line: &str) -> StringRecord {
        line.split(',').collect()
    }

    #[test]
    fn columns_are_found_by_name_and_others_are_left_alone() {
        let columns =
            Columns::of_header(&record("\u{feff}Value, KIND ,prev_close_ref,ex_date")).unwrap();
        let split = columns.action(&record("7, Split ,645.57, 2014-06-09")).unwrap();
        assert_eq!(split.kind, ActionKind::Split { from: 1.0, to: 7.0 });
        assert_eq!(split.ex_date.to_string(), "2014-06-09");
        let dividend = columns.action(&record("0.47,dividend,,2014-08-07")).unwrap();
        assert_eq!(dividend.kind, ActionKind::Dividend { cash: 0.47, currency: None });
    }

    #[test]
    fn what_is_no_action_is_told_with_its_text() {
        let columns = Columns::of_header(&record("ex_date,kind,value")).unwrap();
        for line in [
            "2014-06-09,split,0",
            "2014-06-09,split,-7",
            "2014-06-09,split,NaN",
            "2014-06-09,split,inf",
            "2014-06-09,dividend,-1",
            "2014-06-09,merger,2",
            "2014-02-30,split,2",
            "June,split,2",
            "2014-06-09,split",
        ] {
            assert_eq!(columns.action(&record(line)), Err(line.to_owned()));
        }
    }

    #[test]
    fn a_header_without_a_column_names_it() {
        let fault = Columns::of_header(&record("date,kind,value")).unwrap_err();
        assert!(fault.message.contains("no column `ex_date`"), "{}", fault.message);
        assert!(Columns::of_header(&record("ex_date,kind,kind,value")).is_err());
    }

    #[test]
    fn a_symbol_stays_in_its_folder() {
        assert_eq!(file_name(&"../BRK/B".parse().unwrap()), "..-BRK-B_actions.csv");
    }
}
