//! A series in a run: what is known of it, kept in step with the store.
//!
//! Coverage and gaps are held in memory too, so that a page writes what changed of them and reads
//! neither back; what its row holds is written by [`super::lines::Lines`].
//! Should a transaction fail, the run ends, and with it what is held here.

use std::time::Duration;

use crate::calendar::due::Due;
use crate::domain::bar::{Adjustment, Bar};
use crate::domain::fact::{FeaturesFact, FileMark, Marks, Planned, SeriesFact};
use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::time::seconds;
use crate::domain::timeframe::Timeframe;
use crate::plan::gaps::{self, Known};
use crate::store::{SeriesRow, StoreResult, Writer};

/// A series in this run.
#[derive(Debug)]
pub(super) struct Line {
    /// As it was when the run began.
    fact: Box<SeriesFact>,
    pub(super) series_id: i64,
    pub(super) timeframe: Timeframe,
    pub(super) adjustment: Adjustment,
    pub(super) first_ts: Option<i64>,
    pub(super) watermark_ts: Option<i64>,
    settled_ts: Option<i64>,
    bar_count: u64,
    /// Failed runs since the last good one.
    pub(super) failures: u32,
    last_error: Option<String>,
    rests_until: Option<i64>,
    /// When its provider last answered, before this run.
    pub(super) fetched_at: Option<i64>,
    last_fetched_at: Option<i64>,
    /// The file that was read for it to its end.
    pub(super) file_mark: Option<FileMark>,
    /// When what is not settled of it was last read.
    pub(super) settle_read_at: Option<i64>,
    pub(super) coverage: RangeSet,
    /// Ascending, disjoint.
    pub(super) gaps: Vec<Gap>,
    /// Whether anything was asked for it and answered.
    pub(super) asked: bool,
    /// Bars before it are in the prices of before their provider restated them.
    pub(super) restated_to: Option<i64>,
    /// From which `ts` on its bars are due although it holds earlier ones.
    pub(super) due_from: Option<i64>,
    /// Which `ts` were answered in this run.
    pub(super) read: RangeSet,
    /// From which `ts` on its bars were not settled when this run was planned; `None` where it had none.
    pub(super) unsettled_from: Option<i64>,
    /// Its features, and from which `ts` on they are to be computed anew.
    pub(super) features: FeaturesFact,
    /// From which `ts` on its bars are still to be looked at.
    pub(super) quality_from: Option<i64>,
    /// Whether it may differ from its row, which is for [`super::lines::Lines`] to know.
    pub(super) is_touched: bool,
}

impl Line {
    pub(super) fn new(fact: SeriesFact, coverage: RangeSet, gaps: Vec<Gap>) -> Self {
        let marks = fact.marks.as_deref().cloned().unwrap_or_default();
        let planned = fact.planned.as_deref().cloned().unwrap_or_default();
        Self {
            series_id: fact.series_id,
            timeframe: fact.key.timeframe,
            adjustment: planned.adjustment,
            first_ts: fact.first_ts,
            watermark_ts: fact.watermark_ts,
            settled_ts: planned.settled_ts,
            bar_count: fact.bar_count,
            failures: marks.consecutive_failures,
            last_error: marks.last_error,
            rests_until: planned.rests_until,
            fetched_at: planned.last_fetched_at,
            last_fetched_at: planned.last_fetched_at,
            file_mark: planned.file_mark,
            settle_read_at: planned.settle_read_at,
            coverage,
            gaps,
            asked: false,
            restated_to: marks.restated_to,
            due_from: marks.due_from,
            read: RangeSet::new(),
            unsettled_from: None,
            features: fact.features.unwrap_or_default(),
            quality_from: marks.quality_from,
            is_touched: false,
            fact: Box::new(fact),
        }
    }

    /// The series as it is stored now, its coverage and its gaps.
    pub(super) fn into_held(self) -> (SeriesFact, RangeSet, Vec<Gap>) {
        let row = self.row();
        let mut fact = self.fact;
        fact.first_ts = row.first_ts;
        fact.watermark_ts = row.watermark_ts;
        fact.bar_count = row.bar_count;
        fact.features = Some(row.features);
        fact.marks = row.marks.boxed();
        fact.planned = Some(Box::new(row.planned));
        (*fact, self.coverage, self.gaps)
    }

