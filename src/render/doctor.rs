//! What an examination found, a line a check with its remedy below it, and as JSON.

use std::io::{self, Write};
use std::path::Path;

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::words::instant;
use crate::report::doctor::{Examination, Finding, State};

use super::schema;
use super::table::{Look, Tone, painted};

/// The marks, and what their colours say besides.
const fn mark(state: State) -> (&'static str, Tone) {
    match state {
        State::Ok => ("ok", Tone::Good),
        State::Skipped => ("skipped", Tone::Plain),
        State::Warning => ("WARNING", Tone::Doubtful),
        State::Critical => ("CRITICAL", Tone::Bad),
    }
}

/// Characters of the widest mark.
const WIDTH: usize = 8;

/// Writes the checks in their order, and the verdict last. Commands stand on lines of their own, so that
/// they can be copied however narrow the terminal is.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn lines(out: &mut dyn Write, examination: &Examination, look: Look) -> io::Result<()> {
    for finding in &examination.findings {
        let (mark, tone) = mark(finding.state);
        let blanks = " ".repeat(WIDTH.saturating_sub(mark.len()));
        let mark = if look.colour { painted(mark, tone) } else { mark.to_owned() };
        let mut lines = told(finding).lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
        writeln!(out, "{mark}{blanks}  {}", lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(out, "{:WIDTH$}  {line}", "")?;
        }
        if let Some(remedy) = &finding.remedy {
            writeln!(out, "{:WIDTH$}  do: {remedy}", "")?;
        }
    }
    writeln!(out, "\n{}", summary(examination))
}

/// The check, what it looked at, and what it found; what is named once is not named again.
fn told(finding: &Finding) -> String {
    let Finding { code, subject, message, .. } = finding;
    if subject.is_empty() || subject == code || message.starts_with(subject.as_str()) {
        format!("{code}: {message}")
    } else {
        format!("{code} {subject}: {message}")
    }
}

/// The verdict in one line.
fn summary(examination: &Examination) -> String {
    let word = match examination.status() {
        State::Ok | State::Skipped => "OK",
        State::Warning => "WARNING",
        State::Critical => "CRITICAL",
    };
    let counted = |state: State| {
        let (count, word) = (examination.count(state), state.as_str());
        (count > 0).then(|| format!("{count} {word}"))
    };
    let counts: Vec<String> = State::ALL.into_iter().rev().filter_map(counted).collect();
    format!("{word} - {}", counts.join(", "))
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The worst that was found.
    #[schemars(extend("enum" = ["ok", "warning", "critical"]))]
    status: &'a str,
    /// The verdict in one line.
    summary: String,
    /// What the process ends with: 0, 1, 2, or 78 when the config cannot be followed.
    exit_code: u8,
    /// The config file; null when there is none.
    config: Option<String>,
    /// Every check, in the order in which they build on each other.
    findings: Vec<FindingJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct FindingJson<'a> {
    /// The check's stable name.
    code: &'a str,
    /// What was looked at: a file, a provider, a notifier.
    subject: &'a str,
    /// How it stands; `skipped` is what was not looked at.
    #[schemars(extend("enum" = schema::words(&State::ALL, State::as_str)))]
    state: &'a str,
    /// What was found.
    message: &'a str,
    /// The command that mends it, or the next place to look; null when nothing is to be done.
    remedy: Option<&'a str>,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl doctor --json")
}

/// Writes what was found as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(
    out: &mut dyn Write,
    examination: &Examination,
    config: Option<&Path>,
    now: i64,
) -> io::Result<()> {
    let findings = examination.findings.iter().map(|finding| FindingJson {
        code: finding.code,
        subject: &finding.subject,
        state: finding.state.as_str(),
        message: &finding.message,
        remedy: finding.remedy.as_deref(),
    });
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        status: examination.status().as_str(),
        summary: summary(examination),
        exit_code: examination.exit().code(),
        config: config.map(|path| path.display().to_string()),
        findings: findings.collect(),
    };
    super::json(out, &document)
}
