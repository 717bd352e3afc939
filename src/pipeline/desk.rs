//! The writer's desk: turns what fetching says into stored facts and events, and keeps count.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Settings;
use crate::domain::bar::Adjustment;
use crate::domain::event::Event;
use crate::domain::fact::SeriesFact;
use crate::domain::gap::Gap;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::run::{
    Attempt, ErrorKind, Failure, Fault, JobOutcome, JobStatus, PageCounts, RunId, Stage, Totals,
};
use crate::domain::series::{AssetClass, SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::fetch::{Fetched, Message};
use crate::plan::Plan;
use crate::plan::gaps::{self, Known};
use crate::store::{Put, Store, StoreResult, Writer};
use crate::validate::{self, Checked, Origin};
use crate::{clock, derive};

/// What a run knows while it works.
pub(super) struct Desk<'a> {
    settings: &'a Settings,
    run_id: RunId,
    as_of: Option<i64>,
    /// Where each symbol stands in the config.
    members: BTreeMap<Symbol, (usize, usize)>,
    series: BTreeMap<SeriesKey, Line>,
    jobs: BTreeMap<Symbol, JobLine>,
    totals: Totals,
    failed: BTreeSet<SeriesKey>,
}

/// A series in this run.
struct Line {
    series_id: i64,
    adjustment: Adjustment,
    first_ts: Option<i64>,
    watermark_ts: Option<i64>,
    /// The `ts` that this run wrote, from the first to the last.
    touched: Option<TimeRange>,
    /// Whether anything was asked for it.
    asked: bool,
}

/// A job in this run.
#[derive(Default)]
struct JobLine {
    ended: bool,
    inserted: u64,
    updated: u64,
    asked: BTreeSet<Timeframe>,
    error: Option<String>,
}

impl Line {
    fn new(fact: &SeriesFact) -> Self {
        Self {
            series_id: fact.series_id,
            adjustment: fact.adjustment,
            first_ts: fact.first_ts,
            watermark_ts: fact.watermark_ts,
            touched: None,
            asked: false,
        }
    }

    /// Notes bars that were written.
    fn wrote(&mut self, first: i64, last: i64) {
        let touched = self.touched.unwrap_or(TimeRange::new(first, last + 1));
        self.touched = Some(TimeRange::new(touched.start.min(first), touched.end.max(last + 1)));
        self.first_ts = Some(self.first_ts.map_or(first, |held| held.min(first)));
        self.watermark_ts = Some(self.watermark_ts.map_or(last, |held| held.max(last)));
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        store: &Store,
        run_id: RunId,
        as_of: Option<i64>,
        plan: &Plan,
    ) -> StoreResult<Self> {
        let series = store.series_all()?;
        let mut members = BTreeMap::new();
        for (group_index, group) in settings.groups.iter().enumerate() {
            for (index, member) in group.members.iter().enumerate() {
                members.insert(member.symbol.clone(), (group_index, index));
            }
        }
        let jobs = plan.jobs.iter().map(|job| {
            let asked = job.tasks.iter().map(|task| task.key.timeframe).collect();
            (job.symbol.clone(), JobLine { asked, ..JobLine::default() })
        });
        Ok(Self {
            settings,
            run_id,
            as_of,
            members,
            series: series.values().map(|fact| (fact.key.clone(), Line::new(fact))).collect(),
            jobs: jobs.collect(),
            totals: Totals::default(),
            failed: BTreeSet::new(),
        })
    }

    /// The totals, with `idle` jobs for which nothing was due.
    pub(super) fn totals(&self, idle: u64) -> Totals {
        Totals {
            symbols_total: self.jobs.len() as u64 + idle,
            successful: self.totals.successful + idle,
            ..self.totals
        }
    }

    /// Closes as failed what ended without a word: a worker that broke down is no success.
    pub(super) fn finish(&mut self, tx: &Writer<'_>) -> StoreResult<Vec<Event>> {
        let open: Vec<Symbol> = self
            .jobs
            .iter()
            .filter(|(_, job)| !job.ended)
            .map(|(symbol, _)| symbol.clone())
            .collect();
        let mut events = Vec::new();
        for symbol in open {
            if let Some(job) = self.jobs.get_mut(&symbol) {
                job.error.get_or_insert_with(|| "its worker broke down".to_owned());
            }
            events.extend(self.job_done(tx, symbol, 0)?);
        }
        Ok(events)
    }

