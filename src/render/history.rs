//! Runs: the list of past ones, and one of them with its jobs, requests and failures.

use std::collections::BTreeMap;
use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::fact::{FailureFact, JobFact, RequestCount, RunFact};
use crate::domain::import::ImportFact;
use crate::domain::run::{ErrorKind, JobStatus, RunStatus, Stage};

use super::import::{self, ImportJson};
use super::schema;
use super::table::{Column, Look, Rows, Tone};
use crate::domain::words::{count, counted, instant, instant_or_dash, span};

/// One run with all that belongs to it.
#[derive(Debug)]
pub struct RunDetail {
    /// The run.
    pub run: RunFact,
    /// Its jobs, unfinished and failed ones first.
    pub jobs: Vec<JobFact>,
    /// What failed for good.
    pub failures: Vec<FailureFact>,
    /// Its requests by provider and outcome.
    pub requests: Vec<RequestCount>,
    /// What came from each file that it imported.
    pub imports: Vec<ImportFact>,
}

/// What a run that just ended did.
#[derive(Debug)]
pub struct RunSummary {
    /// The run.
    pub run: RunFact,
    /// The first [`MOST_JOBS`] of its jobs that did or lacked something, unfinished and failed ones first.
    pub jobs: Vec<JobFact>,
    /// How many such jobs there are.
    pub busy: u64,
    /// What came from each file that it imported.
    pub imports: Vec<ImportFact>,
}

/// A run as JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Run")]
pub(super) struct RunJson<'a> {
    /// A ULID: ids sort by the time of their making.
    run_id: &'a str,
    /// `backfill`, `enrich` or `import`.
    command: &'a str,
    /// Who called it.
    trigger: &'a str,
    /// How it stands, or how it ended.
    #[schemars(extend("enum" = schema::words(&RunStatus::ALL, RunStatus::as_str)))]
    status: &'a str,
    /// When it began.
    started_at: String,
    /// When it ended; null before that.
    completed_at: Option<String>,
    /// How long it took; null while it runs, and when it crashed.
    duration_seconds: Option<i64>,
    /// Jobs in all.
    symbols_total: u64,
    /// Jobs that were completed.
    successful: u64,
    /// Jobs that failed.
    failed: u64,
    /// Jobs left for the next run.
    deferred: u64,
    /// Tries after the first, of requests and of jobs.
    retried: u64,
    /// Jobs that were not begun.
    skipped: u64,
    /// New bars.
    total_records_inserted: u64,
    /// Changed bars.
    total_records_updated: u64,
    /// Requests sent; files read are none.
    requests: u64,
    /// Answers that said: too many requests.
    rate_limited: u64,
    /// The exit code; null while it runs, and when it crashed.
    exit_code: Option<i64>,
    /// What aborted it; null when nothing did.
    error: Option<&'a str>,
    /// Failed of all jobs, 0..1; null without jobs.
    failure_rate: Option<f64>,
    /// Seconds in which one of its requests at least waited for a quota.
    quota_wait_seconds: u64,
    /// How long it took, less those waits; null while it runs, and when it crashed.
    working_seconds: Option<u64>,
}

impl<'a> RunJson<'a> {
    pub(super) fn of(run: &'a RunFact) -> Self {
        let totals = &run.totals;
        Self {
            run_id: &run.run_id.0,
            command: &run.command,
            trigger: &run.trigger,
            status: run.status.as_str(),
            started_at: instant(run.started_at),
            completed_at: run.completed_at.map(instant),
            duration_seconds: run.duration_seconds(),
            symbols_total: totals.symbols_total,
            successful: totals.successful,
            failed: totals.failed,
            deferred: totals.deferred,
            retried: totals.retried,
            skipped: totals.skipped,
            total_records_inserted: totals.records_inserted,
            total_records_updated: totals.records_updated,
            requests: totals.requests,
            rate_limited: totals.rate_limited,
            exit_code: run.exit_code,
            error: run.error.as_deref(),
            failure_rate: run.failure_rate(),
            quota_wait_seconds: totals.quota_wait_seconds,
            working_seconds: run.working_seconds(),
        }
    }
}

