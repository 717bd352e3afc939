//! How good series are, and what was found wrong with one, as tables and as JSON.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::series::Symbol;
use crate::domain::words::{count, instant, instant_or_dash};
use crate::report::quality::{Finding, Findings, SeriesQuality};

use super::schema;
use super::table::{Column, Look, Rows, Tone};

/// Writes the table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, rows: &[SeriesQuality], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("TF"),
        Column::right("SCORE"),
        Column::right("COMPLETE"),
        Column::right("VALID").if_room(),
        Column::right("BARS").if_room(),
        Column::right("GAPS"),
        Column::right("ANOMALIES"),
        Column::right("REFUSED"),
    ];
    if rows.is_empty() {
        return writeln!(out, "no series");
    }
    let mut table = Rows::new(COLUMNS, look);
    for row in rows {
        let plain = |text: String| (text, Tone::Plain);
        let tone = if row.is_low() { Tone::Bad } else { Tone::Plain };
        let fact = &row.fact;
        table.add_toned([
            plain(row.key.symbol.to_string()),
            plain(row.key.timeframe.to_string()),
            (
                fact.quality_score.map_or_else(|| "-".to_owned(), |score| format!("{score:.4}")),
                tone,
            ),
            plain(percent(fact.completeness)),
            plain(percent(fact.validation_rate)),
            plain(count(fact.validated_records)),
            plain(count(fact.gaps_detected)),
            plain(count(fact.anomalies_detected)),
            plain(count(row.rejected())),
        ]);
    }
    table.write(out)?;
    let low = rows.iter().filter(|row| row.is_low()).count();
    writeln!(out, "\n{low} of {} series of low quality", count(rows.len() as u64))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

/// Writes one symbol's series and what was found.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn symbol_table(
    out: &mut dyn Write,
    series: &[SeriesQuality],
    findings: &Findings,
    look: Look,
) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("TF"),
        Column::left("CODE"),
        Column::left("TS"),
        Column::left("LAST").if_room(),
        Column::right("COUNT"),
        Column::left("FIELDS"),
        Column::left("DETAIL").if_room(),
    ];
    table(out, series, look)?;
    writeln!(out)?;
    if findings.total == 0 {
        return writeln!(out, "nothing found");
    }
    let mut rows = Rows::new(COLUMNS, look);
    for finding in &findings.rows {
        rows.add([
            finding.timeframe.to_string(),
            finding.code.to_string(),
            instant_or_dash(finding.ts),
            instant_or_dash(finding.ts_end.filter(|_| finding.ts_end != finding.ts)),
            count(finding.count),
            finding.fields.to_string(),
            match (&finding.detail, &finding.file) {
                (Some(detail), Some(_)) => format!("imported, {detail}"),
                (detail, _) => detail.clone().unwrap_or_default(),
            },
        ]);
    }
    rows.write(out)?;
    let more = findings.total.saturating_sub(findings.rows.len() as u64);
    if more > 0 {
        writeln!(
            out,
            "\nthe last {} of {}; `--limit` shows more",
            findings.rows.len(),
            findings.total
        )?;
    }
    Ok(())
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// How many series are listed.
    count: usize,
    /// A row a series, the worst first.
    series: Vec<Row<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SeriesQuality")]
struct Row<'a> {
    /// The symbol.
    symbol: &'a str,
    /// The timeframe.
    timeframe: &'a str,
    /// Completeness, validation rate and anomalies in one number, 0..1; null without bars.
    quality_score: Option<f64>,
    /// Stored of the due bars from the first stored one on, 0..1; null without bars.
    completeness: Option<f64>,
    /// Stored of all rows that came, 0..1; null without rows.
    validation_rate: Option<f64>,
    /// Rows that came: stored and refused.
    total_records: u64,
    /// Bars in the store.
    validated_records: u64,
    /// Rows that were refused.
    rejected_records: u64,
    /// Gaps that are holes.
    gaps_detected: u64,
    /// Findings among the stored bars.
    anomalies_detected: u64,
}

impl<'a> Row<'a> {
    fn of(row: &'a SeriesQuality) -> Self {
        let fact = &row.fact;
        Self {
            symbol: row.key.symbol.as_str(),
            timeframe: row.key.timeframe.as_str(),
            quality_score: fact.quality_score,
            completeness: fact.completeness,
            validation_rate: fact.validation_rate,
            total_records: fact.total_records,
            validated_records: fact.validated_records,
            rejected_records: row.rejected(),
            gaps_detected: fact.gaps_detected,
            anomalies_detected: fact.anomalies_detected,
        }
    }
}

/// The JSON Schema of all series.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl quality --json")
}

/// Writes the JSON document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, rows: &[SeriesQuality], now: i64) -> io::Result<()> {
    let series: Vec<Row<'_>> = rows.iter().map(Row::of).collect();
    let document =
        Document { schema: super::SCHEMA, timestamp: instant(now), count: series.len(), series };
    super::json(out, &document)
}

#[derive(Serialize, JsonSchema)]
struct SymbolDocument<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The symbol.
    symbol: &'a str,
    /// A row a timeframe.
    series: Vec<Row<'a>>,
    /// How many there are.
    findings_total: u64,
    /// What was found, by time.
    findings: Vec<FindingRow<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct FindingRow<'a> {
    /// The timeframe.
    timeframe: &'a str,
    /// Its stable name.
    code: &'a str,
    /// The bar that it is about, or the first of them; null where a row had no time.
    ts: Option<String>,
    /// The last bar that it is about.
    ts_end: Option<String>,
    /// How many rows or bars.
    count: u64,
    /// The columns that it is about; null when it is about whole bars.
    fields: Option<Vec<&'static str>>,
    /// In words; null when there is no more to say.
    detail: Option<&'a str>,
    /// The line of the file that it is about; null where it is about none.
    line: Option<u64>,
    /// The file that a refused row was imported from, which counts in no rate; null of what the provider gave.
    file: Option<&'a str>,
}

impl<'a> FindingRow<'a> {
    fn of(finding: &'a Finding) -> Self {
        let fields = finding.fields;
        Self {
            timeframe: finding.timeframe.as_str(),
            code: finding.code.as_str(),
            ts: finding.ts.map(instant),
            ts_end: finding.ts_end.map(instant),
            count: finding.count,
            fields: (!fields.is_empty()).then(|| fields.names().collect()),
            detail: finding.detail.as_deref(),
            line: finding.line(),
            file: finding.file.as_deref(),
        }
    }
}

/// The JSON Schema of one symbol's series and what was found.
#[must_use]
pub fn symbol_schema() -> Schema {
    schema::of::<SymbolDocument<'static>>("mdctl quality SYMBOL --json")
}

/// Writes one symbol's series and what was found as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn symbol_json(
    out: &mut dyn Write,
    symbol: &Symbol,
    series: &[SeriesQuality],
    findings: &Findings,
    now: i64,
) -> io::Result<()> {
    let document = SymbolDocument {
        schema: super::SCHEMA,
        timestamp: instant(now),
        symbol: symbol.as_str(),
        series: series.iter().map(Row::of).collect(),
        findings_total: findings.total,
        findings: findings.rows.iter().map(FindingRow::of).collect(),
    };
    super::json(out, &document)
}
