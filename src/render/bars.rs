//! Stored bars, one at a time: memory does not grow with the range.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::domain::bar::Bar;
use crate::domain::series::SeriesKey;

use crate::domain::words::instant;

/// In what form rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for the eye.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON document.
    Json,
}

#[derive(Serialize)]
struct Row {
    time: String,
    ts: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: Option<f64>,
    vwap: Option<f64>,
    trades: Option<i64>,
}

/// Rows being written.
pub struct Rows<'a> {
    out: &'a mut dyn Write,
    format: Format,
    count: u64,
}

impl<'a> Rows<'a> {
    /// Writes what stands before the rows.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn begin(
        out: &'a mut dyn Write,
        format: Format,
        key: &SeriesKey,
        now: i64,
    ) -> io::Result<Self> {
        match format {
            Format::Table => writeln!(
                out,
                "{:<20} {:>14} {:>14} {:>14} {:>14} {:>18} {:>10}",
                "TIME", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "TRADES"
            )?,
            Format::Csv => writeln!(out, "time,ts,open,high,low,close,volume,vwap,trades")?,
            Format::Json => {
                let symbol = serde_json::to_string(key.symbol.as_str())?;
                writeln!(
                    out,
                    "{{\"schema\":{},\"timestamp\":\"{}\",\"symbol\":{symbol},\"timeframe\":\"{}\",\"bars\":[",
                    super::SCHEMA,
                    instant(now),
                    key.timeframe
                )?;
            }
        }
        Ok(Self { out, format, count: 0 })
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
        let trades_or =
            |none: &str| trades.map_or_else(|| none.to_owned(), |trades| trades.to_string());
        match self.format {
            Format::Table => writeln!(
                self.out,
                "{time:<20} {open:>14} {high:>14} {low:>14} {close:>14} {:>18} {:>10}",
                or(volume, "-"),
                trades_or("-")
            )?,
            Format::Csv => writeln!(
                self.out,
                "{time},{ts},{open},{high},{low},{close},{},{},{}",
                or(volume, ""),
                or(vwap, ""),
                trades_or("")
            )?,
            Format::Json => {
                if self.count > 0 {
                    writeln!(self.out, ",")?;
                }
                let row = Row { time, ts, open, high, low, close, volume, vwap, trades };
                serde_json::to_writer(&mut *self.out, &row).map_err(io::Error::from)?;
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Writes what stands behind the rows.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn end(self) -> io::Result<()> {
        match self.format {
            Format::Table | Format::Csv => Ok(()),
            Format::Json => writeln!(self.out, "\n],\"count\":{}}}", self.count),
        }
    }
}
