//! The overview, and one symbol's status.

use std::io::{self, Write};

use chrono::NaiveDate;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::control::Pause;
use crate::domain::fact::{JobFact, RunFact, SeriesFact};
use crate::domain::policy::Freshness;
use crate::domain::reference::ReferenceFact;
use crate::domain::run::JobStatus;
use crate::report::breaker::BreakerRow;
use crate::report::metrics::Metrics;
use crate::report::quality::SeriesQuality;
use crate::report::staleness::SeriesState;

use super::history::{job_tone, write_totals};
use super::metrics::{MetricsJson, percent};
use super::schema;
use super::table::{Column, Look, Rows, Tone};
use crate::domain::words::{bytes, count, instant, instant_or_dash, span};

/// The overview.
#[derive(Debug)]
pub struct Overview {
    /// The pause that is on; `None` when none is.
    pub pause: Option<Pause>,
    /// How the providers stand, by name.
    pub breakers: Vec<BreakerRow>,
    /// The run at work.
    pub running: Option<RunFact>,
    /// The last run that ended; those that a pause made skip do not count.
    pub last: Option<RunFact>,
    /// When systemd starts the next run, epoch seconds UTC; `None` where nobody knows.
    pub next_run_at: Option<i64>,
    /// The jobs of the run at work, else of the last.
    pub queue: Vec<JobFact>,
    /// What is measured of the last day.
    pub metrics: Metrics,
}

/// One symbol.
#[derive(Debug)]
pub struct SymbolStatus {
    /// The symbol.
    pub symbol: String,
    /// Its asset class.
    pub asset_class: &'static str,
    /// What its provider says of it; `None` when nothing is known.
    pub reference: Option<ReferenceFact>,
    /// Its last day by the config; `None` while it is listed there.
    pub delisted: Option<NaiveDate>,
    /// Its last job.
    pub job: Option<JobFact>,
    /// When a job of it last succeeded, epoch seconds UTC.
    pub last_success_at: Option<i64>,
    /// Its series, as stored and as judged.
    pub series: Vec<(SeriesFact, SeriesState, SeriesQuality)>,
}

/// Writes the overview for people.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, overview: &Overview, look: Look) -> io::Result<()> {
    if let Some(pause) = &overview.pause {
        writeln!(out, "paused {pause}; `mdctl resume` ends it before")?;
    }
    super::breaker::troubles(out, &overview.breakers)?;
    write_runs(out, overview)?;
    write_figures(out, overview)?;
    write_troubled(out, overview, look)
}

/// The run at work, else the last one; and the next.
fn write_runs(out: &mut dyn Write, overview: &Overview) -> io::Result<()> {
    match (&overview.running, &overview.last) {
        (Some(run), _) => writeln!(
            out,
            "running: {} {} since {}",
            run.command,
            run.run_id,
            instant(run.started_at)
        )?,
        (None, Some(run)) => {
            let took = run.duration_seconds().map_or_else(|| "no time known".to_owned(), span);
            writeln!(
                out,
                "last run: {} {} at {}, {} in {took}",
                run.command,
                run.run_id,
                instant(run.started_at),
                run.status
            )?;
            write_totals(out, run)?;
        }
        (None, None) => writeln!(out, "no runs yet; `mdctl backfill` makes the first")?,
    }
    match overview.next_run_at {
        Some(at) => writeln!(out, "next run: {}", instant(at)),
        None => Ok(()),
    }
}

/// How requests go, and how good the data is.
fn write_figures(out: &mut dyn Write, overview: &Overview) -> io::Result<()> {
    let fetch = &overview.metrics.fetch;
    if let (Some(avg), Some(p95)) = (fetch.avg_ms, fetch.p95_ms) {
        writeln!(
            out,
            "requests in the last day: {}, {} ok, {} rate-limited; {avg:.0} ms on average, 95 % within {p95} ms; {}",
            count(fetch.total),
            count(fetch.successful),
            count(fetch.rate_limited),
            bytes(fetch.bytes)
        )?;
    }
    let quality = &overview.metrics.quality;
    if let (Some(score), Some(complete)) = (quality.avg_score, quality.avg_completeness) {
        let complete = percent(complete);
        writeln!(
            out,
            "quality: score {score:.4} on average, {complete:.2} % of due bars are stored"
        )?;
    }
    Ok(())
}

