//! The providers' breakers, as a table and as JSON, and what a reset did.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::provider_state::BreakerStatus;
use crate::domain::words::{count, instant, instant_or_dash};
use crate::report::breaker::BreakerRow;

use super::schema;
use super::table::{Column, Look, Rows, Tone};

/// Writes the table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, rows: &[BreakerRow], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("PROVIDER"),
        Column::left("STATE"),
        Column::right("RATE"),
        Column::right("FAILED").if_room(),
        Column::right("CALLS").if_room(),
        Column::left("OPENED").if_room(),
        Column::left("RETRY"),
        Column::right("AT ONCE").if_room(),
        Column::left("HELD"),
        Column::left("LAST FAILURE"),
    ];
    let mut table = Rows::new(COLUMNS, look);
    for row in rows {
        let plain = |text: String| (text, Tone::Plain);
        table.add_toned([
            plain(row.name.clone()),
            (row.status.to_string(), tone(row.status)),
            plain(row.failure_rate.map_or_else(dash, |rate| format!("{:.0} %", rate * 100.0))),
            plain(count(row.failures)),
            plain(count(row.failures + row.successes)),
            plain(instant_or_dash(row.opened_at)),
            plain(instant_or_dash(row.retry_at)),
            plain(row.concurrency.map_or_else(dash, |cut| cut.to_string())),
            plain(words(row.held.as_ref())),
            plain(words(row.last_failure.as_ref())),
        ]);
    }
    table.write(out)
}

pub(super) const fn tone(status: BreakerStatus) -> Tone {
    match status {
        BreakerStatus::Closed => Tone::Good,
        BreakerStatus::HalfOpen => Tone::Doubtful,
        BreakerStatus::Open => Tone::Bad,
    }
}

fn dash() -> String {
    "-".to_owned()
}

/// An instant and what is said of it.
fn words(said: Option<&(i64, String)>) -> String {
    said.map_or_else(dash, |(at, words)| format!("{} {words}", instant(*at)))
}

/// Writes a line for each provider that is down or held; nothing when none is.
///
/// # Errors
///
/// When `out` cannot be written.
pub(super) fn troubles(out: &mut dyn Write, rows: &[BreakerRow]) -> io::Result<()> {
    for row in rows {
        for line in [row.down(), row.waits()].into_iter().flatten() {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// A provider in every document.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Breaker")]
pub(super) struct BreakerJson<'a> {
    /// The provider's name in the config.
    name: &'a str,
    /// Whether requests pass: `closed` lets them, `open` does not, `half_open` lets a few.
    state: &'static str,
    /// The share of the last calls that failed, 0..1; null when none is remembered.
    failure_rate: Option<f64>,
    /// How many of the last calls failed.
    failure_count: u64,
    /// How many of the last calls went well.
    success_count: u64,
    /// When a call failed last; null when none is remembered.
    last_failure_at: Option<String>,
    /// Since when it is open; null when it is closed.
    opened_at: Option<String>,
    /// From when on probes pass; null when it is closed.
    retry_at: Option<String>,
}

impl<'a> BreakerJson<'a> {
    pub(super) fn of(row: &'a BreakerRow) -> Self {
        Self {
            name: &row.name,
            state: row.status.as_str(),
            failure_rate: row.failure_rate,
            failure_count: row.failures,
            success_count: row.successes,
            last_failure_at: row.last_failure.as_ref().map(|(at, _)| instant(*at)),
            opened_at: row.opened_at.map(instant),
            retry_at: row.retry_at.map(instant),
        }
    }
}

/// A provider in the list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Listed")]
struct ListedJson<'a> {
    #[serde(flatten)]
    breaker: BreakerJson<'a>,
    /// How it failed; null likewise.
    last_failure: Option<&'a str>,
    /// Until when it is not asked at its own word; null when it may be.
    held_until: Option<String>,
    /// What it said.
    held_reason: Option<&'a str>,
    /// Requests at once while that is cut; null when it is not.
    concurrency: Option<u32>,
}

impl<'a> ListedJson<'a> {
    fn of(row: &'a BreakerRow) -> Self {
        Self {
            breaker: BreakerJson::of(row),
            last_failure: row.last_failure.as_ref().map(|(_, words)| words.as_str()),
            held_until: row.held.as_ref().map(|(until, _)| instant(*until)),
            held_reason: row.held.as_ref().map(|(_, reason)| reason.as_str()),
            concurrency: row.concurrency,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The providers that are spoken to over HTTP.
    breakers: Vec<ListedJson<'a>>,
}

/// The JSON Schema of the list.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl breaker list --json")
}

/// Writes the list as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, rows: &[BreakerRow], now: i64) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        breakers: rows.iter().map(ListedJson::of).collect(),
    };
    super::json(out, &document)
}

/// Says which providers were reset.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn reset(out: &mut dyn Write, names: &[String]) -> io::Result<()> {
    if names.is_empty() {
        return writeln!(out, "nothing to reset: no breaker is open, and no provider is held");
    }
    writeln!(out, "reset {}: the next run asks as usual", names.join(", "))
}

#[derive(Serialize, JsonSchema)]
struct ResetDocument<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The providers whose breakers were not closed, and now are.
    reset: &'a [String],
}

/// The JSON Schema of what was reset.
#[must_use]
pub fn reset_schema() -> Schema {
    schema::of::<ResetDocument<'static>>("mdctl breaker reset --json")
}

/// Likewise, as JSON.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn reset_json(out: &mut dyn Write, names: &[String], now: i64) -> io::Result<()> {
    let document = ResetDocument { schema: super::SCHEMA, timestamp: instant(now), reset: names };
    super::json(out, &document)
}
