//! What would come of an import: its files read and judged as a run does it, and nothing written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::clock::Timeline;
use crate::config::Settings;
use crate::domain::bar::Bar;
use crate::domain::import::{ImportFact, Preview, Trial};
use crate::domain::run::{Failure, Stage, Totals};
use crate::domain::series::{SeriesKey, Symbol};
use crate::fetch::{self, Engine, Judged, Message};
use crate::store::{Claim, Store, StoreResult};
use crate::validate::Checked;
use crate::{clock, pipeline};

use super::ask::Asking;
use super::desk::{Desk, JobLine};
use super::{Import, Request, holdings};

/// Reads the files of a request, and tells what would come of each; `store` is `None` where there is none
/// yet. A signal ends it early.
///
/// # Errors
///
/// When the database cannot be read, or threads cannot be had.
pub fn preview(
    settings: &Settings,
    engine: &Engine,
    store: Option<&Store>,
    request: &Request,
) -> anyhow::Result<Preview> {
    let now = request.as_of.unwrap_or_else(clock::now);
    let (plan, _) = pipeline::plan(settings, store, request, now)?;
    let held = store.map(holdings).transpose()?.unwrap_or_default();
    let lines = JobLine::of(&plan.jobs);
    let mut desk = Desk::new(settings, held, request.run_id.clone(), now, lines, true);
    desk.terms = request.import.as_ref().map(|import| import.terms);
    let timeline = Timeline::begin();
    let asking = Asking::of(engine, settings, request, &timeline);
    let (nothing, jobs) = (BTreeMap::new(), plan.jobs.len() as u64);
    let (providers, options) = (&asking.providers, asking.options(0));
    let mut fetching =
        fetch::start(engine, plan.jobs, providers, nothing, timeline.clone(), options);
    let mut preview = Preview::default();
    let mut brought = request.import.as_ref().map(Brought::of).unwrap_or_default();
    while let Some(message) = fetching.wait() {
        match message {
            Message::Page(page) => desk.try_page(store, *page, &mut brought, &mut preview)?,
            Message::TaskFailed(failure) => preview.failures.push(failure),
            Message::Exhausted(exhausted) => return Err(exhausted.into()),
            _ => {}
        }
    }
    preview.totals = totals(jobs, &preview);
    Ok(preview)
}

/// What the run would have done in the end.
fn totals(jobs: u64, preview: &Preview) -> Totals {
    let symbols = preview.failures.iter().map(|failure| &failure.series.symbol);
    let failed = symbols.collect::<BTreeSet<&Symbol>>().len() as u64;
    let sum = |of: fn(&ImportFact) -> u64| preview.files.iter().map(|file| of(&file.fact)).sum();
    Totals {
        symbols_total: jobs,
        successful: jobs.saturating_sub(failed),
        failed,
        records_inserted: sum(|fact| fact.inserted),
        records_updated: sum(|fact| fact.updated),
        ..Totals::default()
    }
}

/// What files would have brought by the time that others of the same series are read, by `ts`: of a series
/// with one file there is nobody to ask.
#[derive(Default)]
struct Brought(BTreeMap<SeriesKey, BTreeMap<i64, Bar>>);

impl Brought {
    fn of(import: &Import) -> Self {
        let mut files: BTreeMap<&SeriesKey, u64> = BTreeMap::new();
        import.files.iter().for_each(|file| *files.entry(&file.key).or_default() += 1);
        let many = files.into_iter().filter(|(_, files)| *files > 1);
        Self(many.map(|(key, _)| (key.clone(), BTreeMap::new())).collect())
    }
}

impl Desk<'_> {
    /// Judges a page, and adds it to what its file would bring.
    fn try_page(
        &self,
        store: Option<&Store>,
        page: Judged,
        brought: &mut Brought,
        preview: &mut Preview,
    ) -> StoreResult<()> {
        let Judged { fetched, mut checked, .. } = page;
        let key = fetched.task.key.clone();
        let rows = checked.rows() as u64 + fetched.answer.dropped;
        self.leave_out(&fetched, &mut checked);
        let file = fetched.attempt.file.as_deref().map(Path::to_string_lossy);
        let file = file.unwrap_or_default().into_owned();
        if let Some(fault) = self.contradiction(&fetched, &checked) {
            preview.failures.push(Failure {
                series: key,
                about: fetched.task.about,
                stage: Stage::Validate,
                kind: fault.kind,
                message: format!("{file}: {}", fault.message),
                attempts: fetched.attempt.number,
                at: clock::now(),
            });
            return Ok(());
        }
        let before = brought.0.get_mut(&key);
        let (new, differing) = self.held_against(store, &key, &checked.accepted, before)?;
        let trial = trial_of(preview, &file, &key);
        add(trial, &checked, rows);
        trial.fact.dropped += checked.dropped + fetched.answer.dropped;
        let differ = differing.iter().map(|bar| bar.ts);
        trial.first_differing = trial.first_differing.into_iter().chain(differ).min();
        trial.fact.inserted += new;
        let differing = differing.len() as u64;
        if self.claim() == Claim::Replaces {
            trial.fact.updated += differing;
        } else {
            trial.fact.kept += differing;
        }
        Ok(())
    }

    /// How many of a page's bars are new, and which differ from what is there: what the files before it would
    /// have brought, and else what is stored. What this one brings is added to that.
    fn held_against(
        &self,
        store: Option<&Store>,
        key: &SeriesKey,
        bars: &[Bar],
        brought: Option<&mut BTreeMap<i64, Bar>>,
    ) -> StoreResult<(u64, Vec<Bar>)> {
        let claim = self.claim();
        let before = |bar: &Bar| brought.as_deref().and_then(|brought| brought.get(&bar.ts));
        let (again, others): (Vec<Bar>, Vec<Bar>) =
            bars.iter().partition(|bar| before(bar).is_some());
        let is_other = |bar: &Bar| before(bar).is_some_and(|old| !claim.is_same(old, bar));
        let mut differing: Vec<Bar> = again.into_iter().filter(is_other).collect();
        let (new, unlike_stored) = match store.zip(self.series.get(key)) {
            Some((store, line)) => store.bars_held_against(line.series_id, &others, claim)?,
            None => (others, Vec::new()),
        };
        differing.extend(unlike_stored);
        if let Some(brought) = brought {
            let replacing = differing.iter().filter(|_| claim == Claim::Replaces);
            brought.extend(new.iter().chain(replacing).map(|bar| (bar.ts, *bar)));
        }
        Ok((new.len() as u64, differing))
    }
}

/// What is known of a page's file so far.
fn trial_of<'a>(preview: &'a mut Preview, file: &str, key: &SeriesKey) -> &'a mut Trial {
    let is_same = |trial: &Trial| trial.fact.file == file && trial.fact.key == *key;
    let index = preview.files.iter().position(is_same).unwrap_or_else(|| {
        preview.files.push(Trial::of(ImportFact::of(file, key)));
        preview.files.len() - 1
    });
    &mut preview.files[index]
}

/// Adds the rows of a page.
fn add(trial: &mut Trial, checked: &Checked, rows: u64) {
    let range = super::import::range_of(checked);
    trial.fact.rows += rows;
    trial.fact.rejected += checked.rejected.len() as u64;
    if !range.is_empty() {
        let fact = &mut trial.fact;
        fact.first_ts = Some(fact.first_ts.map_or(range.start, |ts| ts.min(range.start)));
        fact.last_ts = fact.last_ts.max(Some(range.end - 1));
    }
    for row in &checked.rejected {
        trial.fact.refused.add(row.reason, 1);
    }
}
