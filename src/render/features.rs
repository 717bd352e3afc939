//! Stored features, one row at a time: memory does not grow with the range.

use std::io::{self, Write};

use crate::domain::feature::{NAMES, Row};
use crate::domain::series::SeriesKey;
use crate::domain::words::instant;

use super::bars::{Adjusted, Format, to_be_read};

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
        (key, adjusted): (&SeriesKey, Adjusted),
        now: i64,
    ) -> io::Result<Self> {
        match format {
            Format::Table => {
                write!(out, "{:<20} {:>14}", "TIME", "CLOSE")?;
                for name in NAMES {
                    write!(out, " {:>WIDTH$}", name.to_uppercase())?;
                }
                writeln!(out)?;
            }
            Format::Csv => writeln!(out, "time,ts,close,{}", NAMES.join(","))?,
            Format::Json => {
                let symbol = serde_json::to_string(key.symbol.as_str())?;
                writeln!(
                    out,
                    "{{\"schema\":{},\"timestamp\":\"{}\",\"symbol\":{symbol},\"timeframe\":\"{}\",\"adjusted\":\"{}\",\"features\":[",
                    super::SCHEMA,
                    instant(now),
                    key.timeframe,
                    adjusted.as_str()
                )?;
            }
        }
        Ok(Self { out, format, count: 0 })
    }

    /// Writes the features of a bar, beside its close.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn add(&mut self, row: &Row, close: f64) -> io::Result<()> {
        let time = instant(row.ts);
        let values = (0..NAMES.len()).map(|index| row.value(index));
        match self.format {
            Format::Table => {
                write!(self.out, "{time:<20} {:>14}", to_be_read(close))?;
                for value in values {
                    let text = value.map_or_else(|| "-".to_owned(), |v| to_be_read(v).to_string());
                    write!(self.out, " {text:>WIDTH$}")?;
                }
                writeln!(self.out)?;
            }
            Format::Csv => {
                write!(self.out, "{time},{},{close}", row.ts)?;
                for value in values {
                    let text = value.map_or_else(String::new, |value| value.to_string());
                    write!(self.out, ",{text}")?;
                }
                writeln!(self.out)?;
            }
            Format::Json => {
                if self.count > 0 {
                    writeln!(self.out, ",")?;
                }
                write!(self.out, "{{\"time\":\"{time}\",\"ts\":{},\"close\":{close}", row.ts)?;
                for (name, value) in NAMES.iter().zip(values) {
                    let text = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
                    write!(self.out, ",\"{name}\":{text}")?;
                }
                write!(self.out, "}}")?;
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

/// Of a column: its name, and ten digits.
const WIDTH: usize = 15;