/// The jobs that did not end well, or have not ended.
fn write_troubled(out: &mut dyn Write, overview: &Overview, look: Look) -> io::Result<()> {
    let troubled: Vec<_> =
        overview.queue.iter().filter(|job| job.status != JobStatus::Completed).collect();
    if troubled.is_empty() {
        return Ok(());
    }
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("STATUS"),
        Column::right("RETRIES").if_room(),
        Column::left("LAST ERROR"),
    ];
    writeln!(out)?;
    let mut rows = Rows::new(COLUMNS, look);
    for job in troubled {
        rows.add_toned([
            (job.symbol.to_string(), Tone::Plain),
            (job.status.to_string(), job_tone(job.status)),
            (job.retry_count.to_string(), Tone::Plain),
            (job.last_error.clone().unwrap_or_default(), Tone::Plain),
        ]);
    }
    rows.write(out)
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// Whether runs go on.
    scheduler: Scheduler,
    /// The running, else the last run; null without one.
    last_job: Option<LastJob>,
    /// The figures of the last 24 hours.
    metrics: MetricsJson,
    /// The jobs of the running, else of the last run, unfinished first.
    job_queue: Vec<Queued<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Scheduler {
    /// Whether a run is at work.
    running: bool,
    /// Whether a pause is on.
    paused: bool,
    /// When the last run began.
    last_run_at: Option<String>,
    /// When the next run is due; null where nobody knows.
    next_run_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct LastJob {
    /// When it began.
    started_at: String,
    /// When it ended; null before that.
    completed_at: Option<String>,
    /// How long it took; null while it runs, and when it crashed.
    duration_seconds: Option<i64>,
    /// Jobs that were completed.
    successful: u64,
    /// Jobs that failed.
    failed: u64,
    /// Tries after the first, of requests and of jobs.
    retried: u64,
}

#[derive(Serialize, JsonSchema)]
struct Queued<'a> {
    /// The symbol.
    symbol: &'a str,
    /// How its job stands, as in `jobs`.
    status: &'a str,
    /// How often it was tried again.
    retry_count: u32,
}

/// The JSON Schema of the overview.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl status --json")
}

/// Writes the overview as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, overview: &Overview, now: i64) -> io::Result<()> {
    let queued = |job: &'_ JobFact| (job.status.as_str(), job.retry_count);
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        scheduler: Scheduler {
            running: overview.running.is_some(),
            paused: overview.pause.is_some(),
            last_run_at: overview.last.as_ref().map(|run| instant(run.started_at)),
            next_run_at: overview.next_run_at.map(instant),
        },
        last_job: overview.last.as_ref().map(|run| LastJob {
            started_at: instant(run.started_at),
            completed_at: run.completed_at.map(instant),
            duration_seconds: run.duration_seconds(),
            successful: run.totals.successful,
            failed: run.totals.failed,
            retried: run.totals.retried,
        }),
        metrics: MetricsJson::of(&overview.metrics, now),
        job_queue: overview
            .queue
            .iter()
            .map(|job| {
                let (status, retry_count) = queued(job);
                Queued { symbol: job.symbol.as_str(), status, retry_count }
            })
            .collect(),
    };
    super::json(out, &document)
}

