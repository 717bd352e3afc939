//! What is wrong with the runs: late, failed, refused for too many requests, or paused.

use crate::config::Settings;
use crate::domain::alert::Severity;
use crate::domain::control::Pause;
use crate::domain::fact::RunFact;
use crate::domain::run::RunStatus;
use crate::domain::time::seconds;
use crate::domain::words::span;

use super::super::metrics::share;
use super::{Code, Evidence, Issue};

/// The largest share of answers saying "too many requests" that is still all right.
const RATE_LIMITED_SHARE: f64 = 0.05;

pub(super) fn run_overdue(settings: &Settings, evidence: &Evidence) -> Option<Issue> {
    // An import keeps the others waiting; it is not what is overdue.
    let import = evidence.running.as_ref().filter(|run| run.is_import());
    if evidence.running.is_some() && import.is_none() || evidence.pause.is_some() {
        return None;
    }
    let limit = seconds(settings.health.max_run_age);
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
        code: Code::RunOverdue,
        severity: Severity::Critical,
        subject: "runs".to_owned(),
        count: 1,
        since: last,
        message: match import {
            Some(import) => format!("{message}; import {} keeps others waiting", import.run_id),
            None => message,
        },
        hint: match import {
            Some(_) => "mdctl status; let the import end, or stop it: what it has stored is kept",
            None if last.is_none() => {
                "mdctl backfill; then let something call it: mdctl units print, or print --cron"
            }
            None => "mdctl backfill; then see why whatever calls it, cron or a timer, did not",
        }
        .to_owned(),
    })
}

/// The clock was, or is, wrong: what is dated after now was not written now.
pub(super) fn clock_wrong(evidence: &Evidence) -> Option<Issue> {
    let ahead = evidence.ahead.as_ref()?;
    Some(Issue {
        code: Code::ClockWrong,
        severity: Severity::Warning,
        subject: "clock".to_owned(),
        count: 1,
        since: None,
        message: format!("{ahead}, ahead of this machine's clock, which is wrong or was so then"),
        hint: "mdctl doctor; it compares the clock with the providers'".to_owned(),
    })
}

pub(super) fn last_run(evidence: &Evidence) -> Option<Issue> {
    let run = evidence.last.as_ref()?;
    let (code, severity, message) = match run.status {
        RunStatus::Failed => (
            Code::LastRunFailed,
            Severity::Critical,
            match &run.error {
                Some(error) => format!("the last run was aborted: {error}"),
                None => format!("all {} jobs of the last run failed", run.totals.failed),
            },
        ),
        RunStatus::Crashed => {
            (Code::LastRunFailed, Severity::Critical, "the last run crashed".to_owned())
        }
        RunStatus::Partial => (
            Code::LastRunPartial,
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

pub(super) fn high_failure_rate(settings: &Settings, evidence: &Evidence) -> Option<Issue> {
    // Of a run at work nobody knows how many of its jobs are going to fail.
    let is_over = |run: &&RunFact| !matches!(run.status, RunStatus::Skipped | RunStatus::Running);
    let worked = || evidence.recent_runs.iter().filter(is_over);
    let sum = |of: fn(&RunFact) -> u64| worked().map(of).sum::<u64>();
    let (failed, total) = (sum(|run| run.totals.failed), sum(|run| run.totals.symbols_total));
    let rate = share(failed, total)?;
    (rate > settings.health.max_failure_rate).then(|| Issue {
        code: Code::HighFailureRate,
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

pub(super) fn rate_limited(evidence: &Evidence) -> Option<Issue> {
    let sum = |of: fn(&RunFact) -> u64| evidence.recent_runs.iter().map(of).sum::<u64>();
    let limited = sum(|run| run.totals.rate_limited);
    let rate = share(limited, sum(|run| run.totals.requests))?;
    (rate > RATE_LIMITED_SHARE).then(|| Issue {
        code: Code::RateLimited,
        severity: Severity::Warning,
        subject: "requests".to_owned(),
        count: limited,
        since: None,
        message: format!("{:.0} % of recent requests met a full quota", rate * 100.0),
        hint: "lower `rate` of the provider in the config, or raise the plan".to_owned(),
    })
}

pub(super) fn paused(pause: &Pause) -> Issue {
    Issue {
        code: Code::Paused,
        severity: Severity::Warning,
        subject: "runs".to_owned(),
        count: 1,
        since: Some(pause.since),
        message: format!("runs are paused {pause}"),
        hint: "mdctl resume".to_owned(),
    }
}
