//! What the verdict rests on, and which runs it is about.

use std::collections::HashSet;

use crate::domain::action::ActionStatus;
use crate::domain::fact::RunFact;
use crate::domain::run::RunStatus;
use crate::domain::series::SeriesKey;
use crate::domain::time::seconds;
use crate::domain::words::instant;
use crate::report::health::{Disk, Evidence};
use crate::report::holes;
use crate::report::quality::SeriesQuality;
use crate::report::staleness::Staleness;
use crate::report::{Facts, actions};
use crate::store::{Store, StoreResult, lock};

use super::scene::Scene;

/// Failures shown beside the verdict, at most.
const MOST_FAILURES: u64 = 50;

/// By so much what another process wrote may be ahead of a clock that is right, in seconds.
const AHEAD: i64 = 300;

/// Runs of the last day looked at by the verdict, at most.
const MOST_RUNS: u64 = 1_000;

impl Scene {
    /// The facts behind the verdict.
    pub(super) fn evidence(
        &self,
        store: &Store,
        facts: &Facts,
        staleness: Staleness,
    ) -> StoreResult<Evidence> {
        let low_quality = self.low_quality(store, facts)?;
        self.evidence_with(store, facts, staleness, low_quality)
    }

    /// Likewise, for those who have judged the quality of all series already.
    pub(super) fn evidence_with(
        &self,
        store: &Store,
        facts: &Facts,
        staleness: Staleness,
        low_quality: Vec<SeriesQuality>,
    ) -> StoreResult<Evidence> {
        let recent = seconds(self.settings.health.recent);
        let since = self.wall_now.saturating_sub(recent);
        let (running, last) = self.at_work_and_last(store)?;
        let mut recent_runs = store.runs_last(MOST_RUNS, Some(since), None, None)?;
        recent_runs.retain(|run| !run.is_import() && !self.is_ahead(run));
        // Of a run in which nothing failed nobody asks which jobs did.
        let (last_jobs, last_failures) = match &last {
            Some(run) if run.status != RunStatus::Succeeded => {
                (store.jobs_of(&run.run_id)?, store.failures_of(&run.run_id, u64::MAX)?)
            }
            _ => Default::default(),
        };
        Ok(Evidence {
            staleness,
            tracks_none: self.tracks_none,
            holes: holes::judge(&self.settings, facts, self.now()),
            ahead: self.ahead(store, facts)?,
            low_quality,
            running,
            last,
            last_jobs,
            last_failures,
            last_success: store.run_last_succeeded(self.wall_now.saturating_add(AHEAD))?,
            recent_runs,
            recent_failures: store.failures_since(since, MOST_FAILURES)?,
            breakers: self.breakers(store)?,
            disputed: actions::judge(
                &self.settings,
                store.actions_all(Some(ActionStatus::Disputed))?,
            ),
            pause: store.pause_at(self.wall_now)?,
            disk: disk(store, facts, self.as_of)?,
            unsent: store.alerts_unsent()?,
            wall_now: self.wall_now,
        })
    }

    /// The run at work, an import too, and the last one that ended. A run that a pause made skip tells
    /// nothing, nor does an import that has ended or what is dated ahead of the clock, and there may be many of
    /// them: so many runs are looked at as it takes.
    pub(super) fn at_work_and_last(
        &self,
        store: &Store,
    ) -> StoreResult<(Option<RunFact>, Option<RunFact>)> {
        let mut limit = 2;
        loop {
            let mut newest = store.runs_last(limit, None, None, None)?;
            let is_all = (newest.len() as u64) < limit;
            newest.splice(..0, self.unwritten(&newest));
            let (running, last) = self.sorted(newest);
            if is_all || last.is_some() {
                return Ok((running, last));
            }
            limit *= 8;
        }
    }

    /// What is dated after now, a run or a bar, in words; `None` when nothing is. A run that did not ask last tells
    /// of a clock that was mended since.
    fn ahead(&self, store: &Store, facts: &Facts) -> StoreResult<Option<String>> {
        let newest = store.runs_last(1, None, None, None)?;
        if let Some(run) = newest.into_iter().find(|run| self.is_ahead(run)) {
            let last = store.run_last_to_ask()?;
            if last.is_none_or(|last| self.is_ahead(&last)) {
                let (id, at) = (&run.run_id, instant(run.started_at));
                return Ok(Some(format!("run {id} began at {at}")));
            }
        }
        let now = self.wall_now.saturating_add(AHEAD);
        let bars = facts.series.values().filter_map(|fact| Some((fact.watermark_ts?, &fact.key)));
        let mut ahead: Vec<(i64, &SeriesKey)> = bars.filter(|(ts, _)| *ts > now).collect();
        if ahead.is_empty() {
            return Ok(None);
        }
        let tracked: HashSet<SeriesKey> = self.settings.series().map(|(key, ..)| key).collect();
        ahead.retain(|(_, key)| tracked.contains(key));
        let last = ahead.into_iter().max();
        Ok(last.map(|(ts, key)| format!("the last bar of {key} is that of {}", instant(ts))))
    }

    /// Whether a run began after now. Nothing is judged by it: it may stay the newest for weeks.
    pub(super) fn is_ahead(&self, run: &RunFact) -> bool {
        run.started_at > self.wall_now.saturating_add(AHEAD)
    }

    /// The run at work and the last one that ended, of the newest runs.
    fn sorted(&self, newest: Vec<RunFact>) -> (Option<RunFact>, Option<RunFact>) {
        let mut running = None;
        let mut last = None;
        for mut run in newest {
            self.as_it_is(&mut run);
            match run.status {
                RunStatus::Running => running.get_or_insert(run),
                RunStatus::Skipped => continue,
                _ if run.is_import() || self.is_ahead(&run) => continue,
                _ => last.get_or_insert(run),
            };
        }
        (running, last)
    }

    /// The run that this process has ended, where it has no row at all.
    fn unwritten(&self, newest: &[RunFact]) -> Option<RunFact> {
        let ended = self.ended.as_ref()?;
        let has_row = newest.iter().any(|run| run.run_id == ended.run_id);
        (!has_row).then(|| RunFact::clone(ended))
    }

    /// Tells a run as it is where its row does not. One that is marked as running while nobody holds the
    /// lock has crashed, and the next run writes that down; this process's own has ended as the process
    /// does.
    pub(super) fn as_it_is(&self, run: &mut RunFact) {
        let own = self.ended.as_ref().filter(|ended| ended.run_id == run.run_id);
        if let Some(ended) = own.filter(|ended| ended.exit_code != run.exit_code) {
            *run = RunFact::clone(ended);
        }
        // The lock of a run that has just ended is still its own.
        let is_held = || self.ended.is_none() && lock::is_held(&self.settings.database);
        if run.status == RunStatus::Running && !is_held() {
            run.status = RunStatus::Crashed;
            run.totals.skipped = run.totals.open();
        }
    }
}

/// The disk under the database.
fn disk(store: &Store, facts: &Facts, as_of: Option<i64>) -> StoreResult<Option<Disk>> {
    let Some(free_bytes) = store.disk_free_bytes() else { return Ok(None) };
    let bars = match as_of {
        None => facts.series.values().map(|series| series.bar_count).sum(),
        // The facts end then; the database does not.
        Some(_) => store.bars_in_all()?,
    };
    Ok(Some(Disk { free_bytes, used_bytes: store.room()?.used_bytes(), bars }))
}
