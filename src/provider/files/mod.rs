//! The embedded provider `files`: a folder of `SYMBOL_TIMEFRAME.csv`, or `.csv.gz`.
//!
//! Pure like the others: it names the file and reads its lines; `fetch` opens it. The header is
//! `ts,open,high,low,close,volume`, in any order, with `vwap` and `trades` besides; `volume` may be
//! absent, other columns are passed over. The names that other sources have for these are known (see
//! `header`), and so are `;` and tabs between the fields.
//!
//! A time is RFC 3339; `YYYY-MM-DD`, `YYYY/MM/DD`, `YYYY.MM.DD` or `YYYYMMDD`, alone or with `HH:MM`,
//! `HH:MM:SS` or fractions of it; or an epoch. One without a zone is UTC. An epoch is in seconds below
//! 10^11, in milliseconds below 10^14, in microseconds below 10^17, and else in nanoseconds; 8, 12 or
//! 14 digits that are a date of the years 1800 to 2199 are that date. A date that begins with its day
//! or its month is refused. A `1d` bar may be stamped with any instant of its session's date.

use crate::domain::bar::{Bar, BarFields, RejectReason, Rejection};
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::{AssetClass, Symbol};
use crate::domain::time::day_start;
use crate::domain::timeframe::{DAY, Timeframe};
use crate::domain::zone::Zone;

use super::reading::wall_clock;
use super::text::shown_within;

mod header;
mod line;
mod time;

pub use line::{Fields, is_preamble, is_remark};

use header::{Header, TimeColumn};
use time::{Stamp, Unreadable};

/// Rows whose text is kept in full when they do not read; of further ones, a beginning.
const MOST_TEXTS: usize = 2_000;
/// What is kept of them, in characters.
const LONGEST_ROW: usize = 400;
/// What is kept of further ones.
const SHORT_ROW: usize = 60;

/// What a forex day begins before its date, in seconds: it opens at 17:00.
const FOREX_AHEAD: i64 = 7 * 3_600;

/// The name of a series' file in its folder. A `/` in the symbol is written `-`.
#[must_use]
pub fn file_name(symbol: &Symbol, timeframe: Timeframe) -> String {
    format!("{}_{timeframe}.csv", symbol.as_str().replace('/', "-"))
}

/// Whose bars a file holds.
#[derive(Clone, Debug)]
pub struct Whose {
    /// Of which symbol.
    pub symbol: Symbol,
    /// How long they are.
    pub timeframe: Timeframe,
    /// What kind of thing it is.
    pub asset_class: AssetClass,
    /// The zone of the market's calendar.
    pub zone: Zone,
}

/// How the lines of a file are read.
#[derive(Clone, Debug)]
pub struct Columns {
    header: Header,
    /// How many columns of a row are looked at.
    columns: usize,
    timeframe: Timeframe,
    zone: Zone,
    /// How long before its date a session begins, in seconds.
    ahead: i64,
}

impl Columns {
    /// Finds the columns by a file's header.
    ///
    /// # Errors
    ///
    /// `malformed`, naming the column, when one that must be there is not, or stands there twice.
    pub fn of_header(line: &str, whose: &Whose) -> Result<Self, Fault> {
        let Whose { timeframe, zone, .. } = *whose;
        let ahead = if whose.asset_class == AssetClass::Forex { FOREX_AHEAD } else { 0 };
        let header = Header::of(line, &whose.symbol)?;
        Ok(Self { columns: header.columns(), header, timeframe, zone, ahead })
    }

    /// The time of the row in `line`, as its bar would bear it; `fields` is where its fields go.
    pub fn ts(&self, line: &str, fields: &mut Fields) -> Option<i64> {
        fields.split(line, self.header.delimiter, self.header.time_columns());
        Some(self.label(self.stamp(line, fields).ok()?))
    }

