//! The verdict, as lines for people (the first is the one that monitoring shows) and as JSON.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::config::Settings;
use crate::domain::alert::Severity;
use crate::domain::policy::Thresholds;
use crate::report::health::{Code, Health, Issue};

use super::breaker::BreakerJson;
use super::history::{FailureJson, RunJson};
use super::pause::PausedJson;
use super::schema;
use super::staleness::CountsJson;
use super::table::{Column, Look, Rows, Tone};
use crate::domain::words::{count, counted, instant, span};

/// Failures in the document, at most.
const MOST_FAILURES: usize = 50;

/// Writes the verdict for people; `next_run` is when systemd starts the next run, where it says.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(
    out: &mut dyn Write,
    health: &Health,
    next_run: Option<i64>,
    look: Look,
    now: i64,
) -> io::Result<()> {
    writeln!(out, "{}", health.summary)?;
    if !health.issues.is_empty() {
        writeln!(out)?;
        issues(out, &health.issues, look)?;
    }
    let Some(evidence) = &health.evidence else { return Ok(()) };
    let series = evidence.staleness.counts().all();
    writeln!(
        out,
        "\n{} in {} series monitored",
        counted(health.monitored_symbols, "symbol"),
        count(series)
    )?;
    if let Some(run) = &evidence.last {
        let ago = span(now.saturating_sub(run.completed_at.unwrap_or(run.started_at)));
        writeln!(out, "last run {} {} {ago} ago: {}", run.run_id, run.command, run.status)?;
    }
    if let Some(run) = &evidence.running {
        writeln!(out, "run {} is at work since {}", run.run_id, instant(run.started_at))?;
    }
    if let Some(at) = next_run {
        writeln!(out, "next run in {}, at {}", span(at.saturating_sub(now)), instant(at))?;
    }
    Ok(())
}

