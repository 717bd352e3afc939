//! Reports: facts, policy and an instant in; one value out, which `render` shows in every format and
//! from which the exit code is read. Pure: nothing is fetched, opened or printed here.

use crate::domain::gap::Gap;
use crate::domain::quick::QuickMap;
use crate::domain::range::RangeSet;
use crate::domain::series_facts::SeriesFacts;

pub mod actions;
pub mod alerts;
pub mod baseline;
pub mod breaker;
pub mod doctor;
pub mod gaps;
pub mod health;
pub mod holes;
pub mod metrics;
pub mod page;
pub mod quality;
pub mod slo;
pub mod staleness;
pub mod telemetry;
pub mod work;

/// What the store knows of the series, as the reports judge it.
#[derive(Debug, Default)]
pub struct Facts {
    /// Series by key. As of an earlier instant, they end where they would have ended then.
    pub series: SeriesFacts,
    /// Gaps by series.
    pub gaps: QuickMap<i64, Vec<Gap>>,
    /// What was asked for and answered, by series; empty for reports that do not ask.
    pub coverage: QuickMap<i64, RangeSet>,
}

impl Facts {
    /// The gaps of a series.
    #[must_use]
    pub fn gaps_of(&self, series_id: i64) -> &[Gap] {
        self.gaps.get(&series_id).map_or(&[], Vec::as_slice)
    }

    /// The gaps of a series that are no holes, after its bar of `watermark_ts`, as a set; all of them where
    /// that is `None`.
    #[must_use]
    pub fn excused(&self, series_id: i64, watermark_ts: Option<i64>) -> RangeSet {
        let after = watermark_ts.unwrap_or(i64::MIN);
        let gaps = self.gaps_of(series_id);
        let first = gaps.partition_point(|gap| gap.range.end <= after);
        gaps[first..].iter().filter(|gap| !gap.reason.is_hole()).map(|gap| gap.range).collect()
    }
}