    /// Reads the row in `line`, whose place in the file is `number`, and before which `unread` of the
    /// page could not be read.
    ///
    /// # Errors
    ///
    /// A rejection `invalid_number` when its time or a number in it cannot be read.
    pub fn bar(
        &self,
        line: &str,
        fields: &mut Fields,
        number: u64,
        unread: usize,
    ) -> Result<Bar, Rejection> {
        fields.split(line, self.header.delimiter, self.columns);
        let stamp = self.stamp(line, fields);
        let ts = stamp.ok().map(|stamp| self.label(stamp));
        ts.and_then(|ts| self.numbers(ts, line, fields)).ok_or_else(|| {
            let why = match stamp {
                Err(Unreadable::Ambiguous) => {
                    "is it the day or the month first? write YYYY-MM-DD: "
                }
                _ => "",
            };
            let fields = self.unreadable(line, fields);
            rejection(ts, number, fields, (why, line), unread)
        })
    }

    /// The columns of a row that hold no finite number.
    fn unreadable(&self, line: &str, fields: &Fields) -> BarFields {
        let Header { open, high, low, close, volume, .. } = self.header;
        let columns = [
            (BarFields::OPEN, Some(open)),
            (BarFields::HIGH, Some(high)),
            (BarFields::LOW, Some(low)),
            (BarFields::CLOSE, Some(close)),
            (BarFields::VOLUME, volume),
        ];
        let reads = |column| {
            let number = fields.get(line, column).and_then(|field| field.parse::<f64>().ok());
            number.is_some_and(f64::is_finite)
        };
        let wrong = |(_, column): &(_, Option<usize>)| column.is_some_and(|column| !reads(column));
        columns.into_iter().filter(wrong).map(|(field, _)| field).collect()
    }

    fn numbers(&self, ts: i64, line: &str, fields: &Fields) -> Option<Bar> {
        let number = |column: usize| fields.get(line, column)?.parse().ok();
        let Header { open, high, low, close, volume, vwap, trades, .. } = self.header;
        Some(Bar {
            ts,
            open: number(open)?,
            high: number(high)?,
            low: number(low)?,
            close: number(close)?,
            volume: match volume {
                Some(column) => Some(number(column)?),
                None => None,
            },
            vwap: vwap.and_then(number),
            trades: trades.and_then(|column| whole(fields.get(line, column)?)),
        })
    }

    fn stamp(&self, line: &str, fields: &Fields) -> Result<Stamp, Unreadable> {
        let field = |column| fields.get(line, column).ok_or(Unreadable::Unknown);
        match self.header.time {
            TimeColumn::One(column) => time::stamp(field(column)?),
            TimeColumn::Two(date, time) => time::joint(field(date)?, field(time)?),
        }
    }

    /// The `ts` of a bar that is stamped so: of a `1d` bar, 00:00:00 UTC of its session's date.
    fn label(&self, stamp: Stamp) -> i64 {
        if self.timeframe.is_intraday() || stamp.ts.rem_euclid(DAY) == 0 {
            return stamp.ts;
        }
        stamp.midnight_of.unwrap_or_else(|| {
            day_start(wall_clock(stamp.ts, self.zone).saturating_add(self.ahead))
        })
    }
}

/// A line that is no row of text.
#[must_use]
pub fn no_text(line: &[u8], number: u64, unread: usize) -> Rejection {
    rejection(None, number, BarFields::NONE, ("", &String::from_utf8_lossy(line)), unread)
}

fn rejection(
    ts: Option<i64>,
    number: u64,
    fields: BarFields,
    (why, line): (&str, &str),
    unread: usize,
) -> Rejection {
    let longest = if unread < MOST_TEXTS { LONGEST_ROW } else { SHORT_ROW };
    let text = format!("line {number}: {why}{}", shown_within(line, longest));
    Rejection { ts, reason: RejectReason::InvalidNumber, fields, text }
}

/// A whole number, which some write with a point.
fn whole(field: &str) -> Option<i64> {
    field.parse().ok().or_else(|| {
        let (whole, zeros) = field.split_once('.')?;
        zeros.bytes().all(|byte| byte == b'0').then(|| whole.parse().ok()).flatten()
    })
}

