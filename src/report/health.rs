//! The verdict: can the data be trusted right now, and if not, what is to be done?

use std::collections::BTreeMap;
use std::fmt;

use crate::config::Settings;
use crate::domain::alert::{Severity, Unsent};
use crate::domain::control::Pause;
use crate::domain::fact::{FailureFact, JobFact, RunFact};
use crate::domain::run::{ErrorKind, JobStatus, RunStatus, Stage};
use crate::domain::timeframe::Timeframe;
use crate::domain::words::span;
use crate::exit::Exit;

mod data;
mod disk;
mod unsent;

pub use disk::Disk;

use super::actions::ActionState;
use super::breaker::BreakerRow;
use super::metrics::share;
use super::quality::SeriesQuality;
use super::staleness::{Counts, SeriesState, Staleness};

/// The largest share of answers saying "too many requests" that is still all right.
const RATE_LIMITED_SHARE: f64 = 0.05;

/// The facts that the verdict rests on.
#[derive(Debug)]
pub struct Evidence {
    /// Every series' freshness.
    pub staleness: Staleness,
    /// Series whose score is low for what is held of them, the worst first.
    pub low_quality: Vec<SeriesQuality>,
    /// The run at work.
    pub running: Option<RunFact>,
    /// The last run that ended; those that a pause made skip tell nothing and do not count.
    pub last: Option<RunFact>,
    /// The jobs of that run; none are needed of one that succeeded.
    pub last_jobs: Vec<JobFact>,
    /// The last run that succeeded.
    pub last_success: Option<RunFact>,
    /// Runs within `[health] recent`.
    pub recent_runs: Vec<RunFact>,
    /// Failures within `[health] recent`, newest first.
    pub recent_failures: Vec<FailureFact>,
    /// How every provider that is spoken to over HTTP stands, by name.
    pub breakers: Vec<BreakerRow>,
    /// The disputed actions of tracked symbols.
    pub disputed: Vec<ActionState>,
    /// The pause that is on; `None` when none is.
    pub pause: Option<Pause>,
    /// The disk under the database; `None` where the system does not say.
    pub disk: Option<Disk>,
    /// The notifiers that could not be told something, by name.
    pub unsent: BTreeMap<String, Unsent>,
    /// This instant by the wall clock: runs are judged by it, also as of another instant.
    pub wall_now: i64,
}

/// The verdict.
#[derive(Debug)]
pub struct Health {
    /// The worst issue; healthy without one.
    pub status: Status,
    /// All of it in one line.
    pub summary: String,
    /// What is wrong, the worst first.
    pub issues: Vec<Issue>,
    /// Series in each state.
    pub counts: Counts,
    /// Series whose features are stale or missing.
    pub stale_features: u64,
    /// Symbols of the config.
    pub monitored_symbols: u64,
    /// What it rests on; `None` when nothing could be read.
    pub evidence: Option<Evidence>,
}

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nothing is wrong.
    Healthy,
    /// Something wants a look.
    Degraded,
    /// The data cannot be trusted.
    Critical,
    /// It cannot be told.
    Unknown,
}

impl Status {
    /// Its word in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// The word by which monitoring plugins say so.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Healthy => "OK",
            Self::Degraded => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The exit code that says so.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Healthy => Exit::Success,
            Self::Degraded => Exit::Partial,
            Self::Critical => Exit::Failed,
            Self::Unknown => Exit::Unknown,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// Its stable name.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a series, a provider, a run.
    pub subject: String,
    /// How many of them.
    pub count: u64,
    /// Since when, epoch seconds UTC; `None` when that is not known.
    pub since: Option<i64>,
    /// What is wrong.
    pub message: String,
    /// The command that mends it, or the next place to look.
    pub hint: String,
}

/// The verdict when nothing can be read.
#[must_use]
pub fn unknown(settings: &Settings, why: &str) -> Health {
    Health {
        status: Status::Unknown,
        summary: format!("UNKNOWN - {why}"),
        issues: Vec::new(),
        counts: Counts::default(),
        stale_features: 0,
        monitored_symbols: settings.members().count() as u64,
        evidence: None,
    }
}

