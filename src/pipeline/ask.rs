//! Whom a run asks, and on what terms.

use std::collections::BTreeMap;

use crate::calendar::due::Due;
use crate::clock::Timeline;
use crate::config::{ProviderSettings, Settings};
use crate::domain::series::Symbol;
use crate::domain::shard::Shard;
use crate::domain::task::{Job, Task};
use crate::fetch::{self, Engine, Fetching};
use crate::plan::Plan;
use crate::store::{Store, StoreResult};

use super::{Request, import};

/// Whom a request asks.
fn asked(settings: &Settings, request: &Request) -> BTreeMap<String, ProviderSettings> {
    if request.import.is_none() {
        return providers(settings, request.selection.shard);
    }
    let reader = import::reader(settings);
    reader.into_iter().map(|reader| (reader.name.clone(), reader)).collect()
}

/// What a run asks with.
pub(super) struct Asking<'a> {
    engine: &'a Engine,
    settings: &'a Settings,
    request: &'a Request,
    pub(super) providers: BTreeMap<String, ProviderSettings>,
    timeline: &'a Timeline,
}

impl<'a> Asking<'a> {
    /// What a request asks with.
    pub(super) fn of(
        engine: &'a Engine,
        settings: &'a Settings,
        request: &'a Request,
        timeline: &'a Timeline,
    ) -> Self {
        Self { engine, settings, request, providers: asked(settings, request), timeline }
    }

    /// Begins to fetch jobs, after so many requests; `None` when there are none. What earlier runs left of the
    /// providers is read from `remembering`.
    pub(super) fn begin(
        &self,
        jobs: Vec<Job>,
        remembering: &Store,
        used: u64,
    ) -> StoreResult<Option<Fetching>> {
        if jobs.is_empty() {
            return Ok(None);
        }
        let remembered = remembering.provider_states()?;
        let (timeline, options) = (self.timeline.clone(), self.options(used));
        Ok(Some(fetch::start(self.engine, jobs, &self.providers, remembered, timeline, options)))
    }

    /// How it fetches after so many requests.
    pub(super) fn options(&self, used: u64) -> fetch::Options {
        let Self { settings, request, .. } = self;
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
