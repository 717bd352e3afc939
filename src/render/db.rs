//! The database described, and what is wrong with it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::fact::Info;

use super::schema;
use super::table::{Column, Look, Rows};
use crate::domain::words::{bytes, count, counted, instant};

/// Writes sizes and versions as a table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn info(out: &mut dyn Write, path: &Path, info: &Info, look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[Column::left("TABLE"), Column::right("ROWS")];
    writeln!(
        out,
        "{}: {}, {} of it free; schema {}, SQLite {}\n",
        path.display(),
        bytes(info.bytes),
        bytes(info.free_bytes),
        info.schema_version,
        info.sqlite_version
    )?;
    let mut rows = Rows::new(COLUMNS, look);
    for (name, number) in &info.tables {
        rows.add([name.clone(), count(*number)]);
    }
    rows.write(out)
}

#[derive(Serialize, JsonSchema)]
struct InfoDocument<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The file.
    path: String,
    /// The schema's version.
    schema_version: i64,
    /// SQLite's version.
    sqlite_version: &'a str,
    /// Bytes of the file.
    bytes: u64,
    /// Bytes in it that are free to be used again.
    free_bytes: u64,
    /// Rows by table.
    tables: Vec<TableJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Table")]
struct TableJson<'a> {
    /// The table.
    name: &'a str,
    /// Rows.
    rows: u64,
}

/// The JSON Schema of sizes and versions.
#[must_use]
pub fn info_schema() -> Schema {
    schema::of::<InfoDocument<'static>>("mdctl db info --json")
}

/// Writes sizes and versions as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn info_json(out: &mut dyn Write, path: &Path, info: &Info, now: i64) -> io::Result<()> {
    let document = InfoDocument {
        schema: super::SCHEMA,
        timestamp: instant(now),
        path: path.display().to_string(),
        schema_version: info.schema_version,
        sqlite_version: &info.sqlite_version,
        bytes: info.bytes,
        free_bytes: info.free_bytes,
        tables: info.tables.iter().map(|(name, rows)| TableJson { name, rows: *rows }).collect(),
    };
    super::json(out, &document)
}

/// Writes what is wrong, a line each.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn findings(out: &mut dyn Write, path: &Path, findings: &[String]) -> io::Result<()> {
    if findings.is_empty() {
        return writeln!(out, "{}: sound", path.display());
    }
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    Ok(())
}

#[derive(Serialize, JsonSchema)]
struct FindingsDocument<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The file.
    path: String,
    /// Whether nothing is wrong.
    sound: bool,
    /// What is wrong, in words.
    findings: &'a [String],
}

/// The JSON Schema of what is wrong.
#[must_use]
pub fn findings_schema() -> Schema {
    schema::of::<FindingsDocument<'static>>("mdctl db check --json")
}

/// Likewise, as JSON.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn findings_json(
    out: &mut dyn Write,
    path: &Path,
    findings: &[String],
    now: i64,
) -> io::Result<()> {
    let document = FindingsDocument {
        schema: super::SCHEMA,
        timestamp: instant(now),
        path: path.display().to_string(),
        sound: findings.is_empty(),
        findings,
    };
    super::json(out, &document)
}

/// Says how many rows went.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn pruned(out: &mut dyn Write, gone: &[(&'static str, u64)]) -> io::Result<()> {
    for (table, rows) in gone {
        writeln!(out, "{table}: {} deleted", counted(*rows, "row"))?;
    }
    Ok(())
}

#[derive(Serialize, JsonSchema)]
struct PrunedDocument {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// Rows that went, by table.
    deleted: BTreeMap<&'static str, u64>,
}

/// The JSON Schema of how many rows went.
#[must_use]
pub fn pruned_schema() -> Schema {
    schema::of::<PrunedDocument>("mdctl db prune --json")
}

/// Likewise, as JSON.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn pruned_json(out: &mut dyn Write, gone: &[(&'static str, u64)], now: i64) -> io::Result<()> {
    let deleted = gone.iter().copied().collect();
    super::json(out, &PrunedDocument { schema: super::SCHEMA, timestamp: instant(now), deleted })
}
