//! Which column of a file holds what, by the many names that they go by.

use crate::domain::run::Fault;
use crate::domain::series::Symbol;

use super::fault;
use super::line::{Fields, delimiter_of};
use crate::provider::text::shown;

/// Names of the bar's time, the least ambiguous first.
const TIME: &[&str] = &[
    "ts",
    "unix",
    "unix timestamp",
    "unixtimestamp",
    "unix time",
    "unixtime",
    "epoch",
    "epoch seconds",
    "timestamp",
    "time stamp",
    "open time",
    "opentime",
    "start time",
    "window start",
    "t",
    "datetime",
    "date time",
];
/// Names of a date that may have its time of day beside it.
const DATE: &[&str] = &["date", "dtyyyymmdd", "day"];
/// Names of a time of day, or of the whole time where there is no date.
const TIME_OF_DAY: &[&str] = &["time"];
const OPEN: &[&str] = &["open", "open price", "o"];
const HIGH: &[&str] = &["high", "high price", "h"];
const LOW: &[&str] = &["low", "low price", "l"];
/// An adjusted close is none of these: what is stored is the raw one.
const CLOSE: &[&str] = &["close", "close price", "c"];
const VOLUME: &[&str] =
    &["volume", "vol", "v", "base volume", "volume base", "base asset volume", "volumefrom"];
const VWAP: &[&str] = &["vwap", "vw", "weighted price", "weightedprice"];
const TRADES: &[&str] = &[
    "trades",
    "n",
    "tradecount",
    "trade count",
    "trades count",
    "number of trades",
    "transactions",
    "count",
];

/// Words behind `volume` that mean the quote currency, whichever that is.
const QUOTE: &[&str] = &["currency", "quote", "to"];

/// Where the time of a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeColumn {
    /// In one column.
    One(usize),
    /// Its date in one, the time of day in another.
    Two(usize, usize),
}

/// Which column of a file holds what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) delimiter: u8,
    pub(super) time: TimeColumn,
    pub(super) open: usize,
    pub(super) high: usize,
    pub(super) low: usize,
    pub(super) close: usize,
    pub(super) volume: Option<usize>,
    pub(super) vwap: Option<usize>,
    pub(super) trades: Option<usize>,
}

impl Header {
    /// Finds the columns by the header of a file of `symbol`.
    ///
    /// # Errors
    ///
    /// `malformed`, naming the column, when one that must be there is not, or stands there twice.
    pub(super) fn of(line: &str, symbol: &Symbol) -> Result<Self, Fault> {
        let delimiter = delimiter_of(line);
        let mut fields = Fields::default();
        fields.split(line, delimiter, usize::MAX);
        let names = (0..).map_while(|at| fields.get(line, at)).map(plain).collect();
        let names = Names { names, line };
        Ok(Self {
            delimiter,
            time: names.time()?,
            open: names.need(OPEN)?,
            high: names.need(HIGH)?,
            low: names.need(LOW)?,
            close: names.need(CLOSE)?,
            volume: names.volume(symbol)?,
            vwap: names.find(VWAP)?,
            trades: names.find(TRADES)?,
        })
    }
}

impl Header {
    /// How many columns must be looked at for the time.
    pub(super) fn time_columns(&self) -> usize {
        match self.time {
            TimeColumn::One(column) => column + 1,
            TimeColumn::Two(date, time) => date.max(time) + 1,
        }
    }

    /// How many columns must be looked at for a row.
    pub(super) fn columns(&self) -> usize {
        let optional = [self.volume, self.vwap, self.trades].into_iter().flatten();
        let last = optional.chain([self.open, self.high, self.low, self.close]).max();
        last.map_or(0, |column| column + 1).max(self.time_columns())
    }
}

/// A name in small letters, without brackets, and with single blanks between its words.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !"<>()[]{}\"'\u{feff}".contains(*c));
    let spaced: String =
        letters.map(|c| if "_-./".contains(c) { ' ' } else { c.to_ascii_lowercase() }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names of a header.
struct Names<'a> {
    names: Vec<String>,
    line: &'a str,
}

impl Names<'_> {
    /// The column of that name.
    fn named(&self, name: &str) -> Result<Option<usize>, Fault> {
        let mut at = (0..self.names.len()).filter(|at| self.names[*at] == name);
        match (at.next(), at.next()) {
            (found, None) => Ok(found),
            (_, Some(_)) => Err(fault(format!("the header names the column `{name}` twice"))),
        }
    }

    /// The column that bears the first of those names that is there.
    fn find(&self, known: &[&str]) -> Result<Option<usize>, Fault> {
        for name in known {
            if let Some(column) = self.named(name)? {
                return Ok(Some(column));
            }
        }
        Ok(None)
    }

    fn need(&self, known: &[&str]) -> Result<usize, Fault> {
        self.find(known)?.ok_or_else(|| self.lacks(known[0]))
    }

    fn lacks(&self, name: &str) -> Fault {
        if self.line.trim_start_matches('\u{feff}').trim().is_empty() {
            return fault(
                "the file is empty, or its first line is: a header is expected there".to_owned(),
            );
        }
        fault(format!(
            "the header has no column `{name}`: it is `{}`, expected `ts,open,high,low,close,volume`",
            shown(self.line.trim_start_matches('\u{feff}'))
        ))
    }

    fn time(&self) -> Result<TimeColumn, Fault> {
        if let Some(column) = self.find(TIME)? {
            return Ok(TimeColumn::One(column));
        }
        match (self.find(DATE)?, self.find(TIME_OF_DAY)?) {
            (Some(date), Some(time)) => Ok(TimeColumn::Two(date, time)),
            (Some(column), None) | (None, Some(column)) => Ok(TimeColumn::One(column)),
            (None, None) => Err(self.lacks(TIME[0])),
        }
    }

    /// The volume; of several that name their currency, that of the base currency: the one that the
    /// symbol begins with, else the first. One in the quote currency is none.
    fn volume(&self, symbol: &Symbol) -> Result<Option<usize>, Fault> {
        if let Some(column) = self.find(VOLUME)? {
            return Ok(Some(column));
        }
        let pair = pair_of(symbol);
        let mut found = None;
        for (column, name) in self.names.iter().enumerate() {
            let Some((_, word)) = name.split_once(' ').filter(|(what, word)| {
                matches!(*what, "volume" | "vol") && !word.contains(' ') && !QUOTE.contains(word)
            }) else {
                continue;
            };
            if pair.starts_with(word) {
                return self.named(name);
            }
            if !pair.ends_with(word) && found.is_none() {
                found = Some(column);
            }
        }
        found.map_or(Ok(None), |column| self.named(&self.names[column]))
    }
}