    /// The series for which something failed.
    pub(super) fn failed(&self) -> BTreeSet<SeriesKey> {
        self.failed.clone()
    }

    /// Writes one message down; tells what to say once it is committed.
    pub(super) fn take(&mut self, tx: &Writer<'_>, message: Message) -> StoreResult<Vec<Event>> {
        match message {
            Message::JobStarted(symbol) => {
                tx.job_start(&self.run_id, &symbol, clock::now())?;
                Ok(vec![Event::JobStarted { symbol }])
            }
            Message::Page(fetched) => self.page(tx, *fetched),
            Message::AttemptFailed(attempt, retry_in) => {
                self.count(&attempt);
                tx.fetch_log_add(&self.run_id, &attempt, &PageCounts::default())?;
                Ok(vec![Event::AttemptFailed { attempt, retry_in }])
            }
            Message::QuotaWaited(provider, wait) => Ok(vec![Event::QuotaWaited { provider, wait }]),
            Message::Narrowed(series, message) => Ok(vec![Event::Narrowed { series, message }]),
            Message::TaskFailed(failure) => self.fail(tx, failure).map(|event| vec![event]),
            Message::JobDone(symbol, retries) => self.job_done(tx, symbol, retries),
        }
    }

    /// Counts a request.
    fn count(&mut self, attempt: &Attempt) {
        self.totals.requests += 1;
        self.totals.retried += u64::from(attempt.number > 1);
        let limited =
            attempt.fault.as_ref().is_some_and(|fault| fault.kind == ErrorKind::RateLimited);
        self.totals.rate_limited += u64::from(limited);
    }

    fn fail(&mut self, tx: &Writer<'_>, failure: Failure) -> StoreResult<Event> {
        tx.failure_add(&self.run_id, &failure)?;
        self.failed.insert(failure.series.clone());
        if let Some(job) = self.jobs.get_mut(&failure.series.symbol) {
            job.error =
                Some(format!("{} {}: {}", failure.series.timeframe, failure.kind, failure.message));
        }
        Ok(Event::Failed(failure))
    }

    /// Validates a page and stores it with everything that follows from it.
    fn page(&mut self, tx: &Writer<'_>, mut fetched: Fetched) -> StoreResult<Vec<Event>> {
        let key = fetched.task.key.clone();
        if !fetched.from_file {
            self.count(&fetched.attempt);
        }
        let (group, member) = self.place(&key.symbol);
        let due = self.settings.due(group, member);
        let rows = fetched.answer.bars.len() + fetched.answer.broken.len();
        let origin = if fetched.from_file { Origin::File } else { Origin::Provider };
        let context = validate::Context {
            timeframe: key.timeframe,
            calendar: &due.calendar,
            layout: due.layout,
            asked: fetched.task.range,
            now: fetched.finished_by,
            origin,
        };
        let bars = std::mem::take(&mut fetched.answer.bars);
        let mut checked =
            validate::check(bars, &context, |index| fetched.lines.get(index).copied());
        checked.rejected.append(&mut fetched.answer.broken);
        if let Some(fault) = self.contradiction(&fetched, &checked) {
            return self.refuse(tx, fetched, fault);
        }
        let now = clock::now();
        let adjusted = self.adjustment(&fetched);
        let Some(line) = self.series.get_mut(&key) else { return Ok(Vec::new()) };
        line.asked = true;
        if line.adjustment != adjusted && !checked.accepted.is_empty() {
            line.adjustment = adjusted;
            tx.adjustment_set(line.series_id, adjusted)?;
        }
        let put = tx.bars_put(line.series_id, &self.run_id, now, &checked.accepted)?;
        tx.rejections_add(line.series_id, &self.run_id, &checked.rejected)?;
        if let (Some(first), Some(last)) = (checked.accepted.first(), checked.accepted.last()) {
            line.wrote(first.ts, last.ts);
        }
        let judged_at = self.as_of.unwrap_or(now);
        let known = Known {
            due: &due,
            timeframe: key.timeframe,
            first_ts: line.first_ts,
            watermark_ts: line.watermark_ts,
            now: judged_at,
        };
        answer(tx, line.series_id, &known, &fetched, &checked)?;
        tx.series_fetched(line.series_id, now)?;
        let counts = PageCounts {
            fetched: rows as u64 + fetched.answer.dropped,
            inserted: put.inserted,
            updated: put.updated,
            rejected: checked.rejected.len() as u64,
            dropped: checked.dropped + fetched.answer.dropped,
        };
        tx.fetch_log_add(&self.run_id, &fetched.attempt, &counts)?;
        self.add(&key.symbol, put);
        Ok(vec![Event::PageStored { series: key, counts, attempt: fetched.attempt }])
    }

