//! What went wrong, from the run that showed it first to the one that showed that it was over.

use std::collections::BTreeMap;

use crate::domain::fact::{ProviderRun, RunFact};
use crate::domain::run::{RunId, RunStatus};
use crate::domain::words::{counted, span};

use super::Service;

/// Why something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A provider answered nothing in a run.
    ProviderOutage,
    /// A run ended without saying so: killed, or the machine went down.
    Crash,
    /// A run was aborted, or all of its jobs failed for what was asked.
    RunFailed,
    /// No run came for longer than it may take.
    NoRun,
    /// Somebody paused the runs.
    Pause,
    /// A series lagged more than the recovery point allows.
    StaleData,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 6] = [
        Self::ProviderOutage,
        Self::Crash,
        Self::RunFailed,
        Self::NoRun,
        Self::Pause,
        Self::StaleData,
    ];

    /// Its word in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderOutage => "provider_outage",
            Self::Crash => "crash",
            Self::RunFailed => "run_failed",
            Self::NoRun => "no_run",
            Self::Pause => "pause",
            Self::StaleData => "stale_data",
        }
    }

    /// Whether it begins with a failed run, so that the recovery time is measured by it.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::ProviderOutage | Self::Crash | Self::RunFailed)
    }
}

/// Something that went wrong, and how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Why.
    pub cause: Cause,
    /// What it was about: a provider, `runs` or `series`.
    pub subject: String,
    /// Epoch seconds UTC.
    pub started_at: i64,
    /// Epoch seconds UTC; `None` while it lasts.
    pub ended_at: Option<i64>,
    /// When the last good run before it had ended, epoch seconds UTC; `None` without one.
    pub last_good_at: Option<i64>,
    /// The run that showed it first; `None` where no run did.
    pub run_id: Option<RunId>,
    /// In words.
    pub detail: String,
}

impl Incident {
    /// From its beginning to its end, or to `now`.
    #[must_use]
    pub fn recovery_seconds(&self, now: i64) -> i64 {
        self.ended_at.unwrap_or(now).saturating_sub(self.started_at).max(0)
    }

    /// From the last good run before it to its end, or to `now`: how old the data had become. `None`
    /// without a good run before it.
    #[must_use]
    pub fn exposure_seconds(&self, now: i64) -> Option<i64> {
        let last_good_at = self.last_good_at?;
        Some(self.ended_at.unwrap_or(now).saturating_sub(last_good_at).max(0))
    }
}

/// Every incident, the newest first.
pub(super) fn find(service: &Service, rpo_seconds: i64, now: i64) -> Vec<Incident> {
    let mut book = Book::default();
    for run in &service.runs {
        book.take(run, &service.providers, service.max_run_age_seconds, rpo_seconds);
    }
    if !service.running {
        book.no_run_until(now, service.max_run_age_seconds, None);
    }
    book.lag_is(service.worst_lag_seconds, rpo_seconds, now, None);
    let mut incidents = book.closed;
    incidents.extend(book.open.into_values());
    incidents.sort_by_key(|incident| std::cmp::Reverse((incident.started_at, incident.cause)));
    incidents
}

/// What is known after the runs so far.
#[derive(Default)]
struct Book {
    open: BTreeMap<(Cause, String), Incident>,
    closed: Vec<Incident>,
    /// When the last good run ended.
    last_good_at: Option<i64>,
    /// When the last run of any kind ended, or a pause was seen to last.
    last_seen_at: Option<i64>,
}

impl Book {
    fn take(
        &mut self,
        run: &RunFact,
        providers: &[ProviderRun],
        max_run_age: i64,
        rpo_seconds: i64,
    ) {
        let ended_at = run.completed_at.unwrap_or(run.started_at);
        self.no_run_until(run.started_at, max_run_age, Some(ended_at));
        match run.status {
            // Who is at work shows nothing yet.
            RunStatus::Running => return,
            // Who was stopped by hand came, and shows nothing else.
            RunStatus::Interrupted => {
                self.last_seen_at = Some(ended_at);
                return;
            }
            RunStatus::Skipped => {
                let words = run.error.clone().unwrap_or_else(|| "paused".to_owned());
                self.begin(Cause::Pause, "runs", run, words);
            }
            RunStatus::Crashed => self.begin(
                Cause::Crash,
                "runs",
                run,
                "a run was killed, or the machine went down".to_owned(),
            ),
            RunStatus::Failed | RunStatus::Partial => self.take_failed(run, providers),
            RunStatus::Succeeded | RunStatus::Deferred => {
                self.end_all(|cause| matches!(cause, Cause::Crash | Cause::RunFailed), ended_at);
            }
        }
        self.take_answers(run, providers);
        self.last_seen_at = Some(ended_at);
        if run.status != RunStatus::Skipped {
            self.end_all(|cause| cause == Cause::Pause, ended_at);
        }
        if run.completed_at.is_some() {
            self.lag_is(run.worst_lag_seconds, rpo_seconds, ended_at, Some(&run.run_id));
        }
        let brings = [RunStatus::Succeeded, RunStatus::Deferred, RunStatus::Partial];
        if brings.contains(&run.status) {
            self.last_good_at = Some(ended_at);
        }
    }

