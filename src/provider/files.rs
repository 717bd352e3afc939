//! The embedded provider `files`: a folder of `SYMBOL_TIMEFRAME.csv`.
//!
//! Pure like the others: it names the file and reads records; `fetch` opens it. The header is
//! `ts,open,high,low,close,volume`, in any order, with `vwap` and `trades` besides; `volume` may be
//! absent. `ts` is RFC 3339, a date (its midnight UTC), or epoch seconds.

use chrono::{DateTime, NaiveDate, NaiveTime};
use csv::StringRecord;

use crate::domain::bar::{Bar, BarFields, RejectReason, Rejection};
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::Symbol;
use crate::domain::timeframe::Timeframe;

use super::text::shown;

/// The name of a series' file in its folder. A `/` in the symbol is written `-`.
#[must_use]
pub fn file_name(symbol: &Symbol, timeframe: Timeframe) -> String {
    format!("{}_{timeframe}.csv", symbol.as_str().replace('/', "-"))
}

/// Which column of a file holds what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    ts: usize,
    open: usize,
    high: usize,
    low: usize,
    close: usize,
    volume: Option<usize>,
    vwap: Option<usize>,
    trades: Option<usize>,
}

impl Columns {
    /// Finds the columns by a file's header; case does not matter.
    ///
    /// # Errors
    ///
    /// `malformed`, naming the column, when one that must be there is not, or stands there twice.
    pub fn of_header(header: &StringRecord) -> Result<Self, Fault> {
        let find = |name: &str| {
            let mut at = header.iter().enumerate().filter_map(|(index, field)| {
                field
                    .trim_start_matches('\u{feff}')
                    .trim()
                    .eq_ignore_ascii_case(name)
                    .then_some(index)
            });
            match (at.next(), at.next()) {
                (found, None) => Ok(found),
                (_, Some(_)) => Err(fault(format!("the header names the column `{name}` twice"))),
            }
        };
        let need = |name: &str| {
            find(name)?.ok_or_else(|| {
                fault(format!(
                    "the header has no column `{name}`: it is `{}`, expected `ts,open,high,low,close,volume`",
                    shown(&header.iter().collect::<Vec<_>>().join(","))
                ))
            })
        };
        Ok(Self {
            ts: need("ts")?,
            open: need("open")?,
            high: need("high")?,
            low: need("low")?,
            close: need("close")?,
            volume: find("volume")?,
            vwap: find("vwap")?,
            trades: find("trades")?,
        })
    }

    /// Reads one record, whose line in the file is `line`.
    ///
    /// # Errors
    ///
    /// A rejection `invalid_number` when its time or a number in it cannot be read.
    pub fn bar(&self, record: &StringRecord, line: u64) -> Result<Bar, Rejection> {
        let ts = record.get(self.ts).and_then(instant);
        let number = |column: usize| record.get(column).and_then(|field| field.trim().parse().ok());
        let bar = ts.and_then(|ts| {
            Some(Bar {
                ts,
                open: number(self.open)?,
                high: number(self.high)?,
                low: number(self.low)?,
                close: number(self.close)?,
                volume: match self.volume {
                    Some(column) => Some(number(column)?),
                    None => None,
                },
                vwap: self.vwap.and_then(number),
                trades: self.trades.and_then(|column| record.get(column)?.trim().parse().ok()),
            })
        });
        bar.ok_or_else(|| Rejection {
            ts,
            reason: RejectReason::InvalidNumber,
            fields: self.unreadable(record),
            text: format!("line {line}: {}", shown(&record.iter().collect::<Vec<_>>().join(","))),
        })
    }
}

impl Columns {
    /// The columns of a record that hold no finite number.
    fn unreadable(&self, record: &StringRecord) -> BarFields {
        let columns = [
            (BarFields::OPEN, Some(self.open)),
            (BarFields::HIGH, Some(self.high)),
            (BarFields::LOW, Some(self.low)),
            (BarFields::CLOSE, Some(self.close)),
            (BarFields::VOLUME, self.volume),
        ];
        let reads = |column| {
            let number = record.get(column).and_then(|field| field.trim().parse::<f64>().ok());
            number.is_some_and(f64::is_finite)
        };
        let wrong = |(_, column): &(_, Option<usize>)| column.is_some_and(|column| !reads(column));
        columns.into_iter().filter(wrong).map(|(field, _)| field).collect()
    }
}

/// A file that cannot be what it is named.
fn fault(message: String) -> Fault {
    Fault::new(ErrorKind::Malformed, message)
}

/// An instant in one of the three forms, epoch seconds UTC.
fn instant(field: &str) -> Option<i64> {
    let field = field.trim();
    if let Ok(seconds) = field.parse::<i64>() {
        return Some(seconds);
    }
    if let Ok(date) = field.parse::<NaiveDate>() {
        return Some(date.and_time(NaiveTime::MIN).and_utc().timestamp());
    }
    DateTime::parse_from_rfc3339(field).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> StringRecord {
        line.split(',').collect()
    }

    #[test]
    fn columns_are_found_by_name_and_times_read_in_three_forms() {
        let columns = Columns::of_header(&record("Close,low,HIGH,open,ts")).unwrap();
        for ts in ["2013-03-01T00:00:00Z", "2013-03-01", "1362096000", "2013-03-01T01:00:00+01:00"]
        {
            let bar = columns.bar(&record(&format!("4,1,5,2,{ts}")), 2).unwrap();
            assert_eq!(
                (bar.ts, bar.open, bar.high, bar.low, bar.close),
                (1_362_096_000, 2.0, 5.0, 1.0, 4.0)
            );
            assert_eq!(bar.volume, None);
        }
    }

    #[test]
    fn a_row_that_does_not_read_is_rejected_with_its_line() {
        let columns = Columns::of_header(&record("ts,open,high,low,close,volume")).unwrap();
        let row = "2013-03-01,2,5,1,abc,100";
        let rejected = columns.bar(&record(row), 17).unwrap_err();
        assert_eq!(rejected.ts, Some(1_362_096_000));
        assert_eq!(rejected.text, format!("line 17: {row}"));
        assert_eq!(columns.bar(&record("yesterday,1,1,1,1,1"), 3).unwrap_err().ts, None);
        assert!(columns.bar(&record("2013-03-01,1,1,1,1,"), 3).is_err(), "a volume that is empty");
    }

    #[test]
    fn a_header_without_a_column_names_it() {
        let fault = Columns::of_header(&record("ts,open,high,low,volume")).unwrap_err();
        assert!(fault.message.contains("no column `close`"), "{}", fault.message);
        assert!(Columns::of_header(&record("ts,open,high,low,close,close")).is_err());
    }

    #[test]
    fn a_symbol_stays_in_its_folder() {
        let symbol = "../BTC/USD".parse().unwrap();
        assert_eq!(file_name(&symbol, Timeframe::H1), "..-BTC-USD_1h.csv");
    }
}
