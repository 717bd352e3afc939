//! Fetch and quality figures over a window of time.

use std::collections::BTreeMap;

use crate::domain::fact::{ComputeFacts, FetchFacts};
use crate::domain::provider_state::QuotaLeft;

use super::quality::SeriesQuality;

/// Everything that is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// How far back requests and computing are looked at, in seconds.
    pub window_seconds: i64,
    /// What requests came to.
    pub fetch: FetchMetrics,
    /// What is left of the quota of each provider that has one, by name.
    pub quotas: Vec<QuotaLeft>,
    /// What computing came to.
    pub compute: ComputeFacts,
    /// Symbols of the config.
    pub symbols_tracked: u64,
    /// How good the series are.
    pub quality: QualityMetrics,
}

impl Metrics {
    /// Requests that may be sent at once at this instant to the provider that allows the fewest; `None`
    /// where none of them has a quota.
    #[must_use]
    pub fn quota_remaining(&self) -> Option<u64> {
        self.quotas.iter().map(|quota| quota.requests).min()
    }
}

/// What requests came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FetchMetrics {
    /// Requests.
    pub total: u64,
    /// Those that brought an answer.
    pub successful: u64,
    /// Answers that said: too many requests.
    pub rate_limited: u64,
    /// Second tries and later.
    pub retries: u64,
    /// Unpacked bytes.
    pub bytes: u64,
    /// Mean response time in milliseconds; `None` without requests.
    pub avg_ms: Option<f64>,
    /// Half of the requests took at most this long.
    pub p50_ms: Option<u64>,
    /// 95 of a hundred did.
    pub p95_ms: Option<u64>,
    /// 99 of a hundred did.
    pub p99_ms: Option<u64>,
}

impl FetchMetrics {
    /// The figures of those requests.
    #[must_use]
    pub fn of(facts: &FetchFacts) -> Self {
        let (times, total) = (&facts.times_ms, facts.total);
        let sum: u64 = times.iter().map(|(ms, requests)| ms * requests).sum();
        let percentile = |percent| percentile(times, total, percent);
        Self {
            total,
            successful: facts.successful,
            rate_limited: facts.rate_limited,
            retries: facts.retries,
            bytes: facts.bytes,
            avg_ms: (total > 0).then(|| sum as f64 / total as f64),
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            p99_ms: percentile(99),
        }
    }

    /// The share of answers that said: too many requests, 0..1; 0 without requests.
    #[must_use]
    pub fn rate_limited_share(&self) -> f64 {
        share(self.rate_limited, self.total).unwrap_or(0.0)
    }
}

/// How good series are, on average; each `None` when nothing can be said of any.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QualityMetrics {
    /// Stored of all rows that came, 0..1.
    pub avg_validation_rate: Option<f64>,
    /// Scores, 0..1.
    pub avg_score: Option<f64>,
    /// Stored of the due bars, 0..1.
    pub avg_completeness: Option<f64>,
}

impl QualityMetrics {
    /// The means of those series, each series counting the same.
    #[must_use]
    pub fn of(series: &[SeriesQuality]) -> Self {
        let mean = |of: fn(&SeriesQuality) -> Option<f64>| {
            let values: Vec<f64> = series.iter().filter_map(of).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Self {
            avg_validation_rate: mean(|row| row.fact.validation_rate),
            avg_score: mean(|row| row.fact.quality_score),
            avg_completeness: mean(|row| row.fact.completeness),
        }
    }
}

/// `part` of `whole`, 0..1; `None` of nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The smallest time that at least `percent` of a hundred requests do not exceed; `times` tells by time
/// how many of all `total` took it.
pub(super) fn percentile(times: &BTreeMap<u64, u64>, total: u64, percent: u64) -> Option<u64> {
    let rank = (total * percent).div_ceil(100).max(1);
    let mut counted = 0;
    times.iter().find_map(|(time, requests)| {
        counted += requests;
        (counted >= rank).then_some(*time)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(values: impl Iterator<Item = u64>) -> BTreeMap<u64, u64> {
        let mut times = BTreeMap::new();
        values.for_each(|value| *times.entry(value).or_default() += 1);
        times
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = times(1..=200);
        assert_eq!(percentile(&values, 200, 50), Some(100));
        assert_eq!(percentile(&values, 200, 99), Some(198));
        let few = times([7, 7, 7, 900].into_iter());
        assert_eq!(percentile(&few, 4, 50), Some(7));
        assert_eq!(percentile(&few, 4, 75), Some(7));
        assert_eq!(percentile(&few, 4, 76), Some(900));
        assert_eq!(percentile(&times(std::iter::once(7)), 1, 95), Some(7));
        assert_eq!(percentile(&BTreeMap::new(), 0, 95), None);
    }

    #[test]
    fn the_quota_that_remains_is_that_of_the_provider_with_the_least() {
        let left = |provider: &str, requests| QuotaLeft {
            provider: provider.to_owned(),
            requests,
            at_once: 100,
        };
        let mut metrics = Metrics {
            window_seconds: 60,
            fetch: FetchMetrics::default(),
            quotas: Vec::new(),
            compute: ComputeFacts::default(),
            symbols_tracked: 0,
            quality: QualityMetrics::default(),
        };
        assert_eq!(metrics.quota_remaining(), None);
        metrics.quotas = vec![left("a", 40), left("b", 3)];
        assert_eq!(metrics.quota_remaining(), Some(3));
    }
}
