//! Whom a run asks, and on what terms.

use std::collections::BTreeMap;

use crate::calendar::due::Due;
use crate::config::{ProviderSettings, Settings};
use crate::domain::series::Symbol;
use crate::domain::shard::Shard;
use crate::domain::task::Task;
use crate::fetch;
use crate::plan::Plan;

use super::{Request, import};

/// Whom a request asks.
pub(super) fn asked(settings: &Settings, request: &Request) -> BTreeMap<String, ProviderSettings> {
    if request.import.is_none() {
        return providers(settings, request.selection.shard);
    }
    let reader = import::reader(settings);
    reader.into_iter().map(|reader| (reader.name.clone(), reader)).collect()
}

/// How a run fetches that has sent so many requests already.
pub(super) fn fetch_options(settings: &Settings, request: &Request, used: u64) -> fetch::Options {
    fetch::Options {
        parallel: request.parallel,
        stagger: settings.run.stagger,
        job_retries: request.job_retries,
        max_requests: request.max_requests.map(|most| most.saturating_sub(used)),
        time: request.time,
        grace: settings.run.grace,
        forced: request.force.is_some(),
        as_of: request.as_of,
        markets: markets(settings),
    }
}

/// The providers, with this shard's part of their quotas.
#[must_use]
pub fn providers(settings: &Settings, shard: Option<Shard>) -> BTreeMap<String, ProviderSettings> {
    let mut providers = settings.providers.clone();
    if let Some(shard) = shard {
        let rates = providers.values_mut().flat_map(|provider| &mut provider.rates);
        rates.for_each(|rate| *rate = shard.share(*rate));
    }
    providers
}

/// First pages that are requests; files are none.
#[must_use]
pub fn requests(plan: &Plan, providers: &BTreeMap<String, ProviderSettings>) -> u64 {
    let tasks = plan.jobs.iter().flat_map(|job| &job.tasks);
    let asked = tasks.filter(|task| !providers[&task.provider].is_files());
    asked.map(Task::own_requests).sum::<u64>() + plan.shared().len() as u64
}

fn markets(settings: &Settings) -> BTreeMap<Symbol, Due> {
    let members = settings.members();
    members.map(|(group, member)| (member.symbol.clone(), settings.due(group, member))).collect()
}