pub(super) fn run_tone(status: RunStatus) -> Tone {
    match status {
        RunStatus::Succeeded | RunStatus::Running => Tone::Good,
        RunStatus::Partial | RunStatus::Deferred | RunStatus::Skipped => Tone::Doubtful,
        RunStatus::Failed | RunStatus::Interrupted | RunStatus::Crashed => Tone::Bad,
    }
}

/// A job's tone.
pub(super) fn job_tone(status: JobStatus) -> Tone {
    match status {
        JobStatus::Completed => Tone::Good,
        JobStatus::Failed => Tone::Bad,
        JobStatus::Deferred | JobStatus::Skipped | JobStatus::Retry => Tone::Doubtful,
        JobStatus::Pending | JobStatus::InProgress => Tone::Plain,
    }
}

/// Writes the list as a table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, runs: &[RunFact], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("RUN"),
        Column::left("COMMAND").if_room(),
        Column::left("STARTED").if_room(),
        Column::right("TOOK").if_room(),
        Column::left("STATUS"),
        Column::right("OK"),
        Column::right("FAILED"),
        Column::right("NEW BARS").if_room(),
        Column::right("CHANGED").if_room(),
        Column::right("REQUESTS").if_room(),
    ];
    if runs.is_empty() {
        return writeln!(out, "no runs");
    }
    let mut rows = Rows::new(COLUMNS, look);
    for run in runs {
        let totals = &run.totals;
        let plain = |text: String| (text, Tone::Plain);
        rows.add_toned([
            plain(run.run_id.to_string()),
            plain(run.command.clone()),
            plain(instant(run.started_at)),
            plain(run.duration_seconds().map_or_else(|| "-".to_owned(), span)),
            (run.status.to_string(), run_tone(run.status)),
            plain(count(totals.successful)),
            (count(totals.failed), if totals.failed > 0 { Tone::Bad } else { Tone::Plain }),
            plain(count(totals.records_inserted)),
            plain(count(totals.records_updated)),
            plain(count(totals.requests)),
        ]);
    }
    rows.write(out)
}

#[derive(Serialize, JsonSchema)]
struct List<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// How many runs are listed.
    count: usize,
    /// The newest first.
    runs: Vec<RunJson<'a>>,
}

/// The JSON Schema of the list.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<List<'static>>("mdctl history --json")
}

/// Writes the list as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, runs: &[RunFact], now: i64) -> io::Result<()> {
    let runs: Vec<_> = runs.iter().map(RunJson::of).collect();
    let list = List { schema: super::SCHEMA, timestamp: instant(now), count: runs.len(), runs };
    super::json(out, &list)
}

/// Writes one run: its totals, then what went wrong, then its jobs.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn detail_table(out: &mut dyn Write, detail: &RunDetail, look: Look) -> io::Result<()> {
    let run = &detail.run;
    let took =
        run.duration_seconds().map_or_else(String::new, |took| format!(", took {}", span(took)));
    writeln!(
        out,
        "run {} ({}, {}): {}\nstarted {}{took}",
        run.run_id,
        run.command,
        run.trigger,
        run.status,
        instant(run.started_at),
    )?;
    if let Some(error) = &run.error {
        writeln!(out, "error: {error}")?;
    }
    write_totals(out, run)?;
    for request in &detail.requests {
        writeln!(out, "  {}: {} {}", request.provider, count(request.count), request.outcome)?;
    }
    if !detail.failures.is_empty() {
        writeln!(out, "\nfailures")?;
        failures(out, &detail.failures, look)?;
    }
    if !detail.imports.is_empty() {
        writeln!(out, "\nfiles")?;
        import::rows(out, detail.imports.iter(), look)?;
    }
    writeln!(out, "\njobs")?;
    job_rows(out, detail.jobs.iter(), look)
}

