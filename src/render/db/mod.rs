//! The database described; what is wrong with it; copies of it, and what was pruned.

use std::io::{self, Write};
use std::path::Path;

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::database::{Info, LastBackup, Vacuum};
use crate::domain::words::{bytes, count, instant, instant_or_dash, span};

use super::schema;
use super::table::{Column, Look, Rows};

pub mod check;
pub mod copy;
pub mod prune;

/// What `db info` shows.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// The file.
    pub path: &'a Path,
    /// What is in it.
    pub info: &'a Info,
    /// The newest backup in the usual folder; `None` without one.
    pub last_backup: Option<LastBackup>,
}

/// Writes sizes and versions as a table, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn info(out: &mut dyn Write, shown: &Shown<'_>, now: i64, look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] =
        &[Column::left("TABLE"), Column::right("ROWS"), Column::right("SIZE")];
    let Info { schema_version, sqlite_version, .. } = shown.info;
    writeln!(out, "{}: schema {schema_version}, SQLite {sqlite_version}", shown.path.display())?;
    for (name, text) in facts(shown, now) {
        writeln!(out, "{name:<8}{text}")?;
    }
    writeln!(out)?;
    let mut rows = Rows::new(COLUMNS, look);
    for table in &shown.info.tables {
        rows.add([table.name.clone(), count(table.rows), bytes(table.bytes)]);
    }
    rows.write(out)
}

/// The lines above the table.
fn facts(shown: &Shown<'_>, now: i64) -> Vec<(&'static str, String)> {
    let info = shown.info;
    let vacuum = match info.room.vacuum {
        Vacuum::None => "; it does not shrink until `mdctl db prune` writes it anew",
        Vacuum::Full | Vacuum::Incremental => "",
    };
    let log = match info.log_bytes {
        0 => String::new(),
        log => format!(", and {} of log beside it", bytes(log)),
    };
    let backup = shown.last_backup.as_ref().map_or_else(
        || "none in the usual folder; `mdctl db backup` makes one".to_owned(),
        |last| {
            let ago = span(now.saturating_sub(last.at));
            format!("{ago} ago, {} ({})", last.path.display(), bytes(last.bytes))
        },
    );
    let each = info.bytes_per_bar().map_or_else(String::new, |each| format!(", {each} B a bar"));
    let stretch = |first, last| format!("{} to {}", instant_or_dash(first), instant_or_dash(last));
    vec![
        (
            "size",
            format!(
                "{}, {} of it free{log}{vacuum}",
                bytes(info.room.bytes),
                bytes(info.room.free_bytes)
            ),
        ),
        (
            "bars",
            match info.bars {
                0 => "none".to_owned(),
                bars => format!(
                    "{}, {}{each}",
                    count(bars),
                    stretch(info.first_bar_ts, info.last_bar_ts)
                ),
            },
        ),
        (
            "runs",
            match info.first_run_at {
                None => "none".to_owned(),
                first => stretch(first, info.last_run_at),
            },
        ),
        ("backup", backup),
    ]
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
    /// Bytes of the write-ahead log beside it.
    log_bytes: u64,
    /// How the file gives back what is free: `incremental` when `mdctl db prune` asks it to, `full` at every
    /// commit, `none` not before it is written anew.
    auto_vacuum: &'static str,
    /// Bars of all series.
    bars: u64,
    /// Bytes of the tables of bars and of features by the number of bars; null without bars.
    bytes_per_bar: Option<u64>,
    /// The time of the earliest bar; null without bars.
    first_bar_at: Option<String>,
    /// The newest stored bar; null without one.
    last_bar_at: Option<String>,
    /// When the earliest run on record began; null without runs.
    first_run_at: Option<String>,
    /// When the last run began; null without one.
    last_run_at: Option<String>,
    /// The newest backup in the folder `backups` beside the file; null without one.
    last_backup: Option<BackupJson>,
    /// Rows and sizes by table.
    tables: Vec<TableJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LastBackup")]
struct BackupJson {
    /// When it was begun.
    at: String,
    /// Where it is.
    path: String,
    /// Its bytes.
    bytes: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Table")]
struct TableJson<'a> {
    /// The table.
    name: &'a str,
    /// Rows.
    rows: u64,
    /// Bytes of its pages, its indexes' among them.
    bytes: u64,
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
pub fn info_json(out: &mut dyn Write, shown: &Shown<'_>, now: i64) -> io::Result<()> {
    let info = shown.info;
    let document = InfoDocument {
        schema: super::SCHEMA,
        timestamp: instant(now),
        path: shown.path.display().to_string(),
        schema_version: info.schema_version,
        sqlite_version: &info.sqlite_version,
        bytes: info.room.bytes,
        free_bytes: info.room.free_bytes,
        log_bytes: info.log_bytes,
        auto_vacuum: info.room.vacuum.as_str(),
        bars: info.bars,
        bytes_per_bar: info.bytes_per_bar(),
        first_bar_at: info.first_bar_ts.map(instant),
        last_bar_at: info.last_bar_ts.map(instant),
        first_run_at: info.first_run_at.map(instant),
        last_run_at: info.last_run_at.map(instant),
        last_backup: shown.last_backup.as_ref().map(|last| BackupJson {
            at: instant(last.at),
            path: last.path.display().to_string(),
            bytes: last.bytes,
        }),
        tables: info
            .tables
            .iter()
            .map(|table| TableJson { name: &table.name, rows: table.rows, bytes: table.bytes })
            .collect(),
    };
    super::json(out, &document)
}
