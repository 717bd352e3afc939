//! Showing: report values as tables for people and as JSON for machines. No decisions, no arithmetic
//! beyond units; writes to the `Write` that it is given.
//!
//! One file a report holds both of its faces, so that they name the same things.

pub mod actions;
pub mod alerts;
pub mod bars;
pub mod baseline;
pub mod breaker;
pub mod db;
pub mod doctor;
pub mod features;
pub mod gaps;
pub mod health;
pub mod history;
pub mod import;
pub mod init;
pub mod metrics;
pub mod page;
pub mod pause;
pub mod plan;
pub mod progress;
pub mod prometheus;
pub mod quality;
pub mod rows;
pub mod schema;
pub mod slo;
pub mod snooze;
pub mod staleness;
pub mod status;
pub mod symbols;
pub mod table;
pub mod units;
pub mod watch;

use std::io::{self, Write};

use serde::Serialize;

/// The version of the JSON documents; fields are only ever added within it.
pub const SCHEMA: u32 = 1;

/// Writes one JSON document, indented, with a line's end.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document).map_err(io::Error::from)?;
    writeln!(out)
}
