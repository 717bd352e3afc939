//! What was copied: a backup, or a database restored from one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::database::Copied;
use crate::domain::words::{bytes, counted, instant};
use crate::render::schema;

/// A copy that was made and proven.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Its file.
    pub path: &'a Path,
    /// Its size.
    pub bytes: u64,
    /// What is in it.
    pub copied: &'a Copied,
    /// How long that took.
    pub took: Duration,
}

/// Tells of a backup, and of older ones that were deleted for it.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn backup(out: &mut dyn Write, made: &Made<'_>, deleted: &[PathBuf]) -> io::Result<()> {
    writeln!(out, "{}", line(made))?;
    deleted.iter().try_for_each(|old| writeln!(out, "deleted {}", old.display()))
}

/// Tells of a restored database, and what to do next; `is_in_use` when it is the config's own.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn restore(out: &mut dyn Write, made: &Made<'_>, is_in_use: bool) -> io::Result<()> {
    writeln!(out, "{}\n{}", line(made), next(made.path, is_in_use))
}

fn line(made: &Made<'_>) -> String {
    format!(
        "{}: {}, {}, {}, proven, {:.1} s",
        made.path.display(),
        bytes(made.bytes),
        counted(made.copied.rows("bars"), "bar"),
        counted(made.copied.rows("runs"), "run"),
        made.took.as_secs_f64()
    )
}

/// What makes a restored database the one that is used.
fn next(path: &Path, is_in_use: bool) -> String {
    if is_in_use {
        return "next: `mdctl backfill` fetches what has become due since".to_owned();
    }
    let path = path.display();
    format!(
        "next: name it with `--db {path}`, or as [database] path in the config; then `mdctl backfill`"
    )
}

#[derive(Serialize, JsonSchema)]
struct BackupDocument {
    #[serde(flatten)]
    made: MadeJson,
    /// Older backups that were deleted for it.
    deleted: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct RestoreDocument {
    #[serde(flatten)]
    made: MadeJson,
    /// The backup.
    backup: String,
    /// What to do next.
    hint: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Made")]
struct MadeJson {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The new file.
    path: String,
    /// Bytes of the copy.
    bytes: u64,
    /// Bars in it.
    bars: u64,
    /// How long it took, its proof in it.
    seconds: f64,
    /// The schema's version.
    schema_version: i64,
    /// Rows by table; as many were copied as were counted in the copy.
    tables: Vec<TableJson>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Table")]
struct TableJson {
    /// The table.
    name: String,
    /// Its rows.
    rows: u64,
}

impl MadeJson {
    fn of(made: &Made<'_>, now: i64) -> Self {
        let table = |(name, rows): &(String, u64)| TableJson { name: name.clone(), rows: *rows };
        Self {
            schema: crate::render::SCHEMA,
            timestamp: instant(now),
            path: made.path.display().to_string(),
            bytes: made.bytes,
            bars: made.copied.rows("bars"),
            seconds: made.took.as_secs_f64(),
            schema_version: made.copied.schema_version,
            tables: made.copied.tables.iter().map(table).collect(),
        }
    }
}

/// The JSON Schema of a backup.
#[must_use]
pub fn backup_schema() -> Schema {
    schema::of::<BackupDocument>("mdctl db backup --json")
}

/// The JSON Schema of a restored database.
#[must_use]
pub fn restore_schema() -> Schema {
    schema::of::<RestoreDocument>("mdctl db restore --json")
}

/// Tells of a backup as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn backup_json(
    out: &mut dyn Write,
    made: &Made<'_>,
    deleted: &[PathBuf],
    now: i64,
) -> io::Result<()> {
    let deleted = deleted.iter().map(|old| old.display().to_string()).collect();
    crate::render::json(out, &BackupDocument { made: MadeJson::of(made, now), deleted })
}

/// Tells of a restored database as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn restore_json(
    out: &mut dyn Write,
    made: &Made<'_>,
    backup: &Path,
    is_in_use: bool,
    now: i64,
) -> io::Result<()> {
    let document = RestoreDocument {
        made: MadeJson::of(made, now),
        backup: backup.display().to_string(),
        hint: next(made.path, is_in_use),
    };
    crate::render::json(out, &document)
}
