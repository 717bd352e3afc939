//! Missing bars with their reasons, as a table and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::report::gaps::GapState;

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

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    timestamp: String,
    count: usize,
    gaps: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    symbol: &'a str,
    timeframe: &'a str,
    from: String,
    to: String,
    missing: u64,
    reason: &'a str,
    first_seen_at: String,
    checked_count: u32,
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
