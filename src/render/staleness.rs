//! Freshness of every series, as a table and as JSON.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::policy::Freshness;
use crate::report::staleness::{Counts, SeriesState, Staleness};

use super::object::Object;
use super::schema;
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

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// Series in each state.
    counts: CountsJson,
    /// A row a series, the worst first.
    series: Vec<Row<'a>>,
}

/// Series in each state.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Counts")]
pub(super) struct CountsJson {
    /// Series that lag less than `fresh`.
    fresh: u64,
    /// Series that lag less than `aging`.
    aging: u64,
    /// Series that lag more.
    stale: u64,
    /// Series without a bar, or without features that are asked for.
    missing: u64,
}

impl CountsJson {
    pub(super) const fn of(counts: Counts) -> Self {
        let Counts { fresh, aging, stale, missing } = counts;
        Self { fresh, aging, stale, missing }
    }
}

#[derive(Serialize, JsonSchema)]
struct Row<'a> {
    /// The symbol.
    symbol: &'a str,
    /// The timeframe.
    timeframe: &'a str,
    /// The worse of its bars' and its features' freshness.
    #[schemars(extend("enum" = schema::words(&Freshness::ALL, Freshness::as_str)))]
    status: &'a str,
    /// Its bars' freshness.
    #[schemars(extend("enum" = schema::words(&Freshness::ALL, Freshness::as_str)))]
    bars_status: &'a str,
    /// Its features' freshness; null where none are asked for.
    #[schemars(extend("enum" = schema::words_or_null(&Freshness::ALL, Freshness::as_str)))]
    features_status: Option<&'static str>,
    /// The start of the last stored bar; null without one.
    last_bar_at: Option<At>,
    /// When the first bar after it became, or is going to be, due.
    due_at: Option<At>,
    /// How late that bar is; 0 when it is not due yet.
    lag_seconds: i64,
    /// How long ago the last bar closed; null without one.
    data_age_seconds: Option<i64>,
    /// When its features were last computed; null before.
    last_computed_at: Option<At>,
}

/// An instant, which is a text in the document.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String", inline)]
struct At(i64);

impl From<At> for String {
    fn from(At(at): At) -> Self {
        instant(at)
    }
}

impl<'a> Row<'a> {
    fn of(series: &'a SeriesState) -> Self {
        Self {
            symbol: series.key.symbol.as_str(),
            timeframe: series.key.timeframe.as_str(),
            status: series.status.as_str(),
            bars_status: series.bars_status.as_str(),
            features_status: series.features_status.map(Freshness::as_str),
            last_bar_at: series.last_bar_ts.map(At),
            due_at: series.due_at.map(At),
            lag_seconds: series.lag_seconds,
            data_age_seconds: series.data_age_seconds,
            last_computed_at: series.last_computed_at.map(At),
        }
    }

    /// Writes it: every field, in their order, under its name.
    fn write(&self, object: &mut Object<'_>) {
        let at = |at: Option<At>| at.map(|At(at)| at);
        object.text("symbol", self.symbol);
        object.word("timeframe", self.timeframe);
        object.word("status", self.status);
        object.word("bars_status", self.bars_status);
        object.word_or_null("features_status", self.features_status);
        object.instant("last_bar_at", at(self.last_bar_at));
        object.instant("due_at", at(self.due_at));
        object.number("lag_seconds", Some(self.lag_seconds));
        object.number("data_age_seconds", self.data_age_seconds);
        object.instant("last_computed_at", at(self.last_computed_at));
    }
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl staleness --json")
}

/// Writes the JSON document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, report: &Staleness, now: i64) -> io::Result<()> {
    let frame = document(report, now, Vec::new());
    super::json_of_rows(out, &frame, &report.series, |series, object| {
        Row::of(series).write(object);
    })
}

fn document<'a>(report: &Staleness, now: i64, series: Vec<Row<'a>>) -> Document<'a> {
    Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        counts: CountsJson::of(report.counts()),
        series,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::series::SeriesKey;
    use crate::domain::timeframe::Timeframe;

    fn state(symbol: &str, timeframe: Timeframe, status: Freshness) -> SeriesState {
        let late = status != Freshness::Fresh;
        SeriesState {
            key: SeriesKey { symbol: symbol.parse().unwrap(), timeframe },
            group: "g".into(),
            provider: "p".into(),
            status,
            bars_status: Freshness::Aging,
            features_status: late.then_some(Freshness::Missing),
            last_computed_at: late.then_some(1_700_000_000),
            last_bar_ts: late.then_some(-1),
            due_at: late.then_some(i64::MAX),
            lag_seconds: i64::from(late) * 86_399,
            data_age_seconds: late.then_some(0),
            beyond_stale: false,
            marks: None,
            silent_since: None,
        }
    }

    #[test]
    fn rows_are_written_as_serde_writes_them() {
        let odd = ["BRK.B", "quo\"te", "EUR/USD", "ü-µ", "[]", "{x}", "\u{200b}x"];
        let rows = odd.iter().zip(Freshness::ALL.into_iter().cycle()).zip(Timeframe::ALL);
        let series = rows.map(|((symbol, status), timeframe)| state(symbol, timeframe, status));
        let all: Vec<SeriesState> = series.collect();
        for many in 0..=all.len() {
            let report = Staleness { series: all[..many].to_vec(), ..Staleness::default() };
            let mut wanted = Vec::new();
            let rows = report.series.iter().map(Row::of).collect();
            super::super::json(&mut wanted, &document(&report, 7, rows)).unwrap();
            let mut written = Vec::new();
            json(&mut written, &report, 7).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8(wanted).unwrap());
        }
    }
}