/// `btcusd` of `X:BTC-USD`.
fn pair_of(symbol: &Symbol) -> String {
    let symbol = symbol.as_str();
    let pair = symbol.split_once(':').map_or(symbol, |(_, pair)| pair);
    pair.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str, symbol: &str) -> Result<Header, Fault> {
        Header::of(line, &symbol.parse().unwrap())
    }

    #[test]
    fn columns_are_found_by_their_usual_names() {
        use TimeColumn::{One, Two};
        // Header, time, open, high, low, close, volume, vwap, trades.
        let (no, at) = (None::<usize>, Some::<usize>);
        for (line, time, ohlc, more) in [
            ("ts,open,high,low,close,volume", One(0), [1, 2, 3, 4], [at(5), no, no]),
            ("Close,low,HIGH, open ,ts", One(4), [3, 2, 1, 0], [no; 3]),
            (
                "\u{feff}Date,Open,High,Low,Close,Adj Close,Volume",
                One(0),
                [1, 2, 3, 4],
                [at(6), no, no],
            ),
            ("Date,Open,High,Low,Adj Close,Close,Volume", One(0), [1, 2, 3, 5], [at(6), no, no]),
            ("t,o,h,l,c,v,vw,n", One(0), [1, 2, 3, 4], [at(5), at(6), at(7)]),
            (
                "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount",
                One(0),
                [3, 4, 5, 6],
                [at(7), no, at(9)],
            ),
            (
                "date,unix,symbol,open,high,low,close,Volume USDT,Volume BTC",
                One(1),
                [3, 4, 5, 6],
                [at(8), no, no],
            ),
            ("date,timestamp,open,high,low,close", One(1), [2, 3, 4, 5], [no; 3]),
            (
                "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price",
                One(0),
                [1, 2, 3, 4],
                [at(5), at(7), no],
            ),
            (
                "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume",
                One(0),
                [1, 2, 3, 4],
                [at(5), no, at(8)],
            ),
            (
                "Open time,Open,High,Low,Close,Quote asset volume,Number of trades",
                One(0),
                [1, 2, 3, 4],
                [no, no, at(6)],
            ),
            (
                "ticker,volume,open,close,high,low,window_start,transactions",
                One(6),
                [2, 4, 5, 3],
                [at(1), no, at(7)],
            ),
            (
                "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
                Two(2, 3),
                [4, 5, 6, 7],
                [at(8), no, no],
            ),
            ("time;open;high;low;close;Volume;Volume MA", One(0), [1, 2, 3, 4], [at(5), no, no]),
            ("\"Datetime\"\t\"Open\"\t\"High\"\t\"Low\"\t\"Close\"", One(0), [1, 2, 3, 4], [no; 3]),
            ("epoch,open,high,low,close,volume usdt", One(0), [1, 2, 3, 4], [no; 3]),
            ("epoch,open,high,low,close,volume lots", One(0), [1, 2, 3, 4], [at(5), no, no]),
        ] {
            let found = header(line, "BTCUSDT").unwrap();
            assert_eq!(found.time, time, "{line}");
            assert_eq!([found.open, found.high, found.low, found.close], ohlc, "{line}");
            assert_eq!([found.volume, found.vwap, found.trades], more, "{line}");
        }
    }

    #[test]
    fn a_volume_is_that_of_what_the_symbol_begins_with() {
        let line = "ts,open,high,low,close,Volume USD,Volume ETH";
        for symbol in ["ETHUSD", "ETH/USD", "X:ETHUSD", "eth-usd", "ETHUSD_PERP"] {
            assert_eq!(header(line, symbol).unwrap().volume, Some(6), "{symbol}");
        }
        assert_eq!(header(line, "USDETH").unwrap().volume, Some(5));
        assert_eq!(header(line, "OTHER").unwrap().volume, Some(5), "the first");
    }

    #[test]
    fn a_header_that_lacks_a_column_or_has_it_twice_names_it() {
        for (line, words) in [
            ("ts,open,high,low,volume", "no column `close`"),
            ("ts,open,high,low,Adj Close,volume", "no column `close`"),
            ("open,high,low,close", "no column `ts`"),
            ("ts,open,high,low,close,Close", "the column `close` twice"),
            ("ts,open,high,low,close,volume,<VOLUME>", "the column `volume` twice"),
            ("ts,open,high,low,close,volume btc,Volume_BTC", "the column `volume btc` twice"),
            ("", "the file is empty"),
        ] {
            let fault = header(line, "BTCUSDT").unwrap_err();
            assert!(fault.message.contains(words), "{line}: {}", fault.message);
        }
    }
}
