//! Stored features, one row at a time: memory does not grow with the range.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use crate::domain::feature::{NAMES, Row};
use crate::domain::series::SeriesKey;
use crate::domain::words::instant;

use super::bars::{Adjusted, to_be_read};
use super::rows::{Format, Frame, Names};
use super::schema;

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
    /// `none`, `splits` or `all`: what the closes are adjusted for. Features are always of prices adjusted for splits.
    adjusted: String,
    /// A row a bar, the oldest first.
    features: Vec<Featured>,
    /// How many bars are listed.
    count: u64,
}

/// A bar's features, each by its name; null while it is not defined.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "likewise")]
#[schemars(transform = add_features)]
struct Featured {
    /// The start of its window.
    time: String,
    /// The same, epoch seconds UTC.
    ts: i64,
    /// The last price.
    close: f64,
}

/// What is said of each feature; what it is stands in [`crate::feature`].
const UNDEFINED: &str = "The feature of that name; null while it is not defined.";

fn add_features(schema: &mut Schema) {
    for name in NAMES {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        if let Some(properties) = properties {
            properties.insert(
                name.to_owned(),
                json!({ "type": ["number", "null"], "description": UNDEFINED }),
            );
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.push(name.into());
        }
    }
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document>("mdctl features SYMBOL --json")
}

/// Features being written.
pub struct Rows<'a>(Frame<'a>);

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
        let columns = NAMES.map(|name| format!(" {:>WIDTH$}", name.to_uppercase())).concat();
        let table = format!("{:<20} {:>14}{columns}", "TIME", "CLOSE");
        let csv = format!("time,ts,close,{}", NAMES.join(","));
        let names = Names { table: &table, csv: &csv, json: "features" };
        Frame::begin(out, format, &names, (key, adjusted), now).map(Self)
    }

    /// Writes the features of a bar, beside its close.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn add(&mut self, row: &Row, close: f64) -> io::Result<()> {
        let time = instant(row.ts);
        let values = (0..NAMES.len()).map(|index| row.value(index));
        self.0.row(|out, format| match format {
            Format::Table => {
                write!(out, "{time:<20} {:>14}", to_be_read(close))?;
                for value in values {
                    let text = value.map_or_else(|| "-".to_owned(), |v| to_be_read(v).to_string());
                    write!(out, " {text:>WIDTH$}")?;
                }
                writeln!(out)
            }
            Format::Csv => {
                write!(out, "{time},{},{close}", row.ts)?;
                for value in values {
                    let text = value.map_or_else(String::new, |value| value.to_string());
                    write!(out, ",{text}")?;
                }
                writeln!(out)
            }
            Format::Json => {
                write!(out, "{{\"time\":\"{time}\",\"ts\":{},\"close\":{close}", row.ts)?;
                for (name, value) in NAMES.iter().zip(values) {
                    let text = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
                    write!(out, ",\"{name}\":{text}")?;
                }
                write!(out, "}}")
            }
        })
    }

    /// Writes what stands behind the rows.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn end(self) -> io::Result<()> {
        self.0.end()
    }
}

/// Of a column: its name, and ten digits.
const WIDTH: usize = 15;