    /// What its row is to hold.
    pub(super) fn row(&self) -> SeriesRow {
        SeriesRow {
            first_ts: self.first_ts,
            watermark_ts: self.watermark_ts,
            bar_count: self.bar_count,
            features: self.features,
            marks: Marks {
                consecutive_failures: self.failures,
                last_error: self.last_error.clone(),
                restated_to: self.restated_to,
                due_from: self.due_from,
                quality_from: self.quality_from,
            },
            planned: Planned {
                adjustment: self.adjustment,
                settled_ts: self.settled_ts,
                last_fetched_at: self.last_fetched_at,
                settle_read_at: self.settle_read_at,
                rests_until: self.rests_until,
                file_mark: self.file_mark,
            },
        }
    }

    /// Notes that its provider answered, and how many new bars came of it; `at` is `None` where bars came
    /// without it.
    pub(super) fn fetched(&mut self, at: Option<i64>, inserted: u64) {
        self.last_fetched_at = at.or(self.last_fetched_at);
        self.bar_count += inserted;
    }

    /// Notes how its part of a job ended: `error` is `None` when it went well, else what went wrong and
    /// until when it is left alone for it.
    pub(super) fn ended(&mut self, error: Option<(String, Option<i64>)>) {
        self.failures = if error.is_some() { self.failures.saturating_add(1) } else { 0 };
        let (error, rests_until) = error.unzip();
        (self.last_error, self.rests_until) = (error, rests_until.flatten());
    }

    /// Notes up to which `ts` it is settled: what was old enough when it was read last. A run may leave what
    /// was not settled for a later one to read.
    pub(super) fn settle(&mut self, settle: Duration, due: &Due, now: i64) {
        let before = self.settle_read_at.or(self.fetched_at).or(self.asked.then_some(now));
        let read_at = if self.is_read(due, now) { Some(now) } else { before };
        read_at.iter().for_each(|at| self.settled_at(settle, now.min(*at)));
    }

    /// Notes that what is old enough at `at` is settled.
    pub(super) fn settled_at(&mut self, settle: Duration, at: i64) {
        let settled = self.watermark_ts.map(|last| last.min(at.saturating_sub(seconds(settle))));
        self.settled_ts = self.settled_ts.max(settled);
    }

    /// Notes bars that were written.
    pub(super) fn wrote(&mut self, first: i64, last: i64) {
        self.first_ts = Some(self.first_ts.map_or(first, |held| held.min(first)));
        self.watermark_ts = Some(self.watermark_ts.map_or(last, |held| held.max(last)));
    }

    /// Notes that bars from the first to the last `ts` are held. Of imported ones `imported` is where the
    /// lookback begins; what the provider has come to give is due.
    pub(super) fn reached(&mut self, (first, last): (i64, i64), imported: Option<i64>) {
        self.due_from = match imported {
            Some(begins) => self.due_beside(first, begins),
            None => self.due_from.map(|from| from.min(first)),
        };
        self.wrote(first, last);
    }

    /// Notes that bars from `ts` on are new or changed: what was made of them is to be made anew.
    pub(super) fn changed(&mut self, ts: i64) {
        for mark in [&mut self.features.from, &mut self.quality_from] {
            *mark = Some(mark.map_or(ts, |from| from.min(ts)));
        }
    }

    /// Notes that `range` was asked for and answered.
    pub(super) fn cover(&mut self, tx: &Writer<'_>, range: TimeRange) -> StoreResult<()> {
        let before = self.coverage.clone();
        self.coverage.insert(range);
        tx.coverage_set(self.series_id, &before, &self.coverage)
    }