/// Judges the evidence.
#[must_use]
pub fn judge(settings: &Settings, evidence: Evidence) -> Health {
    let down = providers_down(settings, &evidence);
    let mut issues: Vec<Issue> = Vec::new();
    issues.extend(run_overdue(settings, &evidence));
    issues.extend(last_run(&evidence));
    issues.extend(down.values().cloned());
    let series: Vec<&SeriesState> =
        evidence.staleness.series.iter().filter(|row| !down.contains_key(&*row.provider)).collect();
    issues.extend(data::series_missing(&series));
    issues.extend(data::series_stale(settings, &evidence, &series));
    issues.extend(data::features_stale(&series));
    issues.extend(data::keeps_failing(&series));
    issues.extend(data::suspected_delisted(&series));
    issues.extend(data::half_restated(&series));
    issues.extend(high_failure_rate(settings, &evidence));
    issues.extend(data::split_disputed(&evidence));
    issues.extend(rate_limited(&evidence));
    issues.extend(data::low_quality(&evidence, &series));
    issues.extend(evidence.breakers.iter().filter_map(held));
    issues.extend(disk::disk_low(&evidence));
    issues.extend(evidence.pause.as_ref().map(paused));
    issues.extend(unsent::alerts_unsent(settings, &evidence));
    issues.sort_by_key(|issue| std::cmp::Reverse(issue.severity));
    let status = match issues.first().map(|issue| issue.severity) {
        None => Status::Healthy,
        Some(Severity::Warning) => Status::Degraded,
        Some(Severity::Critical) => Status::Critical,
    };
    let counts = evidence.staleness.counts();
    let stale_features =
        evidence.staleness.series.iter().filter(|row| data::has_old_features(row)).count();
    Health {
        status,
        summary: summary(status, &issues, counts),
        issues,
        counts,
        stale_features: stale_features as u64,
        monitored_symbols: settings.members().count() as u64,
        evidence: Some(evidence),
    }
}

fn summary(status: Status, issues: &[Issue], counts: Counts) -> String {
    let word = status.sign();
    let Counts { fresh, aging, stale, missing } = counts;
    let series = format!("{fresh} fresh, {aging} aging, {stale} stale, {missing} missing");
    match issues {
        [] => format!("{word} - {series}"),
        [first] => format!("{word} - {} ({series})", first.message),
        [first, rest @ ..] => {
            format!("{word} - {}; {} more ({series})", first.message, rest.len())
        }
    }
}

fn run_overdue(settings: &Settings, evidence: &Evidence) -> Option<Issue> {
    if evidence.running.is_some() || evidence.pause.is_some() {
        return None;
    }
    let limit = i64::try_from(settings.health.max_run_age.as_secs()).unwrap_or(i64::MAX);
    let last = evidence.last.as_ref().and_then(|run| run.completed_at.or(Some(run.started_at)));
    let message = match last {
        None => "no run has finished yet".to_owned(),
        Some(at) if evidence.wall_now.saturating_sub(at) > limit => format!(
            "the last run finished {} ago, the limit is {}",
            span(evidence.wall_now.saturating_sub(at)),
            span(limit)
        ),
        Some(_) => return None,
    };
    Some(Issue {
        code: "run_overdue",
        severity: Severity::Critical,
        subject: "runs".to_owned(),
        count: 1,
        since: last,
        message,
        hint: "mdctl backfill; then see why whatever calls it, cron or a timer, did not".to_owned(),
    })
}

fn last_run(evidence: &Evidence) -> Option<Issue> {
    let run = evidence.last.as_ref()?;
    let (code, severity, message) = match run.status {
        RunStatus::Failed => (
            "last_run_failed",
            Severity::Critical,
            match &run.error {
                Some(error) => format!("the last run was aborted: {error}"),
                None => format!("all {} jobs of the last run failed", run.totals.failed),
            },
        ),
        RunStatus::Crashed => {
            ("last_run_failed", Severity::Critical, "the last run crashed".to_owned())
        }
        RunStatus::Partial => (
            "last_run_partial",
            Severity::Warning,
            format!(
                "{} of {} jobs of the last run failed",
                run.totals.failed, run.totals.symbols_total
            ),
        ),
        _ => return None,
    };
    Some(Issue {
        code,
        severity,
        subject: run.run_id.to_string(),
        count: run.totals.failed.max(1),
        since: run.completed_at.or(Some(run.started_at)),
        message,
        // Not `last`, which may be one that a pause made skip.
        hint: format!("mdctl history {}", run.run_id),
    })
}

/// The providers that are down, each with its issue: those whose breaker is not closed, and those
/// every one of whose jobs in the last run failed.
fn providers_down(settings: &Settings, evidence: &Evidence) -> BTreeMap<String, Issue> {
    let mut down: BTreeMap<String, Issue> = BTreeMap::new();
    if let Some(run) = &evidence.last {
        let failed = providers_failed(settings, evidence, run).into_iter();
        down.extend(failed.map(|(name, why)| (name.clone(), every_job_failed(name, &why, run))));
    }
    // An open breaker tells more: since when, and when it is tried again.
    let open = evidence.breakers.iter().filter_map(breaker_open);
    down.extend(open.map(|issue| (issue.subject.clone(), issue)));
    down
}

