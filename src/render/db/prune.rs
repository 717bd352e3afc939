//! What was pruned, and what that left of the file.

use std::collections::BTreeMap;
use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::words::{bytes, counted, instant};
use crate::render::schema as json_schema;

/// What became of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// Bytes of the file before.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// Bytes in it that are free to be used again.
    pub free: u64,
    /// What else is to be said of it.
    pub note: Option<String>,
}

/// Says what went.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn text(out: &mut dyn Write, gone: &[(&'static str, u64)], shrunk: &Shrunk) -> io::Result<()> {
    for (table, rows) in gone {
        writeln!(out, "{table}: {} deleted", counted(*rows, "row"))?;
    }
    let free = match shrunk.free {
        0 => String::new(),
        free => format!(", {} of it free", bytes(free)),
    };
    writeln!(out, "file: {} before, {} after{free}", bytes(shrunk.before), bytes(shrunk.after))?;
    shrunk.note.iter().try_for_each(|note| writeln!(out, "{note}"))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PrunedDocument")]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// Rows that went, by table.
    deleted: BTreeMap<&'static str, u64>,
    /// Bytes of the file before.
    bytes_before: u64,
    /// Bytes of the file after.
    bytes_after: u64,
    /// Bytes in it that are free to be used again.
    free_bytes: u64,
    /// What else is to be said of the file; null when nothing is.
    note: Option<&'a str>,
}

/// The JSON Schema of what went.
#[must_use]
pub fn schema() -> Schema {
    json_schema::of::<Document<'static>>("mdctl db prune --json")
}

/// Likewise, as JSON.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(
    out: &mut dyn Write,
    gone: &[(&'static str, u64)],
    shrunk: &Shrunk,
    now: i64,
) -> io::Result<()> {
    let document = Document {
        schema: crate::render::SCHEMA,
        timestamp: instant(now),
        deleted: gone.iter().copied().collect(),
        bytes_before: shrunk.before,
        bytes_after: shrunk.after,
        free_bytes: shrunk.free,
        note: shrunk.note.as_deref(),
    };
    crate::render::json(out, &document)
}