/// A file that cannot be what it is named.
fn fault(message: String) -> Fault {
    Fault::new(ErrorKind::Malformed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: i64 = 1_362_096_000;

    fn columns(header: &str, timeframe: Timeframe, class: AssetClass, zone: Zone) -> Columns {
        let whose = Whose { symbol: "X".parse().unwrap(), timeframe, asset_class: class, zone };
        Columns::of_header(header, &whose).unwrap()
    }

    fn daily(header: &str) -> Columns {
        columns(header, Timeframe::D1, AssetClass::Stock, Zone::NEW_YORK)
    }

    #[test]
    fn a_row_is_read_by_the_names_of_its_columns() {
        let columns = daily("Close,low,HIGH,open,ts,n,vw");
        let row = "4,1,5,2,2013-03-01,12.0,3.5";
        let bar = columns.bar(row, &mut Fields::default(), 2, 0).unwrap();
        let Bar { ts, open, high, low, close, volume, vwap, trades } = bar;
        assert_eq!((ts, open, high, low, close), (MIDNIGHT, 2.0, 5.0, 1.0, 4.0));
        assert_eq!((volume, vwap, trades), (None, Some(3.5), Some(12)));
        assert_eq!(columns.ts(row, &mut Fields::default()), Some(MIDNIGHT));
    }

    #[test]
    fn a_row_that_does_not_read_is_rejected_with_its_line() {
        let columns = daily("ts,open,high,low,close,volume");
        let read = |row: &str, unread| columns.bar(row, &mut Fields::default(), 17, unread);
        let row = "2013-03-01,2,5,1,abc,100";
        let rejected = read(row, 0).unwrap_err();
        assert_eq!(rejected.ts, Some(MIDNIGHT));
        assert_eq!(rejected.text, format!("line 17: {row}"));
        assert_eq!(read("yesterday,1,1,1,1,1", 0).unwrap_err().ts, None);
        assert!(read("2013-03-01,1,1,1,1,", 0).is_err(), "a volume that is empty");
        assert!(read("2013-03-01,null,null,null,null,null", 0).is_err());
        let ambiguous = read("03/01/2013,1,1,1,1,1", 0).unwrap_err().text;
        assert!(ambiguous.contains("write YYYY-MM-DD"), "{ambiguous}");
        let long = read(&"x".repeat(1_000), MOST_TEXTS).unwrap_err().text;
        assert!(long.starts_with("line 17: xx") && long.len() < 100, "{long}");
    }

    #[test]
    fn a_daily_bar_is_of_its_sessions_date_whatever_instant_it_is_stamped_with() {
        let header = "ts,open,high,low,close";
        let label = |class, zone, ts: &str| {
            let columns = columns(header, Timeframe::D1, class, zone);
            columns.ts(&format!("{ts},1,1,1,1"), &mut Fields::default()).unwrap()
        };
        use AssetClass::{Crypto, Forex, Stock};
        let (new_york, tokyo) = (Zone::NEW_YORK, Zone::TOKYO);
        for (class, zone, ts) in [
            (Stock, new_york, "2013-03-01T05:00:00Z"),
            (Stock, new_york, "2013-03-01 00:00:00-05:00"),
            (Stock, new_york, "2013-03-01T14:30:00Z"),
            (Stock, new_york, "1362171600"),
            (Stock, new_york, "2013-03-01T00:00:00Z"),
            (Stock, new_york, "2013-02-28T19:00:00-05:00"),
            (Stock, tokyo, "2013-02-28T15:00:00Z"),
            (Stock, tokyo, "2013-03-01T00:00:00+09:00"),
            (Stock, tokyo, "2013-03-01"),
            (Crypto, Zone::UTC, "2013-03-01T23:59:59Z"),
            (Forex, new_york, "2013-02-28T22:00:00Z"),
            (Forex, new_york, "2013-03-01T05:00:00Z"),
            (Forex, new_york, "2013-03-01"),
        ] {
            assert_eq!(label(class, zone, ts), MIDNIGHT, "{class:?} {zone:?} {ts}");
        }
        let hourly = columns(header, Timeframe::H1, Stock, new_york);
        let ts = hourly.ts("2013-03-01T05:00:34Z,1,1,1,1", &mut Fields::default());
        assert_eq!(ts, Some(MIDNIGHT + 5 * 3_600 + 34), "only days are dates");
    }

    #[test]
    fn a_symbol_stays_in_its_folder() {
        let symbol = "../BTC/USD".parse().unwrap();
        assert_eq!(file_name(&symbol, Timeframe::H1), "..-BTC-USD_1h.csv");
    }
}
