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
mod object;
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

use object::Object;

/// The version of the JSON documents; fields are only ever added within it.
pub const SCHEMA: u32 = 1;

/// Writes one JSON document, indented, with a line's end.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    // Every word of it is a write of its own: they are gathered before they go to one that is found at run time.
    let mut out = io::BufWriter::with_capacity(CHUNK, out);
    serde_json::to_writer_pretty(&mut out, document).map_err(io::Error::from)?;
    writeln!(out)?;
    out.flush()
}

/// Bytes that are gathered before they are written.
const CHUNK: usize = 1 << 16;

/// Writes one JSON document, indented, whose last field is a list: `frame` is it with an empty one, and `row`
/// writes each of `rows` as serde would. That is for lists of a row a series, where serde takes longer than
/// all that is read and judged for them.
fn json_of_rows<T>(
    out: &mut dyn Write,
    frame: &impl Serialize,
    rows: &[T],
    row: impl Fn(&T, &mut Object<'_>),
) -> io::Result<()> {
    let frame = serde_json::to_string_pretty(frame).map_err(io::Error::from)?;
    let Some((head, tail)) = frame.rsplit_once("[]").filter(|_| !rows.is_empty()) else {
        return writeln!(out, "{frame}");
    };
    let mut text = format!("{head}[");
    for (index, one) in rows.iter().enumerate() {
        text.push_str(if index == 0 { "\n    " } else { ",\n    " });
        let mut object = Object::begin(&mut text);
        row(one, &mut object);
        object.end();
        if text.len() > CHUNK {
            out.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    text.push_str("\n  ]");
    text.push_str(tail);
    text.push('\n');
    out.write_all(text.as_bytes())
}