    fn add(&mut self, symbol: &Symbol, put: Put) {
        self.totals.records_inserted += put.inserted;
        self.totals.records_updated += put.updated;
        if let Some(job) = self.jobs.get_mut(symbol) {
            job.inserted += put.inserted;
            job.updated += put.updated;
        }
    }

    fn place(&self, symbol: &Symbol) -> (&'a crate::config::Group, &'a crate::config::Member) {
        // Every task's symbol comes from these groups.
        let (group, member) = self.members[symbol];
        let group = &self.settings.groups[group];
        (group, &group.members[member])
    }

    /// What the prices of a page contain: as the answer says, else as they were asked for. Only
    /// shares are split.
    fn adjustment(&self, fetched: &Fetched) -> Adjustment {
        let splits = matches!(fetched.task.asset_class, AssetClass::Stock | AssetClass::Etf);
        let asked = if self.settings.providers[&fetched.task.provider].adjusted {
            Adjustment::Splits
        } else {
            Adjustment::Raw
        };
        if splits { fetched.answer.adjustment.unwrap_or(asked) } else { Adjustment::Raw }
    }

    /// What speaks against storing anything of a page.
    fn contradiction(&self, fetched: &Fetched, checked: &Checked) -> Option<Fault> {
        let line = self.series.get(&fetched.task.key)?;
        let adjusted = self.adjustment(fetched);
        if !checked.accepted.is_empty() && line.first_ts.is_some() && line.adjustment != adjusted {
            let message = format!(
                "the answer holds {} prices, the stored series {} ones",
                adjusted.as_str(),
                line.adjustment.as_str()
            );
            return Some(Fault::new(ErrorKind::Malformed, message));
        }
        let first = checked.rejected.first()?;
        let nothing_left = checked.accepted.is_empty() && checked.dropped == 0;
        nothing_left.then(|| {
            let rows = checked.rejected.len();
            let message =
                format!("all {rows} rows were refused; first {}: {}", first.reason, first.text);
            Fault::new(ErrorKind::Validation, message)
        })
    }

    /// A page of which nothing is stored but what was wrong with it.
    fn refuse(
        &mut self,
        tx: &Writer<'_>,
        fetched: Fetched,
        fault: Fault,
    ) -> StoreResult<Vec<Event>> {
        let attempt = Attempt { fault: Some(fault.clone()), ..fetched.attempt };
        tx.fetch_log_add(&self.run_id, &attempt, &PageCounts::default())?;
        let failure = Failure {
            series: fetched.task.key.clone(),
            stage: Stage::Validate,
            kind: fault.kind,
            message: fault.message,
            attempts: attempt.number,
            at: clock::now(),
        };
        let failed = self.fail(tx, failure)?;
        Ok(vec![Event::AttemptFailed { attempt, retry_in: None }, failed])
    }

