//! `--dry-run`: the plan, and what it would cost.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::ProviderSettings;
use crate::exit::Exit;
use crate::pipeline::{self, Request};
use crate::plan::Plan;
use crate::render;
use crate::render::plan::Costed;

use super::super::scene::Scene;
use super::super::{Done, print};

/// Shows the plan. Reads the database, if there is one, and writes nothing.
pub(super) fn show(request: &Request, scene: &Scene) -> Done {
    let database = &scene.settings.database;
    let store = if database.exists() { Some(scene.reader()?) } else { None };
    let (plan, notes) = pipeline::plan(&scene.settings, store.as_ref(), request, scene.wall_now)?;
    let providers = pipeline::providers(&scene.settings, request.selection.shard);
    let tasks = plan.jobs.iter().flat_map(|job| &job.tasks);
    let alone: u64 = tasks.map(|task| task.further_pages).sum();
    let further =
        alone + plan.shared().keys().map(|(.., shared)| shared.further_pages).sum::<u64>();
    let costed = Costed {
        requests: pipeline::requests(&plan, &providers),
        further,
        quota_time: quota_time(&providers, &plan),
        plan: &plan,
        notes: &notes,
    };
    print(|out| {
        if scene.json {
            render::plan::json(out, &costed, scene.now())
        } else {
            render::plan::table(out, &costed, scene.look)
        }
    })?;
    Ok(Exit::Success)
}

/// The time in which the slowest provider's quota allows its share of the plan.
fn quota_time(providers: &BTreeMap<String, ProviderSettings>, plan: &Plan) -> Duration {
    let of = |name: &str| {
        let tasks = plan.jobs.iter().flat_map(|job| &job.tasks);
        let own = tasks.filter(|task| task.provider == name);
        let alone: u64 = own.map(|task| task.own_requests() + task.further_pages).sum();
        let shared = plan.shared().into_keys().filter(|(provider, ..)| *provider == name);
        alone + shared.map(|(.., shared)| 1 + shared.further_pages).sum::<u64>()
    };
    let http = providers.values().filter(|provider| !provider.is_files());
    http.flat_map(|provider| provider.rates.iter().map(|rate| (rate, of(&provider.name))))
        .map(|(rate, requests)| {
            let at_once = u64::from(rate.burst.unwrap_or(rate.requests));
            let waits = requests.saturating_sub(at_once).div_ceil(u64::from(rate.requests));
            rate.per.saturating_mul(u32::try_from(waits).unwrap_or(u32::MAX))
        })
        .max()
        .unwrap_or_default()
}
