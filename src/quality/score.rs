//! What a series' quality comes to.

use crate::calendar::due::Due;
use crate::domain::fact::{Found, QualityFact, SeriesFact};
use crate::domain::gap::Gap;
use crate::domain::range::TimeRange;

/// Below this score a series is of low quality.
pub const LOW_SCORE: f64 = 0.85;

/// Below this score it can hardly be used.
pub const POOR_SCORE: f64 = 0.5;

/// Below this share of stored rows too many are refused.
pub const LOW_VALIDATION: f64 = 0.95;

/// From which `ts` on stored bars of a series are not due yet at `now`; `None` when all are.
#[must_use]
pub fn early_from(series: &SeriesFact, due: &Due, now: i64) -> Option<i64> {
    let end = due.end(series.key.timeframe, now).unwrap_or(i64::MIN);
    (series.watermark_ts? >= end).then_some(end)
}

/// Counts what a series' quality is measured by, at `now`. Of its stored bars, `early` ones that lie in
/// sessions are not due yet.
#[must_use]
pub fn tally(
    series: &SeriesFact,
    due: &Due,
    gaps: &[Gap],
    found: &Found,
    early: u64,
    now: i64,
) -> Tally {
    let timeframe = series.key.timeframe;
    let held = TimeRange::new(series.first_ts.unwrap_or(i64::MAX), i64::MAX);
    let explained = |gap: &&Gap| !gap.reason.is_hole() && gap.range.end > held.start;
    let missing = |gap: &Gap| {
        let range = gap.range.intersect(held);
        // Counted when it was written down; anew only where one sees another part of it now.
        if range == gap.range && range.end <= now {
            gap.missing
        } else {
            due.count(timeframe, range, now)
        }
    };
    let explained: u64 = gaps.iter().filter(explained).map(missing).sum();
    Tally {
        stored: series.bar_count,
        rejected: found.rejected,
        due: due.count(timeframe, held, now).saturating_sub(explained),
        stored_due: series.bar_count.saturating_sub(found.non_session + early),
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
