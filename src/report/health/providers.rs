//! What is wrong with the providers: down, or held at their own word.

use std::collections::BTreeMap;

use crate::config::Settings;
use crate::domain::alert::Severity;
use crate::domain::fact::RunFact;
use crate::domain::run::{ErrorKind, JobStatus, Stage};
use crate::domain::timeframe::Timeframe;

use super::super::breaker::BreakerRow;
use super::{Code, Evidence, Issue};

/// The providers that are down, each with its issue: those whose breaker is not closed, and those
/// every one of whose jobs in the last run failed.
pub(super) fn down(settings: &Settings, evidence: &Evidence) -> BTreeMap<String, Issue> {
    let mut down: BTreeMap<String, Issue> = BTreeMap::new();
    if let Some(run) = &evidence.last {
        let failed = failed(settings, evidence).into_iter();
        down.extend(failed.map(|(name, why)| (name.clone(), every_job_failed(name, &why, run))));
    }
    // An open breaker tells more: since when, and when it is tried again.
    let open = evidence.breakers.iter().filter_map(breaker_open);
    down.extend(open.map(|issue| (issue.subject.clone(), issue)));
    down
}

/// Providers every one of whose jobs in the last run failed, each with a reason, and not for what was asked
/// of them: an unknown symbol is no outage.
fn failed(settings: &Settings, evidence: &Evidence) -> BTreeMap<String, String> {
    let provider_of: BTreeMap<&str, &str> = settings
        .members()
        .map(|(group, member)| (member.symbol.as_str(), group.provider.as_str()))
        .collect();
    let mut down: BTreeMap<String, String> = BTreeMap::new();
    for failure in &evidence.last_failures {
        let own_fault = matches!(
            failure.kind,
            ErrorKind::NotFound | ErrorKind::BadRequest | ErrorKind::Validation
        ) || failure.stage != Stage::Fetch
            || failure.timeframe.parse::<Timeframe>().is_err();
        if let (false, Some(provider)) = (own_fault, provider_of.get(failure.symbol.as_str())) {
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
        code: Code::ProviderDown,
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
        code: Code::ProviderDown,
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

/// A provider that has asked to be left alone for longer than a run waits.
pub(super) fn held(row: &BreakerRow) -> Option<Issue> {
    Some(Issue {
        code: Code::RateLimited,
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