/// Jobs in a run's summary, at most.
pub const MOST_JOBS: usize = 40;

/// Writes what a run that just ended did: the jobs that did or lacked something, what failed, and
/// the totals last, where the eye is.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn summary(out: &mut dyn Write, summary: &RunSummary, look: Look) -> io::Result<()> {
    let RunSummary { run, jobs, busy, imports } = summary;
    if !jobs.is_empty() {
        job_rows(out, jobs.iter(), look)?;
        let more = busy.saturating_sub(jobs.len() as u64);
        if more > 0 {
            writeln!(out, "and {} more", count(more))?;
        }
        writeln!(out)?;
    }
    if !imports.is_empty() {
        import::rows(out, imports.iter().take(MOST_JOBS), look)?;
        if imports.len() > MOST_JOBS {
            writeln!(out, "and {} more", count((imports.len() - MOST_JOBS) as u64))?;
        }
        writeln!(out)?;
        import::advice(out, imports.iter())?;
    }
    ended(out, run)?;
    if run.totals.failed > 0 {
        writeln!(out, "what failed, and why: mdctl history {}", run.run_id)?;
    }
    Ok(())
}

/// Writes how a run ended and what it did.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn ended(out: &mut dyn Write, run: &RunFact) -> io::Result<()> {
    let took =
        run.duration_seconds().map_or_else(String::new, |took| format!(" in {}", span(took)));
    let why = run.error.as_deref().map_or_else(String::new, |why| format!(": {why}"));
    writeln!(out, "{} {}{took}{why}", run.command, run.status)?;
    if run.status == RunStatus::Skipped { Ok(()) } else { write_totals(out, run) }
}

/// Writes a run's totals in words.
pub(super) fn write_totals(out: &mut dyn Write, run: &RunFact) -> io::Result<()> {
    let totals = &run.totals;
    let mut parts = vec![format!("{} ok", totals.successful)];
    let more =
        [(totals.failed, "failed"), (totals.deferred, "deferred"), (totals.skipped, "skipped")];
    parts.extend(
        more.iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| format!("{number} {word}")),
    );
    writeln!(
        out,
        "{}: {}; {} new, {} changed; {}, {} retried, {} rate-limited",
        counted(totals.symbols_total, "symbol"),
        parts.join(", "),
        counted(totals.records_inserted, "bar"),
        count(totals.records_updated),
        counted(totals.requests, "request"),
        totals.retried,
        totals.rate_limited,
    )
}

fn failures(out: &mut dyn Write, failures: &[FailureFact], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("TF"),
        Column::left("STAGE").if_room(),
        Column::left("ERROR"),
        Column::right("TRIES").if_room(),
        Column::left("MESSAGE"),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for failure in failures {
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        rows.add_toned([
            plain(failure.symbol.as_str()),
            plain(&failure.timeframe),
            plain(failure.stage.as_str()),
            (failure.kind.to_string(), Tone::Bad),
            plain(&failure.attempts.to_string()),
            plain(&failure.message),
        ]);
    }
    rows.write(out)
}

fn job_rows<'a>(
    out: &mut dyn Write,
    jobs: impl Iterator<Item = &'a JobFact>,
    look: Look,
) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("STATUS"),
        Column::right("NEW BARS").if_room(),
        Column::right("CHANGED").if_room(),
        Column::right("RETRIES").if_room(),
        Column::left("ENDED").if_room(),
        Column::left("LAST ERROR"),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for job in jobs {
        let plain = |text: String| (text, Tone::Plain);
        rows.add_toned([
            plain(job.symbol.to_string()),
            (job.status.to_string(), job_tone(job.status)),
            plain(count(job.records_inserted)),
            plain(count(job.records_updated)),
            plain(job.retry_count.to_string()),
            plain(instant_or_dash(job.completed_at)),
            plain(job.last_error.clone().unwrap_or_default()),
        ]);
    }
    rows.write(out)
}

