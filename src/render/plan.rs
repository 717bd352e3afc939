//! The plan of `--dry-run`: what would be asked, in how many requests, and how long the quota makes
//! that take.

use std::io::{self, Write};
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::range::TimeRange;
use crate::domain::series::Symbol;
use crate::domain::task::{About, Shared, Task};
use crate::domain::time::seconds;
use crate::domain::timeframe::Timeframe;
use crate::plan::{END, Plan};

use super::schema;
use super::table::{Column, Look, Rows};
use crate::domain::words::{count, counted, instant, span};

/// A plan with what it costs.
#[derive(Debug)]
pub struct Costed<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What it had to leave out, a sentence each.
    pub notes: &'a [String],
    /// First pages that are requests.
    pub requests: u64,
    /// Further pages, estimated.
    pub further: u64,
    /// The time that the quotas allow them in, at least.
    pub quota_time: Duration,
}

/// Writes the table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, costed: &Costed<'_>, look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("TF"),
        Column::left("FOR").if_room(),
        Column::left("FROM"),
        Column::left("TO"),
        Column::right("BARS").if_room(),
        Column::right("PAGES"),
    ];
    let tasks: Vec<&Task> = costed.plan.jobs.iter().flat_map(|job| &job.tasks).collect();
    if !tasks.is_empty() {
        let mut rows = Rows::new(COLUMNS, look);
        for (of, symbols) in costed.plan.shared() {
            let (_, about, Shared { range, further_pages, .. }) = of;
            let is_about = if further_pages > 0 { "~" } else { "" };
            rows.add([
                Symbol::every().to_string(),
                about.word(Timeframe::D1).to_owned(),
                counted(symbols, "symbol"),
                instant(range.start),
                end_of(range).map_or_else(dash, instant),
                dash(),
                format!("{is_about}{}", count(1 + further_pages)),
            ]);
        }
        for task in &tasks {
            let (start, end) = asked(task);
            let about = if task.further_pages > 0 { "~" } else { "" };
            rows.add([
                task.ask_symbol.to_string(),
                task.word().to_owned(),
                task.purpose.as_str().to_owned(),
                start.map_or_else(dash, instant),
                end.map_or_else(dash, instant),
                start.map_or_else(dash, |_| count(task.bars)),
                match task.own_requests() {
                    0 => "shared".to_owned(),
                    own => format!("{about}{}", count(own + task.further_pages)),
                },
            ]);
        }
        rows.write(out)?;
        writeln!(out)?;
    }
    for note in costed.notes {
        writeln!(out, "note: {note}")?;
    }
    for (symbol, reason) in &costed.plan.resting {
        writeln!(out, "left alone: {symbol} {reason}")?;
    }
    write!(
        out,
        "{} to ask for, {} up to date; {}",
        counted(costed.plan.jobs.len() as u64, "symbol"),
        count(costed.plan.idle.len() as u64),
        counted(costed.requests, "request")
    )?;
    if costed.further > 0 {
        write!(out, " and about {} further pages", count(costed.further))?;
    }
    let seconds = seconds(costed.quota_time);
    if seconds > 0 {
        write!(out, "; the quota allows them in {}", span(seconds))?;
    }
    writeln!(out)
}

/// The range that is asked for; what is not about bars has none.
fn asked(task: &Task) -> (Option<i64>, Option<i64>) {
    let range = (task.about == About::Bars).then_some(task.range);
    (range.map(|range| range.start), range.map(|range| range.end))
}

/// The end of what is asked for of a whole market; of what is declared for days to come it has none.
fn end_of(range: TimeRange) -> Option<i64> {
    (range.end < END).then_some(range.end)
}

fn dash() -> String {
    "-".to_owned()
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// First pages, which are certain to be asked for.
    requests: u64,
    /// How many more pages there will be, estimated.
    further_pages: u64,
    /// How long the quota makes all of it take.
    quota_seconds: u64,
    /// What was left out or cut, and why.
    notes: &'a [String],
    /// Symbols of which nothing is due.
    up_to_date: Vec<&'a str>,
    /// Symbols that are left alone for now.
    resting: Vec<Resting<'a>>,
    /// A row a request for a whole market, which many tasks share.
    shared: Vec<SharedRow<'a>>,
    /// A row a task: one range of one series.
    tasks: Vec<Row<'a>>,
}

/// A request for a whole market.
#[derive(Serialize, JsonSchema)]
struct SharedRow<'a> {
    /// The provider's name in the config.
    provider: &'a str,
    /// The market, by the provider's name for it.
    market: &'a str,
    /// What of it is asked for, as of a task.
    about: &'a str,
    /// The beginning of what is asked for.
    from: String,
    /// Its end, exclusive; null when it has none.
    to: Option<String>,
    /// How many pages after the first, estimated.
    further_pages: u64,
    /// How many tasks it answers.
    tasks: u64,
}

/// A symbol that is left alone for now.
#[derive(Serialize, JsonSchema)]
struct Resting<'a> {
    /// The symbol.
    symbol: &'a str,
    /// Why.
    reason: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct Row<'a> {
    /// The symbol.
    symbol: &'a str,
    /// The name it is asked under, which may be an older one.
    asked_as: &'a str,
    /// Or the word for what else is asked for.
    timeframe: &'a str,
    /// `bars`, `splits`, `dividends`, `listing` (what the symbol is) or `actions` (its file of them).
    about: &'a str,
    /// The provider's name in the config.
    provider: &'a str,
    /// `tail`, `new` (a series without a bar), `hole` or `reference`.
    purpose: &'a str,
    /// Null where not bars are asked for.
    from: Option<String>,
    /// Likewise.
    to: Option<String>,
    /// How many bars are due in it.
    bars: u64,
    /// How many pages after the first, estimated.
    further_pages: u64,
    /// How many requests of `shared` answer it, in place of one of its own.
    shared_requests: u64,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl backfill --dry-run --json")
}

/// Writes the JSON document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, costed: &Costed<'_>, now: i64) -> io::Result<()> {
    let tasks = costed.plan.jobs.iter().flat_map(|job| &job.tasks).map(|task| Row {
        symbol: task.key.symbol.as_str(),
        asked_as: task.ask_symbol.as_str(),
        timeframe: task.word(),
        about: task.about.as_str(),
        provider: &task.provider,
        purpose: task.purpose.as_str(),
        from: asked(task).0.map(instant),
        to: asked(task).1.map(instant),
        bars: task.bars,
        further_pages: task.further_pages,
        shared_requests: task.shared.len() as u64,
    });
    let shared =
        costed.plan.shared().into_iter().map(|((provider, about, shared), tasks)| SharedRow {
            provider,
            market: shared.market,
            about: about.as_str(),
            from: instant(shared.range.start),
            to: end_of(shared.range).map(instant),
            further_pages: shared.further_pages,
            tasks,
        });
    let resting = costed.plan.resting.iter();
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        requests: costed.requests,
        further_pages: costed.further,
        quota_seconds: costed.quota_time.as_secs(),
        notes: costed.notes,
        up_to_date: costed.plan.idle.iter().map(|symbol| symbol.as_str()).collect(),
        resting: resting
            .map(|(symbol, reason)| Resting { symbol: symbol.as_str(), reason })
            .collect(),
        shared: shared.collect(),
        tasks: tasks.collect(),
    };
    super::json(out, &document)
}