    /// A provider that answers in a run is well again; one that is not asked in it shows nothing.
    fn take_answers(&mut self, run: &RunFact, providers: &[ProviderRun]) {
        let ended_at = run.completed_at.unwrap_or(run.started_at);
        let own = providers.iter().filter(|provider| provider.run_id == run.run_id);
        for provider in own.filter(|provider| provider.answered > 0) {
            self.end(&(Cause::ProviderOutage, provider.provider.clone()), ended_at);
        }
    }

    /// A run in which jobs failed: a provider may be down in it.
    fn take_failed(&mut self, run: &RunFact, providers: &[ProviderRun]) {
        let ended_at = run.completed_at.unwrap_or(run.started_at);
        let mut is_outage = false;
        for provider in providers.iter().filter(|provider| provider.run_id == run.run_id) {
            if provider.answered == 0 && provider.troubled > 0 {
                is_outage = true;
                let words =
                    format!("it answered nothing, {} failed", counted(provider.troubled, "time"));
                self.begin(Cause::ProviderOutage, &provider.provider, run, words);
            }
        }
        if run.status == RunStatus::Partial {
            self.end_all(|cause| matches!(cause, Cause::Crash | Cause::RunFailed), ended_at);
        } else if !is_outage || run.error.is_some() {
            let words = run.error.clone().unwrap_or_else(|| "every job failed".to_owned());
            self.begin(Cause::RunFailed, "runs", run, words);
        }
    }

    /// A run at `until`, or now: was there none for too long? Then the next one's end is its end.
    fn no_run_until(&mut self, until: i64, max_run_age: i64, ended_at: Option<i64>) {
        let Some(last) = self.last_seen_at else { return };
        let due_at = last.saturating_add(max_run_age);
        if until <= due_at {
            return;
        }
        let incident = Incident {
            cause: Cause::NoRun,
            subject: "runs".to_owned(),
            started_at: due_at,
            ended_at,
            last_good_at: self.last_good_at,
            run_id: None,
            detail: format!("no run for {}", span(until.saturating_sub(last))),
        };
        match ended_at {
            Some(_) => self.closed.push(incident),
            None => drop(self.open.insert((Cause::NoRun, "runs".to_owned()), incident)),
        }
    }

    /// The largest lag at an instant. It begins when the series became later than allowed, as far back as
    /// the last instant that showed none.
    fn lag_is(&mut self, lag: Option<i64>, rpo_seconds: i64, at: i64, run_id: Option<&RunId>) {
        let Some(lag) = lag else { return };
        let key = (Cause::StaleData, "series".to_owned());
        if lag <= rpo_seconds {
            self.end(&key, at);
            return;
        }
        let detail = format!("a series is {} behind", span(lag));
        let incident = self.open.entry(key).or_insert_with(|| Incident {
            cause: Cause::StaleData,
            subject: "series".to_owned(),
            started_at: at.saturating_sub(lag).saturating_add(rpo_seconds),
            ended_at: None,
            last_good_at: Some(at.saturating_sub(lag)),
            run_id: run_id.cloned(),
            detail: String::new(),
        });
        incident.detail = detail;
    }

    fn begin(&mut self, cause: Cause, subject: &str, run: &RunFact, detail: String) {
        let last_good_at = self.last_good_at;
        self.open.entry((cause, subject.to_owned())).or_insert_with(|| Incident {
            cause,
            subject: subject.to_owned(),
            started_at: run.started_at,
            ended_at: None,
            last_good_at,
            run_id: Some(run.run_id.clone()),
            detail,
        });
    }

    fn end(&mut self, key: &(Cause, String), at: i64) {
        if let Some(incident) = self.open.remove(key) {
            self.closed.push(Incident { ended_at: Some(at), ..incident });
        }
    }

    fn end_all(&mut self, is_over: impl Fn(Cause) -> bool, at: i64) {
        let keys: Vec<_> = self.open.keys().filter(|(cause, _)| is_over(*cause)).cloned().collect();
        keys.iter().for_each(|key| self.end(key, at));
    }
}