/// Writes one symbol's status for people.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn symbol_table(out: &mut dyn Write, status: &SymbolStatus, look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("TF"),
        Column::right("BARS").if_room(),
        Column::left("FIRST BAR").if_room(),
        Column::left("LAST BAR"),
        Column::left("FRESHNESS"),
        Column::right("SCORE").if_room(),
        Column::right("REFUSED").if_room(),
        Column::left("LAST ERROR"),
    ];
    writeln!(out, "{} ({})", status.symbol, status.asset_class)?;
    if let Some(reference) = &status.reference {
        writeln!(out, "{}", known(reference))?;
    }
    if let Some(note) = delisted_note(status) {
        writeln!(out, "{note}")?;
    }
    match &status.job {
        None => writeln!(out, "no job yet; `mdctl backfill {}` makes the first", status.symbol)?,
        Some(job) => writeln!(
            out,
            "last job {}: {}, {} retried, run {}",
            instant_or_dash(job.completed_at),
            job.status,
            job.retry_count,
            job.run_id
        )?,
    }
    if let Some(error) = status.job.as_ref().and_then(|job| job.last_error.as_ref()) {
        writeln!(out, "last error: {error}")?;
    }
    writeln!(out)?;
    let mut rows = Rows::new(COLUMNS, look);
    for (fact, state, quality) in &status.series {
        let plain = |text: String| (text, Tone::Plain);
        rows.add_toned([
            plain(fact.key.timeframe.to_string()),
            plain(count(fact.bar_count)),
            plain(instant_or_dash(fact.first_ts)),
            plain(instant_or_dash(fact.watermark_ts)),
            (state.status.to_string(), super::staleness::tone(state.status)),
            plain(score(quality)),
            plain(count(quality.rejected())),
            plain(fact.last_error().unwrap_or_default().to_owned()),
        ]);
    }
    rows.write(out)
}

/// What a provider says of a symbol, in a line.
fn known(reference: &ReferenceFact) -> String {
    let listing = &reference.listing;
    let active = listing.active.map(|active| if active { "active" } else { "not active" });
    let date = |what: &str, date: Option<NaiveDate>| date.map(|date| format!("{what} {date}"));
    let texts = [&listing.name, &listing.exchange, &listing.currency, &listing.kind];
    let parts: Vec<String> = texts
        .into_iter()
        .cloned()
        .chain([
            active.map(str::to_owned),
            date("listed", listing.listed_on),
            date("delisted", listing.delisted_on),
        ])
        .flatten()
        .collect();
    format!("{} (by {}, {})", parts.join(", "), reference.provider, instant(reference.checked_at))
}

/// What is to be done when the provider says that a symbol is over and the config does not.
fn delisted_note(status: &SymbolStatus) -> Option<String> {
    let reference = status.reference.as_ref().filter(|fact| fact.listing.is_over())?;
    if status.delisted.is_some() {
        return None;
    }
    let date = reference.listing.delisted_on;
    let since = date.map_or_else(String::new, |date| format!(" since {date}"));
    let date = date.map_or_else(|| "YYYY-MM-DD".to_owned(), |date| date.to_string());
    Some(format!(
        "{} is delisted{since}, says {}, and not in the config: {{ symbol = \"{}\", delisted = \"{date}\" }} \
         ends it there too",
        status.symbol, reference.provider, status.symbol
    ))
}

fn score(quality: &SeriesQuality) -> String {
    quality.fact.quality_score.map_or_else(|| "-".to_owned(), |score| format!("{score:.4}"))
}

#[derive(Serialize, JsonSchema)]
struct SymbolDocument<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// The symbol.
    symbol: &'a str,
    /// What it is: stock, etf, crypto, forex or index.
    asset_class: &'a str,
    /// How its last job stands; null when it never had one.
    status: Option<&'a str>,
    /// How often it was tried again.
    retry_count: u32,
    /// What went wrong last; null when nothing did.
    last_error: Option<&'a str>,
    /// When it began.
    started_at: Option<String>,
    /// When it ended; null before that.
    completed_at: Option<String>,
    /// When a job of it last succeeded; null before.
    last_enrichment_time: Option<String>,
    /// A row a timeframe.
    series: Vec<SeriesJson>,
    /// What its provider says of it; null when nothing was asked.
    reference: Option<ReferenceJson<'a>>,
    /// As of when it was told.
    timestamp: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reference")]
