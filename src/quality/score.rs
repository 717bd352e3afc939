//! What a series' quality comes to.

use crate::calendar::due::Due;
use crate::domain::fact::{Found, QualityFact, SeriesFact};
use crate::domain::gap::Gap;
use crate::domain::quick::QuickMap;
use crate::domain::range::TimeRange;
use crate::domain::timeframe::Timeframe;

/// Below this score a series is of low quality.
pub const LOW_SCORE: f64 = 0.85;

/// Below this score it can hardly be used.
pub const POOR_SCORE: f64 = 0.5;

/// Below this share of stored rows too many are refused.
pub const LOW_VALIDATION: f64 = 0.95;

/// Counts due bars of the series of one group at one instant. Most of them begin and end with the same
/// bars, and are counted once.
#[derive(Debug)]
pub struct DueCounts {
    now: i64,
    counts: QuickMap<(Timeframe, TimeRange), u64>,
    ends: QuickMap<Timeframe, i64>,
}

impl DueCounts {
    /// Of a group whose series are judged at `now`.
    #[must_use]
    pub fn new(now: i64) -> Self {
        Self { now, counts: QuickMap::default(), ends: QuickMap::default() }
    }

    /// How many bars of `range` are due.
    pub fn count(&mut self, due: &Due, timeframe: Timeframe, range: TimeRange) -> u64 {
        let count = || due.count(timeframe, range, self.now);
        if due.delisted.is_some() {
            return count();
        }
        *self.counts.entry((timeframe, range)).or_insert_with(count)
    }

    /// Where stored bars of a series are not due: after the last one that is, and before the first.
    pub fn undue(&mut self, due: &Due, series: &SeriesFact) -> Vec<TimeRange> {
        let early = self.early_from(due, series).map(|from| TimeRange::new(from, i64::MAX));
        let old = series.due_from().map(|from| TimeRange::new(i64::MIN, from));
        early.into_iter().chain(old).collect()
    }

    /// From which `ts` on stored bars of a series are not due yet; `None` when all are.
    fn early_from(&mut self, due: &Due, series: &SeriesFact) -> Option<i64> {
        let timeframe = series.key.timeframe;
        let end = || due.end(timeframe, self.now).unwrap_or(i64::MIN);
        let end = match due.delisted {
            Some(_) => end(),
            None => *self.ends.entry(timeframe).or_insert_with(end),
        };
        (series.watermark_ts? >= end).then_some(end)
    }
}

/// Counts what a series' quality is measured by. Of its stored bars, `undue` ones that lie in sessions
/// are not due: not yet, or no more than its lookback is.
#[must_use]
pub fn tally(
    series: &SeriesFact,
    (due, counts): (&Due, &mut DueCounts),
    gaps: &[Gap],
    found: &Found,
    undue: u64,
) -> Tally {
    let timeframe = series.key.timeframe;
    let held = TimeRange::new(series.first_due_ts().unwrap_or(i64::MAX), i64::MAX);
    let excused = |gap: &&Gap| !gap.reason.is_hole() && gap.range.end > held.start;
    let now = counts.now;
    let mut missing = |gap: &Gap| {
        let range = gap.range.intersect(held);
        // Counted when it was written down; anew only where one sees another part of it now.
        if range == gap.range && range.end <= now {
            gap.missing
        } else {
            counts.count(due, timeframe, range)
        }
    };
    let excused: u64 = gaps.iter().filter(excused).map(&mut missing).sum();
    Tally {
        stored: series.bar_count,
        rejected: found.rejected,
        due: counts.count(due, timeframe, held).saturating_sub(excused),
        stored_due: series.bar_count.saturating_sub(found.non_session + undue),
        holes: gaps.iter().filter(|gap| gap.reason.is_hole()).count() as u64,
        anomalies: found.non_session + found.scored,
        scored: found.scored,
    }
}

/// What was counted of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bars in the store.
    pub stored: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Bars due from the first stored one on, gaps that are no holes left out.
    pub due: u64,
    /// Of the stored bars those that are due.
    pub stored_due: u64,
    /// Gaps that are holes.
    pub holes: u64,
    /// Findings among the stored bars.
    pub anomalies: u64,
    /// Of them those that the score takes into account.
    pub scored: u64,
}

/// Measures a series.
///
/// ```
/// use mdctl::quality::{Tally, measure};
///
/// let tally = Tally { stored: 8, rejected: 2, due: 10, stored_due: 8, scored: 2, ..Tally::default() };
/// let metrics = measure(&tally);
/// assert_eq!((metrics.completeness, metrics.validation_rate), (Some(0.8), Some(0.8)));
/// // Half of it is completeness, three tenths the rate, two tenths that bars look right.
/// let score = 0.5 * 0.8 + 0.3 * 0.8 + 0.2 * (1.0 - 2.0 / 8.0);
/// assert_eq!(metrics.quality_score, Some(score));
/// ```
#[must_use]
pub fn measure(tally: &Tally) -> QualityFact {
    let share = |part: u64, whole: u64| (whole > 0).then(|| (part as f64 / whole as f64).min(1.0));
    let total = tally.stored + tally.rejected;
    let validation_rate = share(tally.stored, total);
    let held = tally.stored > 0;
    let completeness = held.then(|| share(tally.stored_due, tally.due).unwrap_or(1.0));
    let suspicious = share(tally.scored, tally.stored);
    let score = |((completeness, rate), suspicious): ((f64, f64), f64)| {
        0.5 * completeness + 0.3 * rate + 0.2 * (1.0 - suspicious)
    };
    QualityFact {
        total_records: total,
        validated_records: tally.stored,
        validation_rate,
        gaps_detected: tally.holes,
        anomalies_detected: tally.anomalies,
        quality_score: completeness.zip(validation_rate).zip(suspicious).map(score),
        completeness,
    }
}
