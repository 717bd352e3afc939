//! The verdict: can the data be trusted right now, and if not, what is to be done?

use std::collections::BTreeMap;
use std::fmt;

use crate::config::Settings;
use crate::domain::alert::{Severity, Unsent};
use crate::domain::control::Pause;
use crate::domain::fact::{FailureFact, JobFact, RunFact};
use crate::exit::Exit;

mod code;
mod data;
mod disk;
mod providers;
mod runs;
mod unsent;

pub use code::Code;
pub use disk::Disk;

use super::actions::ActionState;
use super::breaker::BreakerRow;
use super::holes::Hole;
use super::quality::SeriesQuality;
use super::staleness::{Counts, LeftOut, SeriesState, Staleness};

/// The facts that the verdict rests on.
#[derive(Debug)]
pub struct Evidence {
    /// Every series' freshness.
    pub staleness: Staleness,
    /// Whether the config tracks no symbol at all, a shard's or not.
    pub tracks_none: bool,
    /// Recent holes in what is stored, the largest first.
    pub holes: Vec<Hole>,
    /// What lies ahead of the clock, in words; `None` when nothing does.
    pub ahead: Option<String>,
    /// Series whose score is low for what is held of them, the worst first.
    pub low_quality: Vec<SeriesQuality>,
    /// The run at work.
    pub running: Option<RunFact>,
    /// The last run that ended; those that a pause made skip tell nothing and do not count.
    pub last: Option<RunFact>,
    /// The jobs of that run; none are needed of one that succeeded.
    pub last_jobs: Vec<JobFact>,
    /// What failed in that run: all of it, as one provider's failures are not to hide another's; likewise
    /// not needed of one that succeeded.
    pub last_failures: Vec<FailureFact>,
    /// The last run that succeeded.
    pub last_success: Option<RunFact>,
    /// Runs within `[health] recent`.
    pub recent_runs: Vec<RunFact>,
    /// Failures within `[health] recent`, newest first; those of imports are not among them, nor are
    /// these among the runs.
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
    pub code: Code,
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
    let down = providers::down(settings, &evidence);
    let mut issues: Vec<Issue> = Vec::new();
    issues.extend(runs::run_overdue(settings, &evidence));
    issues.extend(runs::last_run(&evidence));
    issues.extend(down.values().cloned());
    let staleness = &evidence.staleness;
    let series: Vec<&SeriesState> =
        staleness.series.iter().filter(|row| !down.contains_key(&*row.provider)).collect();
    let mut others = LeftOut::default();
    let left_out =
        staleness.left_out.iter().filter(|(provider, _)| !down.contains_key(&***provider));
    left_out.for_each(|(_, left_out)| others.join(left_out));
    issues.extend(data::no_symbols(&evidence));
    issues.extend(data::series_missing(&evidence, &series, &others));
    issues.extend(data::series_stale(settings, &evidence, &series, &others));
    issues.extend(data::series_holes(&evidence, &down));
    issues.extend(data::features_stale(&series, &others));
    issues.extend(data::keeps_failing(&series));
    issues.extend(data::suspected_delisted(&series));
    issues.extend(data::half_restated(&series));
    issues.extend(runs::high_failure_rate(settings, &evidence));
    issues.extend(data::split_disputed(&evidence));
    issues.extend(runs::rate_limited(&evidence));
    issues.extend(data::low_quality(settings, &evidence, &down));
    issues.extend(evidence.breakers.iter().filter_map(providers::held));
    issues.extend(runs::clock_wrong(&evidence));
    issues.extend(disk::disk_low(&evidence));
    issues.extend(evidence.pause.as_ref().map(runs::paused));
    issues.extend(unsent::alerts_unsent(settings, &evidence));
    issues.sort_by_key(|issue| std::cmp::Reverse(issue.severity));
    let status = match issues.first().map(|issue| issue.severity) {
        None => Status::Healthy,
        Some(Severity::Warning) => Status::Degraded,
        Some(Severity::Critical) => Status::Critical,
    };
    let counts = evidence.staleness.counts();
    let staleness = &evidence.staleness;
    let told = staleness.series.iter().filter(|row| row.has_old_features()).count() as u64;
    let stale_features =
        told + staleness.left_out.values().map(|left_out| left_out.old_features).sum::<u64>();
    Health {
        status,
        summary: summary(status, &issues, counts),
        issues,
        counts,
        stale_features,
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
