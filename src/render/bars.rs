//! Stored bars, one at a time: memory does not grow with the range.

use std::io::{self, Write};

use clap::ValueEnum;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::action::{Factors, scaled};
use crate::domain::bar::Bar;
use crate::domain::series::SeriesKey;

use crate::domain::words::instant;

use super::rows::{Format, Frame, Names};
use super::schema;

/// For what prices and volumes are adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Adjusted {
    /// Nothing: as they are stored.
    None,
    /// Splits.
    Splits,
    /// Splits and cash dividends; volumes for splits alone.
    All,
}

impl Adjusted {
    /// Its word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Splits => "splits",
            Self::All => "all",
        }
    }

    /// `bar`, adjusted by the factors of its series.
    #[must_use]
    pub fn of(self, bar: &Bar, factors: &Factors) -> Bar {
        let (split, total) = factors.at(bar.ts);
        match self {
            Self::None => *bar,
            Self::Splits => scaled(bar, split),
            Self::All => {
                let volume = bar.volume.map(|volume| volume / split);
                Bar { volume, ..scaled(bar, total) }
            }
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Row {
    /// The start of its window.
    time: String,
    /// The same, epoch seconds UTC.
    ts: i64,
    /// The first price.
    open: f64,
    /// The highest price.
    high: f64,
    /// The lowest price.
    low: f64,
    /// The last price.
    close: f64,
    /// What was traded, in shares or coins; null where the provider has none.
    volume: Option<f64>,
    /// The mean price by volume; null where the provider has none.
    vwap: Option<f64>,
    /// How many trades; null where the provider has none.
    trades: Option<i64>,
}

/// What is written in pieces, whole.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is written in pieces; this is their shape")]
struct Document {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The symbol.
    symbol: String,
    /// The timeframe.
    timeframe: String,
    /// `none`, `splits` or `all`: what prices and volumes are adjusted for.
    adjusted: String,
    /// A row a bar, the oldest first.
    bars: Vec<Row>,
    /// How many bars are listed.
    count: u64,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document>("mdctl bars SYMBOL --json")
}

/// Bars being written.
pub struct Rows<'a> {
    frame: Frame<'a>,
    adjusted: Adjusted,
}

impl<'a> Rows<'a> {
    /// Writes what stands before the bars.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn begin(
        out: &'a mut dyn Write,
        format: Format,
        (key, adjusted): (&SeriesKey, Adjusted),
        now: i64,
    ) -> io::Result<Self> {
        let table = format!(
            "{:<20} {:>14} {:>14} {:>14} {:>14} {:>18} {:>10}",
            "TIME", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "TRADES"
        );
        let csv = "time,ts,open,high,low,close,volume,vwap,trades";
        let names = Names { table: &table, csv, json: "bars" };
        Ok(Self { frame: Frame::begin(out, format, &names, (key, adjusted), now)?, adjusted })
    }

    /// Writes one bar.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn add(&mut self, bar: &Bar) -> io::Result<()> {
        let Bar { ts, open, high, low, close, volume, vwap, trades } = *bar;
        let time = instant(ts);
        let or = |value: Option<f64>, none: &str| {
            value.map_or_else(|| none.to_owned(), |value| value.to_string())
        };
        let adjusted = self.adjusted;
        let read = |value: f64| match adjusted {
            Adjusted::None => value.to_string(),
            Adjusted::Splits | Adjusted::All => to_be_read(value).to_string(),
        };
        let trades_or =
            |none: &str| trades.map_or_else(|| none.to_owned(), |trades| trades.to_string());
        self.frame.row(|out, format| match format {
            Format::Table => writeln!(
                out,
                "{time:<20} {:>14} {:>14} {:>14} {:>14} {:>18} {:>10}",
                read(open),
                read(high),
                read(low),
                read(close),
                volume.map_or_else(|| "-".to_owned(), read),
                trades_or("-")
            ),
            Format::Csv => writeln!(
                out,
                "{time},{ts},{open},{high},{low},{close},{},{},{}",
                or(volume, ""),
                or(vwap, ""),
                trades_or("")
            ),
            Format::Json => {
                let row = Row { time, ts, open, high, low, close, volume, vwap, trades };
                serde_json::to_writer(out, &row).map_err(io::Error::from)
            }
        })
    }

    /// Writes what stands behind the bars.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn end(self) -> io::Result<()> {
        self.frame.end()
    }
}

/// A number for the eye: what multiplying leaves behind its tenth digit tells nothing.
pub(super) fn to_be_read(value: f64) -> f64 {
    if value.fract() == 0.0 { value } else { format!("{value:.9e}").parse().unwrap_or(value) }
}
