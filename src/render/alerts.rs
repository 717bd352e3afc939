//! What fires, as a table (the first line is the one that monitoring shows) and as JSON.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::Value;

use crate::domain::alert::Severity;
use crate::domain::time::seconds;
use crate::domain::words::{count, counted, instant, span};
use crate::report::alerts::{Alert, Delivery, Report, Verdict};

use super::schema;
use super::table::{Column, Look, Rows, Tone};

/// Writes the table; `deliveries` are what came of telling.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(
    out: &mut dyn Write,
    report: &Report,
    deliveries: Option<&[Delivery]>,
    look: Look,
    now: i64,
) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SEVERITY"),
        Column::left("ALERT"),
        Column::right("FOR").if_room(),
        Column::right("COUNT").if_room(),
        Column::left("WHAT"),
        Column::left("DO"),
    ];
    writeln!(out, "{}", report.summary())?;
    let mut rows = Rows::new(COLUMNS, look);
    let is_told = |alert: &&Alert| {
        matches!(alert.verdict, Verdict::Firing | Verdict::Pending | Verdict::Unknown)
    };
    let told: Vec<&Alert> = report.alerts.iter().filter(is_told).collect();
    for alert in &told {
        let plain = |text: String| (text, Tone::Plain);
        let held = alert.since.map(|since| span(now.saturating_sub(since)));
        let many = if alert.count == 0 { "-".to_owned() } else { count(alert.count) };
        rows.add_toned([
            state(alert),
            plain(alert.rule.name.clone()),
            plain(held.unwrap_or_else(|| "-".to_owned())),
            plain(many),
            plain(what(alert)),
            plain(alert.hint.clone()),
        ]);
    }
    if !told.is_empty() {
        writeln!(out)?;
        rows.write(out)?;
    }
    writeln!(out)?;
    others(out, report, Verdict::Quiet, "quiet")?;
    deliveries.into_iter().flatten().try_for_each(|delivery| told_whom(out, delivery))
}

pub(super) fn state(alert: &Alert) -> (String, Tone) {
    if alert.is_snoozed() {
        return ("snoozed".to_owned(), Tone::Plain);
    }
    match (alert.verdict, alert.severity) {
        (Verdict::Firing, Some(severity @ Severity::Critical)) => (severity.to_string(), Tone::Bad),
        (Verdict::Firing, Some(severity)) => (severity.to_string(), Tone::Doubtful),
        (Verdict::Unknown, _) => ("unknown".to_owned(), Tone::Doubtful),
        (verdict, _) => (verdict.to_string(), Tone::Plain),
    }
}

fn what(alert: &Alert) -> String {
    let hold = seconds(alert.rule.hold);
    match (alert.verdict, alert.snoozed_until) {
        (_, Some(until)) => format!("{}; snoozed until {}", alert.message, instant(until)),
        (Verdict::Pending, _) => format!("{}; fires after {}", alert.message, span(hold)),
        _ => alert.message.clone(),
    }
}

fn others(out: &mut dyn Write, report: &Report, verdict: Verdict, word: &str) -> io::Result<()> {
    let such = report.alerts.iter().filter(|alert| alert.verdict == verdict);
    let names: Vec<&str> = such.map(|alert| alert.rule.name.as_str()).collect();
    if names.is_empty() { Ok(()) } else { writeln!(out, "{word}: {}", names.join(", ")) }
}

fn told_whom(out: &mut dyn Write, delivery: &Delivery) -> io::Result<()> {
    let Delivery { notifier, changes, taken, error } = delivery;
    for change in &changes[..*taken] {
        writeln!(out, "told {notifier}: {} {}", change.rule, change.kind.as_str())?;
    }
    let Some(error) = error else { return Ok(()) };
    let left = counted((changes.len() - taken) as u64, "change");
    writeln!(out, "could not tell {notifier} of {left}, tried again next time: {error}")
}

/// `alerts --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// `healthy`, `degraded`, `critical` or `unknown`, by the worst that fires and is not snoozed.
    status: &'static str,
    /// All of it in one line.
    summary: String,
    /// Every rule, the worst first.
    alerts: Vec<AlertJson<'a>>,
    /// Those who were to be told something; null without `--notify`.
    notified: Option<Vec<NotifiedJson<'a>>>,
}

/// A rule and how it stands.
#[derive(Debug, Serialize, JsonSchema)]
struct AlertJson<'a> {
    /// The rule.
    name: &'a str,
    /// `warning` or `critical`; null when only what fires can say.
    severity: Option<&'static str>,
    /// Null when it cannot be judged.
    firing: Option<bool>,
    /// `firing`, `pending` (not for long enough), `quiet` or `unknown`.
    state: &'static str,
    /// Since when its test holds, as far as `alerts --notify` has seen it; null when it does not.
    since: Option<String>,
    /// How many series, providers or symbols it is about.
    count: u64,
    /// Some of them, at most 10, the worst first.
    subjects: &'a [String],
    /// The worst value.
    value: &'a Value,
    /// What fires, in words.
    message: &'a str,
    /// The command that mends it, or the next place to look.
    hint: &'a str,
    /// Until when it is kept quiet; null when it is not.
    snoozed_until: Option<String>,
    /// What it looks at: a path into a document.
    field: &'a str,
    /// As in `above 5`.
    test: String,
    /// How long the test must have held.
    for_seconds: u64,
}

/// Somebody who was to be told something.
#[derive(Debug, Serialize, JsonSchema)]
struct NotifiedJson<'a> {
    /// The notifier.
    name: &'a str,
    /// Changes that it was to be told.
    changes: usize,
    /// Those that it took.
    told: usize,
    /// Why not all; null when it took them.
    error: Option<&'a str>,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl alerts --json")
}

/// Writes the document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(
    out: &mut dyn Write,
    report: &Report,
    deliveries: Option<&[Delivery]>,
    now: i64,
) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        status: report.status().as_str(),
        summary: report.summary(),
        alerts: report.alerts.iter().map(AlertJson::of).collect(),
        notified: deliveries.map(|all| all.iter().map(NotifiedJson::of).collect()),
    };
    super::json(out, &document)
}

impl<'a> NotifiedJson<'a> {
    fn of(delivery: &'a Delivery) -> Self {
        Self {
            name: &delivery.notifier,
            changes: delivery.changes.len(),
            told: delivery.taken,
            error: delivery.error.as_deref(),
        }
    }
}

impl<'a> AlertJson<'a> {
    fn of(alert: &'a Alert) -> Self {
        Self {
            name: &alert.rule.name,
            severity: alert.severity.map(Severity::as_str),
            firing: match alert.verdict {
                Verdict::Firing => Some(true),
                Verdict::Quiet | Verdict::Pending => Some(false),
                Verdict::Unknown => None,
            },
            state: alert.verdict.as_str(),
            since: alert.since.map(instant),
            count: alert.count,
            subjects: &alert.subjects,
            value: &alert.value,
            message: &alert.message,
            hint: &alert.hint,
            snoozed_until: alert.snoozed_until.map(instant),
            field: &alert.rule.field,
            test: alert.rule.test.to_string(),
            for_seconds: alert.rule.hold.as_secs(),
        }
    }
}
