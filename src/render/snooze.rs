//! What `alerts snooze` and `alerts unsnooze` did.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::alert::Snooze;
use crate::domain::words::{instant, span};

use super::schema;

/// What `snooze` or `unsnooze` did.
#[derive(Debug)]
pub struct Told<'a> {
    /// The rule.
    pub rule: &'a str,
    /// The snooze that holds from now on; `None` after `unsnooze`.
    pub snoozed: Option<Snooze>,
    /// The one that held until now; `None` when none did.
    pub previous: Option<Snooze>,
}

/// Writes it for people.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn sentences(out: &mut dyn Write, told: &Told<'_>) -> io::Result<()> {
    let rule = told.rule;
    match (&told.snoozed, &told.previous) {
        (None, None) => writeln!(out, "{rule} is not snoozed"),
        (None, Some(previous)) => writeln!(
            out,
            "{rule} is told again: the snooze {previous} has ended; `mdctl alerts --notify` tells it, if \
             it fires"
        ),
        (Some(snooze), previous) => {
            writeln!(
                out,
                "{rule} is snoozed until {}, for {}: {}; `mdctl alerts unsnooze {rule}` ends it before",
                instant(snooze.until),
                span(snooze.until.saturating_sub(snooze.since)),
                snooze.reason
            )?;
            match previous {
                Some(previous) => writeln!(out, "it replaces the snooze {previous}"),
                None => Ok(()),
            }
        }
    }
}

/// `alerts snooze --json` and `alerts unsnooze --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The rule.
    name: &'a str,
    /// The snooze that holds from now on; null after `unsnooze`.
    snoozed: Option<SnoozeJson<'a>>,
    /// The one that held until now; null when none did.
    previous: Option<SnoozeJson<'a>>,
}

/// A snooze.
#[derive(Debug, Serialize, JsonSchema)]
struct SnoozeJson<'a> {
    /// When it was ordered.
    since: String,
    /// When it ends.
    until: String,
    /// Why.
    reason: &'a str,
    /// Who ordered it.
    who: &'a str,
}

impl<'a> SnoozeJson<'a> {
    fn of(snooze: &'a Snooze) -> Self {
        Self {
            since: instant(snooze.since),
            until: instant(snooze.until),
            reason: &snooze.reason,
            who: &snooze.who,
        }
    }
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl alerts snooze --json")
}

/// Writes it as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, told: &Told<'_>, now: i64) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        name: told.rule,
        snoozed: told.snoozed.as_ref().map(SnoozeJson::of),
        previous: told.previous.as_ref().map(SnoozeJson::of),
    };
    super::json(out, &document)
}
