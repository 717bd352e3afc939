//! Service levels: what was promised, what was kept over a window of time, how much of the allowed
//! trouble is used up, and the incidents behind it.

use std::collections::BTreeMap;

use crate::domain::alert::Objectives;
use crate::domain::fact::{Detected, ProviderRun, RunFact};
use crate::domain::run::RunStatus;
use crate::domain::time::seconds;
use crate::exit::Exit;

use super::metrics::{percentile, share};

mod incidents;

pub use incidents::{Cause, Incident};

/// The facts that service levels are judged by.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Every run of the window, and the last good one before it; oldest first.
    pub runs: Vec<RunFact>,
    /// What providers answered in runs in which jobs failed, and in the first runs after them in which
    /// those that were down answered.
    pub providers: Vec<ProviderRun>,
    /// By response time in milliseconds, how many requests took it.
    pub response_times: BTreeMap<u64, u64>,
    /// How soon new bars were stored.
    pub detected: Detected,
    /// The largest lag of a series now, in seconds; `None` without series.
    pub worst_lag_seconds: Option<i64>,
    /// How old the last finished run may be, in seconds.
    pub max_run_age_seconds: i64,
    /// Whether a run is at work that is no import.
    pub running: bool,
}

/// Service levels, judged.
#[derive(Clone, Debug)]
pub struct Slo {
    /// The first instant of the window, epoch seconds UTC.
    pub since: i64,
    /// How long the window is.
    pub window_seconds: i64,
    /// A row an objective.
    pub objectives: Vec<Objective>,
    /// How long it took to recover, by cause; only causes that occurred.
    pub recovery: Vec<Recovery>,
    /// What went wrong, the newest first.
    pub incidents: Vec<Incident>,
}

/// A promise, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Its name in the config.
    pub name: &'static str,
    /// What its figures are.
    pub unit: Unit,
    /// What was promised.
    pub target: f64,
    /// What was achieved; `None` when there was nothing to judge.
    pub achieved: Option<f64>,
    /// How many runs, requests, bars or incidents it was judged by.
    pub measured: u64,
    /// What is left of the trouble that the promise allows: 1 for all of it, 0 for nothing, below 0 when
    /// more was used; `None` when there was nothing to judge, or nothing is allowed.
    pub budget_left: Option<f64>,
    /// Whether the promise was kept; `None` when there was nothing to judge.
    pub met: Option<bool>,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 0..100.
    Percent,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// Its word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Percent => "percent",
            Self::Seconds => "seconds",
        }
    }
}

/// What incidents of one cause came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// The cause.
    pub cause: Cause,
    /// How many.
    pub incidents: u64,
    /// How many of them are not over.
    pub open: u64,
    /// The longest time from its beginning to its end, or to now: the recovery time.
    pub worst_recovery_seconds: i64,
    /// The longest time from the last good run before it to its end: the recovery point, how old the data
    /// had become. `None` when there was no good run before any.
    pub worst_exposure_seconds: Option<i64>,
}

impl Slo {
    /// What `slo --check` exits with: 2 when a recovery point or time is missed, 1 when something else is.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let missed = |objective: &&Objective| objective.met == Some(false);
        let recovers = |objective: &Objective| matches!(objective.name, "rpo" | "rto");
        let mut missed = self.objectives.iter().filter(missed).peekable();
        if missed.peek().is_none() {
            Exit::Success
        } else if missed.any(recovers) {
            Exit::Failed
        } else {
            Exit::Partial
        }
    }
}

/// Judges the facts of the window that ends at `now`.
#[must_use]
pub fn judge(promised: &Objectives, service: &Service, now: i64) -> Slo {
    let window_seconds = seconds(promised.window);
    let since = now.saturating_sub(window_seconds);
    let rpo_seconds = seconds(promised.rpo);
    let mut incidents = incidents::find(service, rpo_seconds, now);
    incidents.retain(|incident| incident.ended_at.is_none_or(|ended_at| ended_at > since));
    let objectives = vec![
        run_success_rate(promised, service, since),
        fetch_p99(promised, service),
        detection(promised, service),
        rpo(rpo_seconds, service, since),
        rto(promised, &incidents, now),
    ];
    let recovery = Cause::ALL.iter().filter_map(|cause| recovery(*cause, &incidents, now));
    Slo { since, window_seconds, objectives, recovery: recovery.collect(), incidents }
}

