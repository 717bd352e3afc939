//! Missing bars with their reasons, as a table and as JSON.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::gap::GapReason;
use crate::report::gaps::GapState;

use super::schema;
use super::table::{Column, Look, Rows, Tone};
use crate::domain::words::{count, counted, instant, instant_or_dash};

/// Writes the table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, gaps: &[GapState], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("TF"),
        Column::left("FROM"),
        Column::left("TO"),
        Column::right("MISSING"),
        Column::left("REASON"),
        Column::right("LOOKED").if_room(),
        Column::left("NEXT LOOK").if_room(),
    ];
    if gaps.is_empty() {
        return writeln!(out, "no gaps");
    }
    let mut rows = Rows::new(COLUMNS, look);
    for GapState { key, gap } in gaps {
        let plain = |text: String| (text, Tone::Plain);
        let tone = match (gap.reason.is_hole(), gap.reason.is_explained()) {
            (false, _) => Tone::Plain,
            (true, true) => Tone::Doubtful,
            (true, false) => Tone::Bad,
        };
        rows.add_toned([
            plain(key.symbol.to_string()),
            plain(key.timeframe.to_string()),
            plain(instant(gap.range.start)),
            plain(instant(gap.range.end)),
            plain(count(gap.missing)),
            (gap.reason.to_string(), tone),
            plain(gap.checked_count.to_string()),
            plain(instant_or_dash(gap.next_check_at)),
        ]);
    }
    rows.write(out)?;
    let holes = gaps.iter().filter(|row| row.gap.reason.is_hole());
    let missing: u64 = holes.map(|row| row.gap.missing).sum();
    let open = gaps.iter().filter(|row| !row.gap.reason.is_explained()).count();
    writeln!(
        out,
        "\n{} missing in holes; {open} of {} gaps unexplained",
        counted(missing, "bar"),
        gaps.len()
    )
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// How many gaps are listed.
    count: usize,
    /// A row a gap, by series and time.
    gaps: Vec<Row<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Row<'a> {
    /// The symbol.
    symbol: &'a str,
    /// The timeframe.
    timeframe: &'a str,
    /// The start of its first bar.
    from: String,
    /// Its end, which is no part of it.
    to: String,
    /// Due bars that are not stored.
    missing: u64,
    /// Why.
    #[schemars(extend("enum" = schema::words(&GapReason::ALL, GapReason::as_str)))]
    reason: &'a str,
    /// When it was first seen.
    first_seen_at: String,
    /// How often it was looked for.
    checked_count: u32,
    /// When it is looked for again; null when it is not.
    next_check_at: Option<String>,
}

impl<'a> Row<'a> {
    fn of(state: &'a GapState) -> Self {
        let GapState { key, gap } = state;
        Self {
            symbol: key.symbol.as_str(),
            timeframe: key.timeframe.as_str(),
            from: instant(gap.range.start),
            to: instant(gap.range.end),
            missing: gap.missing,
            reason: gap.reason.as_str(),
            first_seen_at: instant(gap.first_seen_at),
            checked_count: gap.checked_count,
            next_check_at: gap.next_check_at.map(instant),
        }
    }
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl gaps --json")
}

/// Writes the JSON document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, gaps: &[GapState], now: i64) -> io::Result<()> {
    let gaps: Vec<Row<'_>> = gaps.iter().map(Row::of).collect();
    let document =
        Document { schema: super::SCHEMA, timestamp: instant(now), count: gaps.len(), gaps };
    super::json(out, &document)
}
