//! A sample of what is tracked: some symbols of one provider, and of each timeframe one full page, so that
//! every step of a rehearsal asks for little, and for what a backfill asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Settings;
use crate::domain::range::TimeRange;
use crate::domain::series::Symbol;
use crate::domain::task::Task;
use crate::domain::timeframe::Timeframe;
use crate::plan::{self, Plan};

use super::want::{self, Holdings, Selection};

/// Some symbols of one provider.
#[derive(Debug)]
pub struct Sample {
    /// The settings with nothing else in them.
    pub settings: Settings,
    /// How many symbols that are.
    pub symbols: u64,
    /// How many there are of which something is due.
    pub tracked: u64,
    /// Requests of a backfill of them, about; of a provider of files, files.
    pub requests: u64,
    /// Likewise, of a backfill of all that is tracked with the provider, from as far back as the config
    /// says.
    pub whole: u64,
}

/// Takes a sample of the first `most` symbols of `provider` of which something is due at `now`: as many as
/// `enough` says, which is told how many requests each of them takes.
#[must_use]
pub fn sample(
    settings: &Settings,
    provider: &str,
    most: usize,
    enough: impl Fn(&[u64]) -> usize,
    now: i64,
) -> Sample {
    let mut settings = settings.clone();
    settings.providers.retain(|name, _| name == provider);
    settings.groups.retain(|group| group.provider == provider);
    let everything = plan_of(&settings, now);
    let whole = everything.jobs.iter().map(|job| pages(&job.tasks)).sum();
    let due: BTreeSet<Symbol> = everything.jobs.iter().map(|job| job.symbol.clone()).collect();
    let first = first(&settings, |symbol| due.contains(symbol), most);
    keep(&mut settings, &first);
    cut_to_a_page(&mut settings, &everything, now);
    let by_symbol: BTreeMap<Symbol, u64> = plan_of(&settings, now)
        .jobs
        .into_iter()
        .map(|job| (job.symbol, pages(&job.tasks)))
        .collect();
    let first: Vec<Symbol> =
        first.into_iter().filter(|symbol| by_symbol.contains_key(symbol)).collect();
    let each: Vec<u64> = first.iter().map(|symbol| by_symbol[symbol]).collect();
    let taken = enough(&each).min(each.len());
    keep(&mut settings, &first[..taken]);
    let requests = each[..taken].iter().sum();
    let tracked = due.len() as u64;
    Sample { settings, symbols: taken as u64, tracked, requests, whole }
}

/// The plan of a first backfill.
fn plan_of(settings: &Settings, now: i64) -> Plan {
    let (wants, _) = want::wants(settings, &Selection::default(), &Holdings::default(), now);
    plan::make(&wants, &[], &plan::Options::default(), now)
}

/// Pages of tasks, about.
fn pages(tasks: &[Task]) -> u64 {
    tasks.iter().map(|task| 1 + task.further_pages).sum()
}

/// The first symbols that are meant, in the order of the config.
fn first(settings: &Settings, is_meant: impl Fn(&Symbol) -> bool, most: usize) -> Vec<Symbol> {
    let symbols = settings.members().map(|(_, member)| member.symbol.clone());
    symbols.filter(is_meant).take(most).collect()
}

/// Leaves these symbols and no other.
fn keep(settings: &mut Settings, symbols: &[Symbol]) {
    for group in &mut settings.groups {
        group.members.retain(|member| symbols.contains(&member.symbol));
    }
}

/// Cuts every lookback that takes several pages to the newest of as many equal parts.
fn cut_to_a_page(settings: &mut Settings, plan: &Plan, now: i64) {
    let mut spans: BTreeMap<(&Symbol, Timeframe), (TimeRange, u64)> = BTreeMap::new();
    for task in plan.jobs.iter().flat_map(|job| &job.tasks) {
        let span = spans.entry((&task.key.symbol, task.key.timeframe));
        let (range, pages) = span.or_insert((task.range, 0));
        *range = range.hull(task.range);
        *pages += 1 + task.further_pages;
    }
    for group in &mut settings.groups {
        for (timeframe, stored) in &mut group.timeframes {
            let own = group.members.iter().filter_map(|one| spans.get(&(&one.symbol, *timeframe)));
            let Some((range, pages)) = own.max_by_key(|(_, pages)| *pages) else { continue };
            if *pages > 1 {
                let page = range.seconds() / i64::try_from(*pages).unwrap_or(i64::MAX);
                let back = now.saturating_sub(range.end.saturating_sub(page));
                let lookback = Duration::from_secs(u64::try_from(back).unwrap_or(0));
                stored.lookback = stored.lookback.min(lookback);
            }
        }
    }
}
