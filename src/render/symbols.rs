//! The universe, and what an edit of it did.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::series::Symbol;

use super::schema;
use super::table::{Column, Look, Rows};
use crate::domain::words::{counted, instant};

/// A tracked symbol.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed<'a> {
    /// The symbol.
    pub symbol: &'a str,
    /// Its group.
    pub group: &'a str,
    /// Its asset class.
    pub asset_class: &'a str,
    /// Its provider's name in the config.
    pub provider: &'a str,
    /// Its calendar.
    pub calendar: &'a str,
    /// The timeframes that are stored for it.
    pub timeframes: Vec<&'a str>,
}

/// Writes the list as a table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, listed: &[Listed<'_>], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("GROUP"),
        Column::left("CLASS").if_room(),
        Column::left("PROVIDER").if_room(),
        Column::left("CALENDAR").if_room(),
        Column::left("TIMEFRAMES"),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for row in listed {
        let timeframes = row.timeframes.join(" ");
        let cells =
            [row.symbol, row.group, row.asset_class, row.provider, row.calendar, &timeframes];
        rows.add(cells);
    }
    rows.write(out)?;
    writeln!(out, "\n{}", counted(listed.len() as u64, "symbol"))
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// How many symbols are listed.
    count: usize,
    /// A row a symbol.
    symbols: &'a [Listed<'a>],
}

/// The JSON Schema of the list.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl symbols list --json")
}

/// Writes the list as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, listed: &[Listed<'_>], now: i64) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        count: listed.len(),
        symbols: listed,
    };
    super::json(out, &document)
}

/// Says what an edit did.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn edited(
    out: &mut dyn Write,
    what: &str,
    symbols: &[Symbol],
    group: Option<&str>,
) -> io::Result<()> {
    let place = group.map_or_else(String::new, |group| format!(" to {group}"));
    writeln!(out, "{what} {}{place}", counted(symbols.len() as u64, "symbol"))
}

#[derive(Serialize, JsonSchema)]
struct Edited<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// `added`, `removed` or `renamed`.
    done: &'a str,
    /// The group that they went into; null where nothing was added.
    group: Option<&'a str>,
    /// The symbols that it is about.
    symbols: Vec<&'a str>,
}

/// The JSON Schema of what an edit did.
#[must_use]
pub fn edited_schema() -> Schema {
    schema::of::<Edited<'static>>("mdctl symbols add --json")
}

/// Likewise, as JSON.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn edited_json(
    out: &mut dyn Write,
    what: &str,
    symbols: &[Symbol],
    group: Option<&str>,
    now: i64,
) -> io::Result<()> {
    let symbols = symbols.iter().map(|symbol| symbol.as_str()).collect();
    let document =
        Edited { schema: super::SCHEMA, timestamp: instant(now), done: what, group, symbols };
    super::json(out, &document)
}