struct ReferenceJson<'a> {
    /// The company's or the fund's name; null when it is not known.
    name: Option<&'a str>,
    /// Where it is listed first, a MIC; null when it is not known.
    exchange: Option<&'a str>,
    /// Of the cash; null when it is not known.
    currency: Option<&'a str>,
    /// The provider's word for what it is; null when it is not known.
    r#type: Option<&'a str>,
    /// Whether it is traded; null when it is not known.
    active: Option<bool>,
    /// Its first day; null when it is not known.
    listed_on: Option<String>,
    /// Its last day; null while it is listed.
    delisted_on: Option<String>,
    /// The provider's name in the config.
    provider: &'a str,
    /// When its provider was asked.
    checked_at: String,
    /// That the config does not know of its end; null when they agree.
    note: Option<String>,
}

impl<'a> ReferenceJson<'a> {
    fn of(reference: &'a ReferenceFact, note: Option<String>) -> Self {
        let listing = &reference.listing;
        let date = |date: Option<NaiveDate>| date.map(|date| date.to_string());
        Self {
            name: listing.name.as_deref(),
            exchange: listing.exchange.as_deref(),
            currency: listing.currency.as_deref(),
            r#type: listing.kind.as_deref(),
            active: listing.active,
            listed_on: date(listing.listed_on),
            delisted_on: date(listing.delisted_on),
            provider: &reference.provider,
            checked_at: instant(reference.checked_at),
            note,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Series")]
struct SeriesJson {
    /// The timeframe.
    timeframe: &'static str,
    /// Stored bars.
    bars: u64,
    /// The start of the first stored bar; null without one.
    first_bar_at: Option<String>,
    /// The start of the last stored bar; null without one.
    last_bar_at: Option<String>,
    /// How long ago the last bar closed; null without one.
    data_age_seconds: Option<i64>,
    /// `fresh`, `aging`, `stale` or `missing`.
    freshness: &'static str,
    /// Stored of all rows that came, 0..1; null without rows.
    validation_rate: Option<f64>,
    /// Completeness, validation rate and anomalies in one number, 0..1; null without bars.
    quality_score: Option<f64>,
}

/// The JSON Schema of one symbol's status.
#[must_use]
pub fn symbol_schema() -> Schema {
    schema::of::<SymbolDocument<'static>>("mdctl status SYMBOL --json")
}

/// Writes one symbol's status as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn symbol_json(out: &mut dyn Write, status: &SymbolStatus, now: i64) -> io::Result<()> {
    let job = status.job.as_ref();
    let document = SymbolDocument {
        schema: super::SCHEMA,
        symbol: &status.symbol,
        asset_class: status.asset_class,
        status: job.map(|job| job.status.as_str()),
        retry_count: job.map_or(0, |job| job.retry_count),
        last_error: job.and_then(|job| job.last_error.as_deref()),
        started_at: job.and_then(|job| job.started_at).map(instant),
        completed_at: job.and_then(|job| job.completed_at).map(instant),
        last_enrichment_time: status.last_success_at.map(instant),
        series: status
            .series
            .iter()
            .map(|(fact, state, quality)| SeriesJson {
                timeframe: fact.key.timeframe.as_str(),
                bars: fact.bar_count,
                first_bar_at: fact.first_ts.map(instant),
                last_bar_at: fact.watermark_ts.map(instant),
                data_age_seconds: state.data_age_seconds,
                freshness: Freshness::as_str(state.status),
                validation_rate: quality.fact.validation_rate,
                quality_score: quality.fact.quality_score,
            })
            .collect(),
        reference: status
            .reference
            .as_ref()
            .map(|fact| ReferenceJson::of(fact, delisted_note(status))),
        timestamp: instant(now),
    };
    super::json(out, &document)
}
