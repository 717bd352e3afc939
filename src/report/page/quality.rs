//! How good the series are: the worst, and how the scores are spread.

use crate::quality::{LOW_SCORE, POOR_SCORE};

use super::super::quality::SeriesQuality;

/// Series in the list, at most.
pub const MOST: usize = 30;

/// Where the classes of scores end, exclusive; the last one holds whole scores alone.
const ENDS: [f64; 7] = [POOR_SCORE, LOW_SCORE, 0.90, 0.95, 0.99, 1.0, f64::INFINITY];

/// How good the series are.
#[derive(Debug)]
pub struct Scores {
    /// The worst first; not all where there are more than [`MOST`].
    pub worst: Vec<SeriesQuality>,
    /// Series in all.
    pub series: usize,
    /// Series whose score is low.
    pub low: usize,
    /// Series without a score: without bars.
    pub unknown: usize,
    /// Classes of scores, the lowest first.
    pub classes: Vec<Class>,
}

/// Scores from `from`, inclusive, to `to`, exclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// The lowest score in it.
    pub from: f64,
    /// The lowest score above it; infinite for the last class, which holds scores of 1 alone.
    pub to: f64,
    /// Series in it.
    pub series: usize,
    /// Whether its series are of low quality.
    pub is_low: bool,
}

impl Scores {
    /// The scores of those series, which come the worst first.
    #[must_use]
    pub fn of(rows: &[SeriesQuality]) -> Self {
        let scores: Vec<f64> = rows.iter().filter_map(|row| row.fact.quality_score).collect();
        let mut from = 0.0;
        let classes = ENDS.map(|to| {
            let series = scores.iter().filter(|score| (from..to).contains(*score)).count();
            let class = Class { from, to, series, is_low: to <= LOW_SCORE };
            from = to;
            class
        });
        Self {
            worst: rows.iter().take(MOST).cloned().collect(),
            series: rows.len(),
            low: rows.iter().filter(|row| row.is_low()).count(),
            unknown: rows.len() - scores.len(),
            classes: classes.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fact::QualityFact;
    use crate::domain::series::SeriesKey;
    use crate::domain::timeframe::Timeframe;

    #[test]
    fn every_series_is_in_one_class_or_has_no_score() {
        let row = |quality_score| SeriesQuality {
            key: SeriesKey { symbol: "A".parse().unwrap(), timeframe: Timeframe::D1 },
            fact: QualityFact { quality_score, ..QualityFact::default() },
            held_score: None,
            left_from: None,
        };
        let scores = [0.0, 0.5, 0.849, 0.85, 0.999, 1.0, 1.0];
        let mut rows: Vec<SeriesQuality> = scores.map(|score| row(Some(score))).to_vec();
        rows.push(row(None));
        let all = Scores::of(&rows);
        let counts: Vec<usize> = all.classes.iter().map(|class| class.series).collect();
        assert_eq!(counts, [1, 2, 1, 0, 0, 1, 2]);
        assert_eq!((all.low, all.unknown, all.series), (3, 1, 8));
        let low: usize = all.classes.iter().filter(|c| c.is_low).map(|c| c.series).sum();
        assert_eq!(low, all.low);
    }
}
