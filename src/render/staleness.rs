//! Freshness of every series, as a table and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::domain::policy::Freshness;
use crate::report::staleness::{Counts, SeriesState, Staleness};

use super::table::{Column, Look, Rows, Tone};
use crate::domain::words::{instant, instant_or_dash, span};

/// The state's tone.
#[must_use]
pub fn tone(status: Freshness) -> Tone {
    match status {
        Freshness::Fresh => Tone::Good,
        Freshness::Aging => Tone::Doubtful,
        Freshness::Stale | Freshness::Missing => Tone::Bad,
    }
}

/// Writes the table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, report: &Staleness, look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("TF"),
        Column::left("STATUS"),
        Column::left("LAST BAR"),
        Column::left("NEXT DUE").if_room(),
        Column::right("LAG"),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for series in &report.series {
        let plain = |text: String| (text, Tone::Plain);
        rows.add_toned([
            plain(series.key.symbol.to_string()),
            plain(series.key.timeframe.to_string()),
            (series.status.to_string(), tone(series.status)),
            plain(instant_or_dash(series.last_bar_ts)),
            plain(instant_or_dash(series.due_at)),
            plain(span(series.lag_seconds)),
        ]);
    }
    rows.write(out)?;
    let Counts { fresh, aging, stale, missing } = report.counts();
    writeln!(out, "\n{fresh} fresh, {aging} aging, {stale} stale, {missing} missing")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    timestamp: String,
    counts: CountsJson,
    series: Vec<Row<'a>>,
}

/// Series in each state.
#[derive(Serialize)]
pub(super) struct CountsJson {
    fresh: u64,
    aging: u64,
    stale: u64,
    missing: u64,
}

impl CountsJson {
    pub(super) const fn of(counts: Counts) -> Self {
        let Counts { fresh, aging, stale, missing } = counts;
        Self { fresh, aging, stale, missing }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    symbol: &'a str,
    timeframe: &'a str,
    status: &'a str,
    bars_status: &'a str,
    features_status: Option<&'a str>,
    last_bar_at: Option<String>,
    due_at: Option<String>,
    lag_seconds: i64,
    data_age_seconds: Option<i64>,
    last_computed_at: Option<String>,
}

impl<'a> Row<'a> {
    fn of(series: &'a SeriesState) -> Self {
        Self {
            symbol: series.key.symbol.as_str(),
            timeframe: series.key.timeframe.as_str(),
            status: series.status.as_str(),
            bars_status: series.bars_status.as_str(),
            features_status: series.features_status.map(Freshness::as_str),
            last_bar_at: series.last_bar_ts.map(instant),
            due_at: series.due_at.map(instant),
            lag_seconds: series.lag_seconds,
            data_age_seconds: series.data_age_seconds,
            last_computed_at: series.last_computed_at.map(instant),
        }
    }
}

/// Writes the JSON document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, report: &Staleness, now: i64) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        counts: CountsJson::of(report.counts()),
        series: report.series.iter().map(Row::of).collect(),
    };
    super::json(out, &document)
}