    /// Closes a job: gaps named, derived bars made, statuses written.
    fn job_done(
        &mut self,
        tx: &Writer<'_>,
        symbol: Symbol,
        retries: u32,
    ) -> StoreResult<Vec<Event>> {
        let (group, member) = self.place(&symbol);
        let due = self.settings.due(group, member);
        let now = self.as_of.unwrap_or_else(clock::now);
        let asked = self.jobs.get(&symbol).map(|job| job.asked.clone()).unwrap_or_default();
        for timeframe in asked {
            let key = SeriesKey { symbol: symbol.clone(), timeframe };
            self.series_done(tx, &key, &due, now)?;
        }
        for (timeframe, stored) in &group.timeframes {
            if let Some(source) = stored.derived_from {
                self.derive(tx, &symbol, *timeframe, source, &due, now)?;
            }
        }
        let Some(job) = self.jobs.get_mut(&symbol) else { return Ok(Vec::new()) };
        job.ended = true;
        let status = if job.error.is_some() { JobStatus::Failed } else { JobStatus::Completed };
        let outcome = JobOutcome {
            symbol,
            status,
            retry_count: retries,
            records_inserted: job.inserted,
            records_updated: job.updated,
            last_error: job.error.clone(),
        };
        match status {
            JobStatus::Failed => self.totals.failed += 1,
            _ => self.totals.successful += 1,
        }
        tx.job_close(&self.run_id, &outcome, clock::now())?;
        Ok(vec![Event::JobFinished(outcome)])
    }

    /// Names the gaps of a series now that all of it was asked, and notes how it went.
    fn series_done(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        due: &crate::calendar::due::Due,
        now: i64,
    ) -> StoreResult<()> {
        let settle = self.place(&key.symbol).0.settle;
        let failed = self.failed.contains(key);
        let Some(line) = self.series.get(key) else { return Ok(()) };
        let known = Known {
            due,
            timeframe: key.timeframe,
            first_ts: line.first_ts,
            watermark_ts: line.watermark_ts,
            now,
        };
        if line.asked {
            let held = tx.gaps_of(line.series_id)?;
            tx.gaps_set(line.series_id, &held, &gaps::reconsidered(&known, &held))?;
        }
        let settle = i64::try_from(settle.as_secs()).unwrap_or(i64::MAX);
        let settled = line
            .watermark_ts
            .map(|last| due.back(key.timeframe, last, 3).min(now.saturating_sub(settle)));
        let error = self.jobs.get(&key.symbol).and_then(|job| job.error.as_deref());
        tx.series_ended(line.series_id, settled, error.filter(|_| failed))
    }

    /// Makes the bars of a timeframe that the provider does not offer, where its source changed or
    /// more of it is known.
    fn derive(
        &mut self,
        tx: &Writer<'_>,
        symbol: &Symbol,
        timeframe: Timeframe,
        source: Timeframe,
        due: &crate::calendar::due::Due,
        now: i64,
    ) -> StoreResult<()> {
        let key = |timeframe| SeriesKey { symbol: symbol.clone(), timeframe };
        let (Some(from), Some(into)) =
            (self.series.get(&key(source)), self.series.get(&key(timeframe)))
        else {
            return Ok(());
        };
        let (source_id, series_id) = (from.series_id, into.series_id);
        let covered = tx.coverage_of(source_id)?;
        let own = tx.coverage_of(series_id)?;
        let Some(range) = to_derive(due, timeframe, from, &covered, &own, now) else {
            return Ok(());
        };
        let explained: RangeSet = tx
            .gaps_of(source_id)?
            .into_iter()
            .filter(|gap| !gap.reason.is_hole())
            .map(|gap| gap.range)
            .collect();
        let bars = tx.bars_in(source_id, range)?;
        let parts = derive::Parts { due, source, bars: &bars, explained: &explained };
        let derived = derive::bars(&parts, timeframe, range, now);
        let adjustment = from.adjustment;
        let stamp = clock::now();
        let put = tx.bars_put(series_id, &self.run_id, stamp, &derived)?;
        tx.adjustment_set(series_id, adjustment)?;
        let Some(line) = self.series.get_mut(&key(timeframe)) else { return Ok(()) };
        if let (Some(first), Some(last)) = (derived.first(), derived.last()) {
            line.wrote(first.ts, last.ts);
        }
        let known =
            Known { due, timeframe, first_ts: line.first_ts, watermark_ts: line.watermark_ts, now };
        let whole = whole_windows(&covered, range, timeframe);
        for part in whole.ranges() {
            let part =
                TimeRange::new(part.start.max(line.first_ts.unwrap_or(part.start)), part.end);
            note_gaps(tx, series_id, &known, part, &[])?;
        }
        for part in whole.ranges() {
            tx.coverage_add(series_id, *part)?;
        }
        let held = tx.gaps_of(series_id)?;
        tx.gaps_set(series_id, &held, &gaps::reconsidered(&known, &held))?;
        tx.series_fetched(series_id, stamp)?;
        tx.series_ended(series_id, line.watermark_ts, None)?;
        self.add(symbol, put);
        Ok(())
    }
}