/// A job as JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Job")]
struct JobJson<'a> {
    /// The symbol.
    symbol: &'a str,
    /// How it stands, or how it ended.
    #[schemars(extend("enum" = schema::words(&JobStatus::ALL, JobStatus::as_str)))]
    status: &'a str,
    /// How often it was tried again.
    retry_count: u32,
    /// When it began.
    started_at: Option<String>,
    /// When it ended; null before that.
    completed_at: Option<String>,
    /// New bars.
    records_inserted: u64,
    /// Changed bars.
    records_updated: u64,
    /// What went wrong last; null when nothing did.
    last_error: Option<&'a str>,
}

impl<'a> JobJson<'a> {
    fn of(job: &'a JobFact) -> Self {
        Self {
            symbol: job.symbol.as_str(),
            status: job.status.as_str(),
            retry_count: job.retry_count,
            started_at: job.started_at.map(instant),
            completed_at: job.completed_at.map(instant),
            records_inserted: job.records_inserted,
            records_updated: job.records_updated,
            last_error: job.last_error.as_deref(),
        }
    }
}

/// A failure as JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Failure")]
pub(super) struct FailureJson<'a> {
    /// A ULID: ids sort by the time of their making.
    run_id: &'a str,
    /// The symbol.
    symbol: &'a str,
    /// The timeframe.
    timeframe: &'a str,
    /// The station at which it failed.
    #[schemars(extend("enum" = schema::words(&Stage::ALL, Stage::as_str)))]
    stage: &'a str,
    /// What kind of trouble.
    #[schemars(extend("enum" = schema::words(&ErrorKind::ALL, ErrorKind::as_str)))]
    error_kind: &'a str,
    /// In words.
    message: &'a str,
    /// How many tries were made.
    attempts: u32,
    /// When.
    at: String,
}

impl<'a> FailureJson<'a> {
    pub(super) fn of(failure: &'a FailureFact) -> Self {
        Self {
            run_id: &failure.run_id.0,
            symbol: failure.symbol.as_str(),
            timeframe: &failure.timeframe,
            stage: failure.stage.as_str(),
            error_kind: failure.kind.as_str(),
            message: &failure.message,
            attempts: failure.attempts,
            at: instant(failure.at),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Detail<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The run.
    run: RunJson<'a>,
    /// A row a symbol; unfinished and failed ones first.
    jobs: Vec<JobJson<'a>>,
    /// What failed for good.
    failures: Vec<FailureJson<'a>>,
    /// Jobs left for the next run.
    deferred: Vec<&'a str>,
    /// Requests by outcome: `ok`, or the error kind.
    requests: BTreeMap<&'a str, u64>,
    /// What came from each file that it imported; empty where providers were asked.
    imports: Vec<ImportJson<'a>>,
}

/// The JSON Schema of one run, which is what a run prints, too.
#[must_use]
pub fn detail_schema() -> Schema {
    schema::of::<Detail<'static>>("mdctl history RUN --json")
}

/// Writes one run as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn detail_json(out: &mut dyn Write, detail: &RunDetail, now: i64) -> io::Result<()> {
    let mut requests = BTreeMap::new();
    for request in &detail.requests {
        *requests.entry(request.outcome.as_str()).or_default() += request.count;
    }
    let deferred = detail.jobs.iter().filter(|job| job.status == JobStatus::Deferred);
    let document = Detail {
        schema: super::SCHEMA,
        timestamp: instant(now),
        run: RunJson::of(&detail.run),
        jobs: detail.jobs.iter().map(JobJson::of).collect(),
        failures: detail.failures.iter().map(FailureJson::of).collect(),
        deferred: deferred.map(|job| job.symbol.as_str()).collect(),
        requests,
        imports: detail.imports.iter().map(ImportJson::of).collect(),
    };
    super::json(out, &document)
}
