//! What stands around rows that are written one by one: memory does not grow with the range.

use std::io::{self, Write};

use clap::ValueEnum;

use crate::domain::series::SeriesKey;
use crate::domain::words::instant;

use super::bars::Adjusted;

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

/// What rows are called.
pub(super) struct Names<'a> {
    /// The head of the table.
    pub(super) table: &'a str,
    /// The header of the CSV.
    pub(super) csv: &'a str,
    /// The array of the JSON document.
    pub(super) json: &'a str,
}

/// Rows being written.
pub(super) struct Frame<'a> {
    out: &'a mut dyn Write,
    format: Format,
    count: u64,
}

impl<'a> Frame<'a> {
    /// Writes what stands before the rows of a series.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub(super) fn begin(
        out: &'a mut dyn Write,
        format: Format,
        names: &Names<'_>,
        (key, adjusted): (&SeriesKey, Adjusted),
        now: i64,
    ) -> io::Result<Self> {
        match format {
            Format::Table => writeln!(out, "{}", names.table)?,
            Format::Csv => writeln!(out, "{}", names.csv)?,
            Format::Json => {
                let symbol = serde_json::to_string(key.symbol.as_str())?;
                writeln!(
                    out,
                    "{{\"schema\":{},\"timestamp\":\"{}\",\"symbol\":{symbol},\"timeframe\":\"{}\",\"adjusted\":\"{}\",\"{}\":[",
                    super::SCHEMA,
                    instant(now),
                    key.timeframe,
                    adjusted.as_str(),
                    names.json
                )?;
            }
        }
        Ok(Self { out, format, count: 0 })
    }

    /// Writes one row: `write` does, in the form that it is given.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub(super) fn row(
        &mut self,
        write: impl FnOnce(&mut dyn Write, Format) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.format == Format::Json && self.count > 0 {
            writeln!(self.out, ",")?;
        }
        self.count += 1;
        write(self.out, self.format)
    }

    /// Writes what stands behind the rows.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub(super) fn end(self) -> io::Result<()> {
        match self.format {
            Format::Table | Format::Csv => Ok(()),
            Format::Json => writeln!(self.out, "\n],\"count\":{}}}", self.count),
        }
    }
}
