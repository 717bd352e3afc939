//! What would come of an import: its files read and judged as a run does it, and nothing written.

use std::path::Path;

use crate::clock::Timeline;
use crate::config::Settings;
use crate::domain::import::{ImportFact, Preview, Trial};
use crate::domain::run::{Failure, Stage};
use crate::fetch::{self, Engine, Fetched, Message};
use crate::store::{Store, StoreResult};
use crate::validate::Checked;
use crate::{clock, pipeline};

use super::desk::Desk;
use super::page::judged;
use super::{Request, asked, fetch_options, holdings};

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
    let mut desk = Desk::new(settings, held, request.run_id.clone(), now, &plan, true);
    desk.terms = request.import.as_ref().map(|import| import.terms);
    let (providers, options) = (asked(settings, request), fetch_options(settings, request, 0));
    let nothing = std::collections::BTreeMap::new();
    let mut fetching =
        fetch::start(engine, plan.jobs, &providers, nothing, Timeline::begin(), options)
            .ok_or_else(|| anyhow::anyhow!("the threads that read are gone"))?;
    let mut preview = Preview::default();
    while let Some(message) = fetching.wait() {
        match message {
            Message::Page(page) => desk.try_page(store, *page, &mut preview)?,
            Message::TaskFailed(failure) => preview.failures.push(failure),
            Message::Exhausted(exhausted) => return Err(exhausted.into()),
            _ => {}
        }
    }
    Ok(preview)
}

impl Desk<'_> {
    /// Judges a page, and adds it to what its file would bring.
    fn try_page(
        &self,
        store: Option<&Store>,
        mut fetched: Fetched,
        preview: &mut Preview,
    ) -> StoreResult<()> {
        let (group, member) = self.place(&fetched.task.key.symbol);
        let rows = fetched.rows() as u64;
        let checked = judged(&mut fetched, &self.settings.due(group, member));
        let file = fetched.attempt.file.as_deref().map(Path::to_string_lossy);
        let file = file.unwrap_or_default().into_owned();
        if let Some(fault) = self.contradiction(&fetched, &checked) {
            preview.failures.push(Failure {
                series: fetched.task.key.clone(),
                about: fetched.task.about,
                stage: Stage::Validate,
                kind: fault.kind,
                message: format!("{file}: {}", fault.message),
                attempts: fetched.attempt.number,
                at: clock::now(),
            });
            return Ok(());
        }
        let series = self.series.get(&fetched.task.key);
        let (new, differing) = match store.zip(series) {
            Some((store, line)) => {
                store.bars_held_against(line.series_id, &checked.accepted, self.claim())?
            }
            None => (checked.accepted.len() as u64, Vec::new()),
        };
        let trial = trial_of(preview, &file, &fetched);
        add(trial, &checked, rows);
        trial.first_differing =
            trial.first_differing.into_iter().chain(differing.first().copied()).min();
        trial.fact.inserted += new;
        let differing = differing.len() as u64;
        if self.terms.is_some_and(|terms| terms.replace) {
            trial.fact.updated += differing;
        } else {
            trial.fact.kept += differing;
        }
        Ok(())
    }
}

/// What is known of a page's file so far.
fn trial_of<'a>(preview: &'a mut Preview, file: &str, fetched: &Fetched) -> &'a mut Trial {
    let key = &fetched.task.key;
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
        *trial.reasons.entry(row.reason).or_default() += 1;
    }
}
