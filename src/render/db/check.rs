//! What is wrong with the database, each finding with what mends it.

use std::io::{self, Write};
use std::path::Path;

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::database::{Flaw, Mend};
use crate::domain::words::instant;

use crate::render::schema as json_schema;

/// Writes what is wrong, and what mends it.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn text(out: &mut dyn Write, path: &Path, flaws: &[Flaw]) -> io::Result<()> {
    if flaws.is_empty() {
        return writeln!(out, "{}: sound", path.display());
    }
    for flaw in flaws {
        writeln!(out, "{}\n  mend: {}", sentence(flaw), hint(flaw, path))?;
    }
    Ok(())
}

/// What is wrong, and one place where.
fn sentence(flaw: &Flaw) -> String {
    match &flaw.subject {
        Some(subject) if flaw.count > 1 => format!("{}, {subject} among them", flaw.message),
        Some(subject) => format!("{}: {subject}", flaw.message),
        None => flaw.message.clone(),
    }
}

/// What to do about it.
fn hint(flaw: &Flaw, path: &Path) -> String {
    match flaw.mend {
        Mend::Words(words) => words.to_owned(),
        Mend::Sql(sql) => {
            let path = path.display().to_string().replace('\'', r"'\''");
            format!("after `mdctl db backup`, with no run at work: sqlite3 '{path}' \"{sql}\"")
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FindingsDocument")]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The file.
    path: String,
    /// Whether nothing is wrong.
    sound: bool,
    /// What is wrong, a sentence each.
    findings: Vec<String>,
    /// The same findings, in the same order, by their parts.
    details: Vec<Detail<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Detail<'a> {
    /// What it is, as a word.
    code: &'a str,
    /// How many rows it is about.
    count: u64,
    /// What is wrong.
    message: &'a str,
    /// One of the rows; null where the message names it.
    subject: Option<&'a str>,
    /// What mends it.
    hint: String,
}

/// The JSON Schema of what is wrong.
#[must_use]
pub fn schema() -> Schema {
    json_schema::of::<Document<'static>>("mdctl db check --json")
}

/// Likewise, as JSON.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, path: &Path, flaws: &[Flaw], now: i64) -> io::Result<()> {
    let document = Document {
        schema: crate::render::SCHEMA,
        timestamp: instant(now),
        path: path.display().to_string(),
        sound: flaws.is_empty(),
        findings: flaws.iter().map(sentence).collect(),
        details: flaws.iter().map(|flaw| detail(flaw, path)).collect(),
    };
    crate::render::json(out, &document)
}

fn detail<'a>(flaw: &'a Flaw, path: &Path) -> Detail<'a> {
    let Flaw { code, count, message, subject, .. } = flaw;
    let (subject, hint) = (subject.as_deref(), hint(flaw, path));
    Detail { code, count: *count, message, subject, hint }
}
