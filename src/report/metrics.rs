//! Fetch and quality figures over a window of time.

use crate::domain::fact::FetchFacts;

use super::quality::SeriesQuality;

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
        let times = &facts.response_times_ms;
        let total = times.len() as u64;
        let sum: u64 = times.iter().sum();
        Self {
            total,
            successful: facts.successful,
            rate_limited: facts.rate_limited,
            retries: facts.retries,
            bytes: facts.bytes,
            avg_ms: (total > 0).then(|| sum as f64 / total as f64),
            p50_ms: percentile(times, 50),
            p95_ms: percentile(times, 95),
            p99_ms: percentile(times, 99),
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

/// The smallest of the ascending `values` that at least `percent` of a hundred do not exceed.
fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&values, 50), Some(100));
        assert_eq!(percentile(&values, 99), Some(198));
        assert_eq!(percentile(&[7], 95), Some(7));
        assert_eq!(percentile(&[], 95), None);
    }
}