fn issues(out: &mut dyn Write, issues: &[Issue], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SEVERITY"),
        Column::left("ISSUE"),
        Column::left("WHAT"),
        Column::left("DO"),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for issue in issues {
        let tone = match issue.severity {
            Severity::Warning => Tone::Doubtful,
            Severity::Critical => Tone::Bad,
        };
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        rows.add_toned([
            (issue.severity.as_str().to_owned(), tone),
            plain(issue.code.as_str()),
            plain(&issue.message),
            plain(&issue.hint),
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
    /// The worst issue's word; `unknown` when the database cannot be read.
    #[schemars(extend("enum" = ["healthy", "degraded", "critical", "unknown"]))]
    status: &'a str,
    /// The verdict in one line.
    summary: &'a str,
    /// The run at work; null when none is.
    running: Option<RunJson<'a>>,
    /// The last run that ended; those that a pause made skip do not count.
    last_execution: Option<RunJson<'a>>,
    /// When the last run that succeeded ended; null without one.
    last_success_at: Option<String>,
    /// When the next run is due; null where nobody knows.
    next_run_at: Option<String>,
    /// Symbols of the config.
    monitored_symbols: u64,
    /// Series of the config.
    monitored_series: u64,
    /// Series whose features are stale or missing.
    stale_features_count: u64,
    /// Series in each state.
    freshness: CountsJson,
    /// What failed within `[health] recent`, the newest first; 50 at most.
    recent_failures: Vec<FailureJson<'a>>,
    /// The providers that are spoken to over HTTP.
    breakers: Vec<BreakerJson<'a>>,
    /// The pause that is on; null when none is.
    paused: Option<PausedJson<'a>>,
    /// What is wrong, the worst first.
    issues: Vec<IssueJson<'a>>,
    /// What it was judged by.
    config: ConfigJson,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Issue")]
struct IssueJson<'a> {
    /// Its stable name.
    #[schemars(extend("enum" = schema::words(&Code::ALL, Code::as_str)))]
    code: &'a str,
    /// How bad it is.
    #[schemars(extend("enum" = schema::words(&Severity::ALL, Severity::as_str)))]
    severity: &'a str,
    /// What it is about: a series, a provider, a run.
    subject: &'a str,
    /// How many of those it is about.
    count: u64,
    /// Since when; null when that is not known.
    since: Option<String>,
    /// In words.
    message: &'a str,
    /// The command that mends it, or the next place to look.
    hint: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Config")]
struct ConfigJson {
    /// The oldest last finished run that is all right.
    max_run_age_seconds: u64,
    /// The largest share of failed jobs that is all right, 0..1.
    max_failure_rate: f64,
    /// Symbols in flight.
    parallel: Parallel,
    /// How `enrich` tries failed jobs again.
    job_retries: JobRetries,
    /// Below this lag a series is fresh; timeframes may have thresholds of their own.
    fresh_seconds: u64,
    /// Below this one it is aging, from it on stale.
    aging_seconds: u64,
    /// From this one on it counts as critical.
    stale_seconds: u64,
}

#[derive(Serialize, JsonSchema)]
struct Parallel {
    /// In `backfill`.
    backfill: u32,
    /// In `enrich`.
    enrich: u32,
}

#[derive(Serialize, JsonSchema)]
struct JobRetries {
    /// At most so often.
    max: u32,
    /// The first wait.
    initial_seconds: f64,
    /// By how much each wait is longer than the one before.
    multiplier: f64,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl health --json")
}

/// Writes the verdict as JSON, as of `now`; `next_run` is when systemd starts the next run, where it says.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(
    out: &mut dyn Write,
    health: &Health,
    settings: &Settings,
    next_run: Option<i64>,
    now: i64,
) -> io::Result<()> {
    let evidence = health.evidence.as_ref();
    let failures = evidence.map_or(&[][..], |evidence| &evidence.recent_failures);
    let breakers = evidence.map_or(&[][..], |evidence| &evidence.breakers);
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        status: health.status.as_str(),
        summary: &health.summary,
        running: evidence.and_then(|evidence| evidence.running.as_ref()).map(RunJson::of),
        last_execution: evidence.and_then(|evidence| evidence.last.as_ref()).map(RunJson::of),
        last_success_at: evidence
            .and_then(|evidence| evidence.last_success.as_ref())
            .map(|run| instant(run.completed_at.unwrap_or(run.started_at))),
        next_run_at: next_run.map(instant),
        monitored_symbols: health.monitored_symbols,
        monitored_series: settings.series().count() as u64,
        stale_features_count: health.stale_features,
        freshness: CountsJson::of(health.counts),
        recent_failures: failures.iter().take(MOST_FAILURES).map(FailureJson::of).collect(),
        breakers: breakers.iter().map(BreakerJson::of).collect(),
        paused: evidence.and_then(|evidence| evidence.pause.as_ref()).map(PausedJson::of),
        issues: health.issues.iter().map(issue_json).collect(),
        config: config_json(settings),
    };
    super::json(out, &document)
}

fn issue_json(issue: &Issue) -> IssueJson<'_> {
    IssueJson {
        code: issue.code.as_str(),
        severity: issue.severity.as_str(),
        subject: &issue.subject,
        count: issue.count,
        since: issue.since.map(instant),
        message: &issue.message,
        hint: &issue.hint,
    }
}

fn config_json(settings: &Settings) -> ConfigJson {
    let Thresholds { fresh, aging, stale } = settings.freshness.default;
    let retries = settings.run.job_retries;
    ConfigJson {
        max_run_age_seconds: settings.health.max_run_age.as_secs(),
        max_failure_rate: settings.health.max_failure_rate,
        parallel: Parallel {
            backfill: settings.run.parallel_backfill,
            enrich: settings.run.parallel_enrich,
        },
        job_retries: JobRetries {
            max: retries.max,
            initial_seconds: retries.initial.as_secs_f64(),
            multiplier: retries.multiplier,
        },
        fresh_seconds: fresh.as_secs(),
        aging_seconds: aging.as_secs(),
        stale_seconds: stale.as_secs(),
    }
}