    /// A day with what lies between it and what is covered before it, where nothing of that is due: a weekend
    /// parts no coverage.
    pub(super) fn joined(&self, due: &Due, now: i64, day: TimeRange) -> TimeRange {
        let before = self.coverage.ranges().iter().rev().find(|range| range.end <= day.start);
        let between = before.map(|range| TimeRange::new(range.end, day.start));
        match between.filter(|between| due.trim(self.timeframe, *between, now).is_none()) {
            Some(between) => TimeRange::new(between.start, day.end),
            None => day,
        }
    }

    /// Notes that all that is due by now and was not settled was read in this run, if it was.
    pub(super) fn settle_read(&mut self, due: &Due, now: i64) {
        let read_to = self.read.ranges().last().map(|range| range.end);
        let end = due.end(self.timeframe, now).filter(|end| read_to >= Some(*end));
        if end.is_some_and(|end| self.unsettled_was_read(due, now, end)) {
            self.settle_read_at = Some(now);
        }
    }

    /// Whether anything was read in this run, and of the bars that it holds all that were not settled.
    fn is_read(&self, due: &Due, now: i64) -> bool {
        let held = self.watermark_ts.filter(|_| !self.read.ranges().is_empty());
        held.is_some_and(|last| self.unsettled_was_read(due, now, last + 1))
    }

    /// Whether all that is due up to `end` and was not settled was read in this run.
    fn unsettled_was_read(&self, due: &Due, now: i64, end: i64) -> bool {
        let from = self.unsettled_from.unwrap_or(end);
        let unread = self.read.missing_in(TimeRange::new(from, end));
        unread.ranges().iter().all(|range| due.trim(self.timeframe, *range, now).is_none())
    }

    /// Takes `range` out of what counts as answered.
    pub(super) fn uncover(&mut self, tx: &Writer<'_>, range: TimeRange) -> StoreResult<()> {
        let before = self.coverage.clone();
        self.coverage.remove(range);
        tx.coverage_set(self.series_id, &before, &self.coverage)
    }

    /// Judges anew what is missing in `range`, which was answered by `came`, ascending; rows stamped
    /// `rejected`, ascending, were refused in it.
    pub(super) fn note_gaps(
        &mut self,
        tx: &Writer<'_>,
        due: &Due,
        now: i64,
        range: TimeRange,
        (came, rejected): (&[Bar], &[i64]),
    ) -> StoreResult<()> {
        if range.is_empty() {
            return Ok(());
        }
        let from = self.gaps.partition_point(|gap| gap.range.end <= range.start);
        let to = self.gaps.partition_point(|gap| gap.range.start < range.end).max(from);
        // Where nothing was missing and all came, nobody needs to look at what is stored.
        if from == to && gaps::is_whole(&self.known(due, now), range, came) {
            return Ok(());
        }
        let stored = tx.bars_ts(self.series_id, range)?;
        let held = &self.gaps[from..to];
        let judged = gaps::answered(&self.known(due, now), held, range, &stored, rejected);
        tx.gaps_set(self.series_id, held, &judged)?;
        self.gaps.splice(from..to, judged);
        Ok(())
    }

    /// Gives gaps the reasons that they deserve now that more is known; tells which stretches turned
    /// out not to have been traded.
    pub(super) fn reconsider(
        &mut self,
        tx: &Writer<'_>,
        due: &Due,
        now: i64,
    ) -> StoreResult<Vec<TimeRange>> {
        let judged = gaps::reconsidered(&self.known(due, now), &self.gaps);
        tx.gaps_set(self.series_id, &self.gaps, &judged)?;
        let held = |gap: &&Gap| self.gaps.binary_search_by_key(&gap.range.start, |g| g.range.start);
        let untraded = judged
            .iter()
            .filter(|gap| gap.reason == GapReason::NoTrade)
            .filter(|gap| held(gap).map_or(true, |at| self.gaps[at] != **gap))
            .map(|gap| gap.range)
            .collect();
        self.gaps = judged;
        Ok(untraded)
    }

    pub(super) const fn known<'due>(&self, due: &'due Due, now: i64) -> Known<'due> {
        let Self { timeframe, first_ts, watermark_ts, restated_to, .. } = *self;
        Known { due, timeframe, first_ts, watermark_ts, restated_to, now }
    }
}