/// The stretch of windows that may have changed: around what was written to the source, and what of
/// its coverage the derived series does not have yet.
fn to_derive(
    due: &crate::calendar::due::Due,
    timeframe: Timeframe,
    source: &Line,
    covered: &RangeSet,
    own: &RangeSet,
    now: i64,
) -> Option<TimeRange> {
    let end = due.end(timeframe, now)?;
    let first = source.first_ts?;
    let mut stale: Vec<TimeRange> = source.touched.into_iter().collect();
    for range in covered.ranges() {
        let range = TimeRange::new(range.start.max(first), range.end);
        stale.extend_from_slice(own.missing_in(range).ranges());
    }
    let start = stale.iter().map(|range| range.start).min()?;
    let stop = stale.iter().map(|range| range.end).max()?;
    // A window is named by its start: the first one may begin before what changed in it.
    let start = window_start(timeframe, start);
    let range = TimeRange::new(start, stop.min(end).max(start));
    (!range.is_empty()).then_some(TimeRange::new(range.start, window_end(timeframe, range.end)))
}

/// 1970-01-05, a Monday: the clock from which weeks are counted.
const MONDAY: i64 = 4 * 86_400;

fn window_start(timeframe: Timeframe, ts: i64) -> i64 {
    let origin = if timeframe == Timeframe::W1 { MONDAY } else { 0 };
    let length = timeframe.seconds();
    (ts - origin).div_euclid(length) * length + origin
}

fn window_end(timeframe: Timeframe, end: i64) -> i64 {
    let start = window_start(timeframe, end);
    if start == end { end } else { start + timeframe.seconds() }
}

/// The whole windows of `range` that lie in what is covered.
fn whole_windows(covered: &RangeSet, range: TimeRange, timeframe: Timeframe) -> RangeSet {
    covered
        .ranges()
        .iter()
        .map(|held| {
            let start = window_end(timeframe, held.start.max(range.start));
            TimeRange::new(start, window_start(timeframe, held.end.min(range.end)))
        })
        .filter(|part| !part.is_empty())
        .collect()
}

/// Notes what a page answered for: its coverage, and what is missing in it.
fn answer(
    tx: &Writer<'_>,
    series_id: i64,
    known: &Known<'_>,
    fetched: &Fetched,
    checked: &Checked,
) -> StoreResult<()> {
    let answered = fetched.answered;
    if answered.is_empty() {
        return Ok(());
    }
    let mut rejected: Vec<i64> = checked.rejected.iter().filter_map(|row| row.ts).collect();
    rejected.sort_unstable();
    // What a file does not reach back to, nobody wanted of it.
    let start = match known.first_ts {
        Some(first) if fetched.from_file => answered.start.max(first),
        None if fetched.from_file => answered.end,
        _ => answered.start,
    };
    note_gaps(tx, series_id, known, TimeRange::new(start, answered.end), &rejected)?;
    tx.coverage_add(series_id, answered)
}

/// Judges anew what is missing in a stretch that was answered.
fn note_gaps(
    tx: &Writer<'_>,
    series_id: i64,
    known: &Known<'_>,
    range: TimeRange,
    rejected: &[i64],
) -> StoreResult<()> {
    if range.is_empty() {
        return Ok(());
    }
    let stored = tx.bars_ts(series_id, range)?;
    let held = tx.gaps_of(series_id)?;
    let gaps: Vec<Gap> = gaps::answered(known, &held, range, &stored, rejected);
    tx.gaps_set(series_id, &held, &gaps)
}