/// Runs without a failed job, of those that came to an end of their own.
fn run_success_rate(promised: &Objectives, service: &Service, since: i64) -> Objective {
    let ended = |run: &&RunFact| {
        let counts = matches!(
            run.status,
            RunStatus::Succeeded
                | RunStatus::Deferred
                | RunStatus::Partial
                | RunStatus::Failed
                | RunStatus::Crashed
        );
        counts && run.started_at >= since
    };
    let runs: Vec<&RunFact> = service.runs.iter().filter(ended).collect();
    let is_good =
        |run: &&&RunFact| matches!(run.status, RunStatus::Succeeded | RunStatus::Deferred);
    let good = runs.iter().filter(is_good).count() as u64;
    of_share("run_success_rate", promised.run_success_rate, good, runs.len() as u64)
}

/// New bars at the tails of series that came soon enough.
fn detection(promised: &Objectives, service: &Service) -> Objective {
    let Detected { bars, in_time } = service.detected;
    of_share("detection", promised.detection.share, in_time, bars)
}

/// A promise of a share, of which `good` of `all` were good.
fn of_share(name: &'static str, target: f64, good: u64, all: u64) -> Objective {
    // Rounded once, as the promise is: 119 of 125 are 95.2, and not a little less.
    let achieved = (all > 0).then(|| good as f64 * 100.0 / all as f64);
    let allowed = 100.0 - target;
    Objective {
        name,
        unit: Unit::Percent,
        target,
        achieved,
        measured: all,
        budget_left: achieved.and_then(|achieved| left(100.0 - achieved, allowed)),
        met: achieved.map(|achieved| achieved >= target),
    }
}

/// The time that 99 of a hundred requests took at most; one of a hundred may take longer.
fn fetch_p99(promised: &Objectives, service: &Service) -> Objective {
    let times = &service.response_times;
    let all: u64 = times.values().sum();
    let target = promised.fetch_p99.as_secs_f64();
    let target_ms = promised.fetch_p99.as_millis();
    let slow = times.iter().filter(|(ms, _)| u128::from(**ms) > target_ms);
    let slow: u64 = slow.map(|(_, requests)| requests).sum();
    let achieved = percentile(times, all, 99).map(|ms| ms as f64 / 1000.0);
    Objective {
        name: "fetch_p99",
        unit: Unit::Seconds,
        target,
        achieved,
        measured: all,
        budget_left: share(slow, all).and_then(|slow| left(slow, 0.01)),
        met: achieved.map(|achieved| achieved <= target),
    }
}

/// The largest lag at the end of a run of the window, and now.
fn rpo(target: i64, service: &Service, since: i64) -> Objective {
    let runs = service.runs.iter().filter(|run| run.started_at >= since);
    let lags: Vec<i64> =
        runs.filter_map(|run| run.worst_lag_seconds).chain(service.worst_lag_seconds).collect();
    of_time("rpo", target, lags.iter().max().copied(), lags.len())
}

/// The longest time from a failed run to the next good one.
fn rto(promised: &Objectives, incidents: &[Incident], now: i64) -> Objective {
    let failed: Vec<&Incident> =
        incidents.iter().filter(|incident| incident.cause.is_failure()).collect();
    let worst = failed.iter().map(|incident| incident.recovery_seconds(now)).max();
    of_time("rto", seconds(promised.rto), worst, failed.len())
}

/// A promise of a time that nothing takes longer than.
fn of_time(name: &'static str, target: i64, worst: Option<i64>, measured: usize) -> Objective {
    Objective {
        name,
        unit: Unit::Seconds,
        target: target as f64,
        achieved: worst.map(|worst| worst as f64),
        measured: measured as u64,
        budget_left: worst.and_then(|worst| left(worst as f64, target as f64)),
        met: worst.map(|worst| worst <= target),
    }
}

fn recovery(cause: Cause, incidents: &[Incident], now: i64) -> Option<Recovery> {
    let own: Vec<&Incident> = incidents.iter().filter(|incident| incident.cause == cause).collect();
    Some(Recovery {
        cause,
        incidents: own.len() as u64,
        open: own.iter().filter(|incident| incident.ended_at.is_none()).count() as u64,
        worst_recovery_seconds: own.iter().map(|one| one.recovery_seconds(now)).max()?,
        worst_exposure_seconds: own.iter().filter_map(|one| one.exposure_seconds(now)).max(),
    })
}

/// What is left when `used` of what is `allowed` is used; `None` when nothing is allowed.
fn left(used: f64, allowed: f64) -> Option<f64> {
    (allowed > 0.0).then(|| 1.0 - used / allowed)
}

#[cfg(test)]
mod tests;
