//! What `init` wrote.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::words::instant;

use super::schema;

/// The database of a new config.
#[derive(Debug)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was there before.
    pub was_there: bool,
}

/// Says it, and what comes next; `flags` name config and database where they are not the usual ones.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn sentences(
    out: &mut dyn Write,
    config: &Path,
    database: &Made,
    flags: &str,
) -> io::Result<()> {
    let (config, path) = (config.display(), database.path.display());
    if database.was_there {
        writeln!(out, "wrote {config}; the database {path} was there, and stays as it is")?;
    } else {
        writeln!(out, "wrote {config} and {path}")?;
    }
    writeln!(out, "next: mdctl doctor{flags}, then mdctl backfill{flags}, then mdctl health{flags}")
}

/// Says it of a system install, and what comes next.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn system_sentences(
    out: &mut dyn Write,
    config: &Path,
    credentials: &Path,
    database: &Path,
) -> io::Result<()> {
    writeln!(out, "wrote {}", config.display())?;
    writeln!(
        out,
        "keys go into {}; units install, or the first run, makes {}",
        credentials.display(),
        database.display()
    )?;
    writeln!(
        out,
        "next: `sudo mdctl units install` (the user mdctl, its folders, the timers), then mdctl doctor"
    )
}

#[derive(Serialize, JsonSchema)]
struct Document {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The config file that was written.
    config: String,
    /// The database; with --system `mdctl units install` makes it, or the first run.
    database: String,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document>("mdctl init --json")
}

/// Says it as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, config: &Path, database: &Path, now: i64) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        config: config.display().to_string(),
        database: database.display().to_string(),
    };
    super::json(out, &document)
}