/// Providers every one of whose jobs in that run failed, each with a reason, and not for what was asked
/// of them: an unknown symbol is no outage.
fn providers_failed(
    settings: &Settings,
    evidence: &Evidence,
    run: &RunFact,
) -> BTreeMap<String, String> {
    let provider_of: BTreeMap<&str, &str> = settings
        .members()
        .map(|(group, member)| (member.symbol.as_str(), group.provider.as_str()))
        .collect();
    let mut down: BTreeMap<String, String> = BTreeMap::new();
    for failure in &evidence.recent_failures {
        let own_fault = matches!(
            failure.kind,
            ErrorKind::NotFound | ErrorKind::BadRequest | ErrorKind::Validation
        ) || failure.stage != Stage::Fetch
            || failure.timeframe.parse::<Timeframe>().is_err();
        if let (false, true, Some(provider)) =
            (own_fault, failure.run_id == run.run_id, provider_of.get(failure.symbol.as_str()))
        {
            let why = || format!("{} {}", failure.kind, failure.message);
            down.entry((*provider).to_owned()).or_insert_with(why);
        }
    }
    let not_failed = evidence.last_jobs.iter().filter(|job| match job.status {
        // A job without a request says nothing of its provider.
        JobStatus::Completed => job.started_at.is_some(),
        // The provider's own word that it has had enough is no outage, nor is a budget.
        JobStatus::Deferred => true,
        _ => false,
    });
    for job in not_failed {
        if let Some(provider) = provider_of.get(job.symbol.as_str()) {
            down.remove(*provider);
        }
    }
    let is_remote = |name: &String| settings.providers.get(name).is_some_and(|p| !p.is_files());
    down.retain(|name, _| is_remote(name));
    down
}

fn every_job_failed(provider: String, why: &str, run: &RunFact) -> Issue {
    Issue {
        code: "provider_down",
        severity: Severity::Critical,
        count: 1,
        since: Some(run.started_at),
        message: format!("every job of provider {provider} failed: {why}"),
        hint: format!(
            "mdctl history {}; check its status page, the key and the network",
            run.run_id
        ),
        subject: provider,
    }
}

fn breaker_open(row: &BreakerRow) -> Option<Issue> {
    Some(Issue {
        code: "provider_down",
        severity: Severity::Critical,
        subject: row.name.clone(),
        count: 1,
        since: row.opened_at,
        message: row.down()?,
        hint: "check its status page and the network; mdctl breaker list; to ask it before then, \
               mdctl backfill --force --reason TEXT"
            .to_owned(),
    })
}

fn high_failure_rate(settings: &Settings, evidence: &Evidence) -> Option<Issue> {
    let worked = || evidence.recent_runs.iter().filter(|run| run.status != RunStatus::Skipped);
    let sum = |of: fn(&RunFact) -> u64| worked().map(of).sum::<u64>();
    let (failed, total) = (sum(|run| run.totals.failed), sum(|run| run.totals.symbols_total));
    let rate = share(failed, total)?;
    (rate > settings.health.max_failure_rate).then(|| Issue {
        code: "high_failure_rate",
        severity: Severity::Warning,
        subject: "jobs".to_owned(),
        count: failed,
        since: None,
        message: format!(
            "{failed} of {total} recent jobs failed, {:.0} % where {:.0} % are allowed",
            rate * 100.0,
            settings.health.max_failure_rate * 100.0
        ),
        hint: "mdctl history".to_owned(),
    })
}

fn rate_limited(evidence: &Evidence) -> Option<Issue> {
    let sum = |of: fn(&RunFact) -> u64| evidence.recent_runs.iter().map(of).sum::<u64>();
    let limited = sum(|run| run.totals.rate_limited);
    let rate = share(limited, sum(|run| run.totals.requests))?;
    (rate > RATE_LIMITED_SHARE).then(|| Issue {
        code: "rate_limited",
        severity: Severity::Warning,
        subject: "requests".to_owned(),
        count: limited,
        since: None,
        message: format!("{:.0} % of recent requests met a full quota", rate * 100.0),
        hint: "lower `rate` of the provider in the config, or raise the plan".to_owned(),
    })
}

/// A provider that has asked to be left alone for longer than a run waits.
fn held(row: &BreakerRow) -> Option<Issue> {
    Some(Issue {
        code: "rate_limited",
        severity: Severity::Warning,
        subject: row.name.clone(),
        count: 1,
        since: None,
        message: row.waits()?,
        hint: format!(
            "it is asked again by itself; lower its `rate`, or to ask it now, mdctl breaker reset {}",
            row.name
        ),
    })
}

fn paused(pause: &Pause) -> Issue {
    Issue {
        code: "paused",
        severity: Severity::Warning,
        subject: "runs".to_owned(),
        count: 1,
        since: Some(pause.since),
        message: format!("runs are paused {pause}"),
        hint: "mdctl resume".to_owned(),
    }
}
