//! What was pruned, and what that left of the file.

use std::collections::BTreeMap;
use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::database::BarsGone;
use crate::domain::timeframe::Timeframe;
use crate::domain::words::{bytes, count, counted, instant};
use crate::render::schema as json_schema;

/// What went, and what became of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Bars, by timeframe; of others none were to go.
    pub bars: BTreeMap<Timeframe, BarsGone>,
    /// Rows, by table.
    pub rows: Vec<(&'static str, u64)>,
    /// The file.
    pub file: Shrunk,
}

/// What became of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// Bytes of the file before.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// Bytes in it that are free to be used again.
    pub free: u64,
    /// What else is to be said of it.
    pub note: Option<String>,
}

/// Says what went.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn text(out: &mut dyn Write, gone: &Gone) -> io::Result<()> {
    for (timeframe, gone) in &gone.bars {
        let (bars, series) = (counted(gone.bars, "bar"), count(gone.series));
        writeln!(out, "{timeframe}: {bars} of {series} series deleted")?;
        if gone.kept_for_features > 0 {
            let kept = counted(gone.kept_for_features, "older bar");
            writeln!(
                out,
                "{timeframe}: {kept} kept, of which features of later ones are computed"
            )?;
        }
        if gone.waiting > 0 {
            let waiting = count(gone.waiting);
            writeln!(
                out,
                "{timeframe}: {waiting} series keep theirs until their features are computed: `mdctl backfill`, \
                 then prune again"
            )?;
        }
    }
    for (table, rows) in &gone.rows {
        writeln!(out, "{table}: {} deleted", counted(*rows, "row"))?;
    }
    let file = &gone.file;
    let free = match file.free {
        0 => String::new(),
        free => format!(", {} of it free", bytes(free)),
    };
    writeln!(out, "file: {} before, {} after{free}", bytes(file.before), bytes(file.after))?;
    file.note.iter().try_for_each(|note| writeln!(out, "{note}"))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PrunedDocument")]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// Rows that went, by table.
    deleted: BTreeMap<&'static str, u64>,
    /// Bars that went, by timeframe, of those that `bars` in `[database] retention` names.
    bars: Vec<BarsJson>,
    /// Bytes of the file before.
    bytes_before: u64,
    /// Bytes of the file after.
    bytes_after: u64,
    /// Bytes in it that are free to be used again.
    free_bytes: u64,
    /// What else is to be said of the file; null when nothing is.
    note: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BarsDeleted")]
struct BarsJson {
    /// The timeframe.
    timeframe: &'static str,
    /// Series of which some went.
    series: u64,
    /// Bars that went.
    bars: u64,
    /// Series whose bars stay until the next run has computed their features.
    waiting: u64,
    /// Older bars that stay, as features of later ones are computed of them.
    kept_for_features: u64,
}

/// The JSON Schema of what went.
#[must_use]
pub fn schema() -> Schema {
    json_schema::of::<Document<'static>>("mdctl db prune --json")
}

/// Likewise, as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, gone: &Gone, now: i64) -> io::Result<()> {
    let bars = |(timeframe, gone): (&Timeframe, &BarsGone)| {
        let BarsGone { series, bars, waiting, kept_for_features } = *gone;
        BarsJson { timeframe: timeframe.as_str(), series, bars, waiting, kept_for_features }
    };
    let document = Document {
        schema: crate::render::SCHEMA,
        timestamp: instant(now),
        deleted: gone.rows.iter().copied().collect(),
        bars: gone.bars.iter().map(bars).collect(),
        bytes_before: gone.file.before,
        bytes_after: gone.file.after,
        free_bytes: gone.file.free,
        note: gone.file.note.as_deref(),
    };
    crate::render::json(out, &document)
}
