//! A series in a run: what is known of it, kept in step with the store.
//!
//! Coverage and gaps are held in memory too, so that a page writes what changed of them and reads
//! neither back.
//! Should a transaction fail, the run ends, and with it what is held here.

use std::time::Duration;

use crate::calendar::due::Due;
use crate::domain::bar::Adjustment;
use crate::domain::fact::SeriesFact;
use crate::domain::feature::FeatureSet;
use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::timeframe::Timeframe;
use crate::plan::gaps::{self, Known};
use crate::store::{StoreResult, Writer};

/// A series in this run.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) series_id: i64,
    pub(super) timeframe: Timeframe,
    pub(super) adjustment: Adjustment,
    pub(super) first_ts: Option<i64>,
    pub(super) watermark_ts: Option<i64>,
    /// Failed runs since the last good one, before this one.
    pub(super) failures: u32,
    /// When its provider last answered, before this run.
    pub(super) fetched_at: Option<i64>,
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
    /// From which `ts` on its features are to be computed anew.
    pub(super) features_from: Option<i64>,
    /// Which features it has.
    pub(super) feature_set: FeatureSet,
    /// From which `ts` on its bars are still to be looked at.
    pub(super) quality_from: Option<i64>,
}

impl Line {
    pub(super) fn new(fact: &SeriesFact, coverage: RangeSet, gaps: Vec<Gap>) -> Self {
        Self {
            series_id: fact.series_id,
            timeframe: fact.key.timeframe,
            adjustment: fact.adjustment,
            first_ts: fact.first_ts,
            watermark_ts: fact.watermark_ts,
            failures: fact.consecutive_failures,
            fetched_at: fact.last_fetched_at,
            coverage,
            gaps,
            asked: false,
            restated_to: fact.restated_to,
            due_from: fact.due_from,
            read: RangeSet::new(),
            unsettled_from: None,
            features_from: fact.features.and_then(|features| features.from),
            feature_set: fact.features.unwrap_or_default().set,
            quality_from: fact.quality_from,
        }
    }

    /// Notes bars that were written.
    pub(super) fn wrote(&mut self, first: i64, last: i64) {
        self.first_ts = Some(self.first_ts.map_or(first, |held| held.min(first)));
        self.watermark_ts = Some(self.watermark_ts.map_or(last, |held| held.max(last)));
    }

    /// Notes that bars from the first to the last `ts` are held. Of imported ones `imported` is where the
    /// lookback begins; what the provider has come to give is due.
    pub(super) fn reached(
        &mut self,
        tx: &Writer<'_>,
        (first, last): (i64, i64),
        imported: Option<i64>,
    ) -> StoreResult<()> {
        let due_from = match imported {
            Some(begins) => self.due_beside(first, begins),
            None => self.due_from.map(|from| from.min(first)),
        };
        self.due_from(tx, due_from)?;
        self.wrote(first, last);
        Ok(())
    }

    /// Notes from which `ts` on its bars are due although it holds earlier ones.
    pub(super) fn due_from(&mut self, tx: &Writer<'_>, ts: Option<i64>) -> StoreResult<()> {
        if self.due_from == ts {
            return Ok(());
        }
        self.due_from = ts;
        tx.series_due_from(self.series_id, ts)
    }

    /// Notes that bars from `ts` on are new or changed.
    pub(super) fn changed(&mut self, tx: &Writer<'_>, ts: i64) -> StoreResult<()> {
        for mark in [&mut self.features_from, &mut self.quality_from] {
            *mark = Some(mark.map_or(ts, |from| from.min(ts)));
        }
        tx.series_changed(self.series_id, ts)
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

    /// Whether all that is due up to `end` and was not settled was read in this run.
    pub(super) fn is_settling(&self, due: &Due, now: i64, end: i64) -> bool {
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

    /// Up to which `ts` its bars are settled at `now`.
    pub(super) fn settled(&self, settle: Duration, now: i64) -> Option<i64> {
        let settle = i64::try_from(settle.as_secs()).unwrap_or(i64::MAX);
        self.watermark_ts.map(|last| last.min(now.saturating_sub(settle)))
    }

    /// Judges anew what is missing in `range`, which was answered: bars are stored in it at the first `ts`,
    /// rows were refused at the second ones; both ascend.
    pub(super) fn note_gaps(
        &mut self,
        tx: &Writer<'_>,
        due: &Due,
        now: i64,
        range: TimeRange,
        (stored, rejected): (&[i64], &[i64]),
    ) -> StoreResult<()> {
        if range.is_empty() {
            return Ok(());
        }
        let from = self.gaps.partition_point(|gap| gap.range.end <= range.start);
        let to = self.gaps.partition_point(|gap| gap.range.start < range.end).max(from);
        let held = &self.gaps[from..to];
        let judged = gaps::answered(&self.known(due, now), held, range, stored, rejected);
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
