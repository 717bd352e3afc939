//! What came from files that were imported, or would come.

use std::collections::BTreeMap;
use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::import::{ImportFact, Preview, Trial};
use crate::domain::words::{count, counted, instant, instant_or_dash};

use super::schema;
use super::table::{Column, Look, Rows, Tone};

/// Writes a row a file.
pub(super) fn rows<'a>(
    out: &mut dyn Write,
    facts: impl Iterator<Item = &'a ImportFact>,
    look: Look,
) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("FILE"),
        Column::left("SYMBOL").if_room(),
        Column::left("TF").if_room(),
        Column::left("FROM").if_room(),
        Column::left("TO").if_room(),
        Column::right("ROWS"),
        Column::right("NEW"),
        Column::right("CHANGED").if_room(),
        Column::right("SAME").if_room(),
        Column::right("KEPT"),
        Column::right("REFUSED"),
        Column::right("LEFT OUT").if_room(),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for fact in facts {
        let plain = |text: String| (text, Tone::Plain);
        let doubtful =
            |number: u64| (count(number), if number > 0 { Tone::Doubtful } else { Tone::Plain });
        rows.add_toned([
            plain(fact.file.clone()),
            plain(fact.key.symbol.to_string()),
            plain(fact.key.timeframe.to_string()),
            plain(instant_or_dash(fact.first_ts)),
            plain(instant_or_dash(fact.last_ts)),
            plain(count(fact.rows)),
            plain(count(fact.inserted)),
            plain(count(fact.updated)),
            plain(count(fact.same())),
            doubtful(fact.kept),
            doubtful(fact.rejected),
            plain(count(fact.dropped)),
        ]);
    }
    rows.write(out)
}

/// Writes why rows were refused, and what is to be known of bars that were left out, if any were: what to do about those that differ from
/// stored ones, and why old ones are not there.
pub(super) fn advice<'a>(
    out: &mut dyn Write,
    facts: impl Iterator<Item = &'a ImportFact> + Clone,
) -> io::Result<()> {
    for fact in facts.clone() {
        for (reason, rows) in fact.refused.reasons() {
            writeln!(out, "{}: {} refused: {reason}", fact.file, counted(rows, "row"))?;
        }
    }
    let (kept, dropped) =
        facts.fold((0, 0), |(kept, dropped), fact| (kept + fact.kept, dropped + fact.dropped));
    let verb = |number: u64, one: &'static str, many: &'static str| {
        if number == 1 { one } else { many }
    };
    if dropped > 0 {
        writeln!(
            out,
            "{} {} left out: older than [database] retention keeps bars, later than --as-of, or of a refused file",
            counted(dropped, "row"),
            verb(dropped, "is", "are")
        )?;
    }
    if kept > 0 {
        writeln!(
            out,
            "{} {} from the stored ones, which stay; if the files are right: --replace",
            counted(kept, "bar"),
            verb(kept, "differs", "differ")
        )?;
    }
    Ok(())
}

/// Writes what would come of an import.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, preview: &Preview, look: Look) -> io::Result<()> {
    let facts = || preview.files.iter().map(|trial| &trial.fact);
    if !preview.files.is_empty() {
        rows(out, facts(), look)?;
        writeln!(out)?;
    }
    for Trial { fact, first_differing } in &preview.files {
        if let Some(ts) = first_differing {
            writeln!(out, "{}: the first bar that differs is that of {}", fact.file, instant(*ts))?;
        }
    }
    for failure in &preview.failures {
        let (symbol, word) = (&failure.series.symbol, failure.word());
        writeln!(out, "{symbol} {word}: {}: {}", failure.kind, failure.message)?;
    }
    advice(out, facts())?;
    writeln!(
        out,
        "{} would be new, {} changed; nothing was written",
        counted(preview.totals.records_inserted, "bar"),
        count(preview.totals.records_updated)
    )
}

/// A file as JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Import")]
pub(super) struct ImportJson<'a> {
    /// The file.
    file: &'a str,
    /// The symbol.
    symbol: &'a str,
    /// The timeframe.
    timeframe: &'a str,
    /// The time of its first row; null where no row has one.
    first_at: Option<String>,
    /// The time of its last row, likewise.
    last_at: Option<String>,
    /// How many rows it has.
    rows: u64,
    /// New bars.
    inserted: u64,
    /// Bars that differed from stored ones and took their place.
    updated: u64,
    /// Bars that differ from stored ones, which stay.
    kept: u64,
    /// Rows that say what is stored already, or what one before them said.
    same: u64,
    /// Rows that cannot be true.
    rejected: u64,
    /// Rows that are older than the bars that `[database] retention` keeps, or later than --as-of; of a refused file
    /// all that could be true.
    dropped: u64,
    /// How many rows are refused, by reason.
    reasons: BTreeMap<&'static str, u64>,
}

impl<'a> ImportJson<'a> {
    pub(super) fn of(fact: &'a ImportFact) -> Self {
        Self {
            file: &fact.file,
            symbol: fact.key.symbol.as_str(),
            timeframe: fact.key.timeframe.as_str(),
            first_at: fact.first_ts.map(instant),
            last_at: fact.last_ts.map(instant),
            rows: fact.rows,
            inserted: fact.inserted,
            updated: fact.updated,
            kept: fact.kept,
            same: fact.same(),
            rejected: fact.rejected,
            dropped: fact.dropped,
            reasons: fact.refused.reasons().map(|(reason, rows)| (reason.as_str(), rows)).collect(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Trial")]
struct TrialJson<'a> {
    #[serde(flatten)]
    import: ImportJson<'a>,
    /// The time of the first bar that differs from a stored one; null where none does.
    first_differing_at: Option<String>,
}

/// A file that cannot be read, or of which nothing can be stored.
#[derive(Serialize, JsonSchema)]
struct Unreadable<'a> {
    /// The symbol.
    symbol: &'a str,
    /// The timeframe.
    timeframe: &'a str,
    /// What kind of trouble.
    error_kind: &'a str,
    /// In words.
    message: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// A row a file that can be read.
    imports: Vec<TrialJson<'a>>,
    /// What could not be, and why.
    failures: Vec<Unreadable<'a>>,
}

/// The JSON Schema of what would come of an import.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl import --dry-run --json")
}

/// Writes what would come of an import as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, preview: &Preview, now: i64) -> io::Result<()> {
    let imports = preview.files.iter().map(|file| TrialJson {
        import: ImportJson::of(&file.fact),
        first_differing_at: file.first_differing.map(instant),
    });
    let failures = preview.failures.iter().map(|failure| Unreadable {
        symbol: failure.series.symbol.as_str(),
        timeframe: failure.word(),
        error_kind: failure.kind.as_str(),
        message: &failure.message,
    });
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        imports: imports.collect(),
        failures: failures.collect(),
    };
    super::json(out, &document)
}
