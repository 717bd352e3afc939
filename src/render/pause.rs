//! What `pause` and `resume` did, and the pause as other documents show it.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::control::Pause;
use crate::domain::words::{instant, span};

use super::schema;

/// What `pause` or `resume` did.
#[derive(Debug)]
pub struct Told {
    /// The pause that holds from now on; `None` after `resume`.
    pub paused: Option<Pause>,
    /// The one that held until now; `None` when none did.
    pub previous: Option<Pause>,
    /// Whether a run is at work, which goes on to its end.
    pub running: bool,
}

/// Writes it for people.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn sentences(out: &mut dyn Write, told: &Told) -> io::Result<()> {
    match (&told.paused, &told.previous) {
        (None, None) => return writeln!(out, "nothing is paused"),
        (None, Some(previous)) => {
            return writeln!(out, "resumed: the pause {previous} has ended");
        }
        (Some(pause), previous) => {
            writeln!(
                out,
                "paused until {}, for {}: {}; `mdctl resume` ends it before",
                instant(pause.until),
                span(pause.until.saturating_sub(pause.since)),
                pause.reason
            )?;
            if let Some(previous) = previous {
                writeln!(out, "it replaces the pause {previous}")?;
            }
        }
    }
    if told.running {
        writeln!(out, "a run is at work and goes on to its end; those after it are skipped")?;
    }
    Ok(())
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The pause that holds from now on; null after `resume`.
    paused: Option<PauseJson<'a>>,
    /// The one that held until now; null when none did.
    previous: Option<PauseJson<'a>>,
    /// Whether a run is at work, which a pause does not stop.
    running: bool,
}

/// A pause with who ordered it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Pause")]
struct PauseJson<'a> {
    #[serde(flatten)]
    pause: PausedJson<'a>,
    /// Who ordered it.
    who: &'a str,
}

impl<'a> PauseJson<'a> {
    fn of(pause: &'a Pause) -> Self {
        Self { pause: PausedJson::of(pause), who: &pause.who }
    }
}

/// A pause in other documents.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Paused")]
pub(super) struct PausedJson<'a> {
    /// Since when.
    since: String,
    /// When it ends.
    until: String,
    /// Why.
    reason: &'a str,
}

impl<'a> PausedJson<'a> {
    pub(super) fn of(pause: &'a Pause) -> Self {
        Self { since: instant(pause.since), until: instant(pause.until), reason: &pause.reason }
    }
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl pause --json")
}

/// Writes it as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, told: &Told, now: i64) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        paused: told.paused.as_ref().map(PauseJson::of),
        previous: told.previous.as_ref().map(PauseJson::of),
        running: told.running,
    };
    super::json(out, &document)
}
