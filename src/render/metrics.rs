//! Fetch, compute and quality figures over a window, as a table and as JSON.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::words::{bytes, count, counted, instant, span};
use crate::report::metrics::{Metrics, share};

use super::schema;
use super::table::{Column, Look, Rows};

/// How the figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For Prometheus, in its text format.
    Prometheus,
}

/// Fetch, compute and quality figures, as `metrics` and `status` give them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Metrics")]
pub struct MetricsJson {
    /// What requests came to.
    fetch_pipeline: FetchJson,
    /// What computing came to.
    compute_pipeline: ComputeJson,
    /// How good the series are.
    data_quality: QualityJson,
    /// What is left of the quota of each provider that has one.
    quotas: Vec<QuotaJson>,
    /// How far back requests and computing are looked at.
    window_seconds: i64,
    /// As of when it was told.
    timestamp: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Fetch")]
struct FetchJson {
    /// Requests; files read are none.
    total_fetches: u64,
    /// Those that went well.
    successful: u64,
    /// Percent; null without requests.
    success_rate: Option<f64>,
    /// Null without requests.
    avg_response_time_ms: Option<f64>,
    /// Half of the requests took at most this long; null without requests.
    p50_response_time_ms: Option<u64>,
    /// 95 of a hundred did.
    p95_response_time_ms: Option<u64>,
    /// 99 of a hundred did.
    p99_response_time_ms: Option<u64>,
    /// Answers that said: too many requests.
    rate_limited: u64,
    /// Percent; 0 without requests.
    rate_limited_share: f64,
    /// Second tries and later.
    retries: u64,
    /// Unpacked.
    bytes: u64,
    /// Requests that may be sent at this instant to the provider that allows the fewest; null where none
    /// has a quota.
    api_quota_remaining: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Compute")]
struct ComputeJson {
    /// How often features of a series were computed.
    total_computations: u64,
    /// Those that went well.
    successful: u64,
    /// Percent; null when nothing was computed.
    success_rate: Option<f64>,
    /// Null when nothing was computed.
    avg_computation_time_ms: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Quality")]
struct QualityJson {
    /// Symbols of the config.
    symbols_tracked: u64,
    /// Percent; null without rows.
    avg_validation_rate: Option<f64>,
    /// 0..1; null without bars.
    avg_quality_score: Option<f64>,
    /// 0..1; null without bars.
    avg_completeness: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Quota")]
struct QuotaJson {
    /// The provider's name in the config.
    provider: String,
    /// Requests that may be sent at this instant.
    remaining: u64,
    /// Those that might be sent at once, had nothing been sent before.
    limit: u64,
}

impl MetricsJson {
    /// The figures as of `now`.
    #[must_use]
    pub fn of(metrics: &Metrics, now: i64) -> Self {
        let (fetch, compute, quality) = (&metrics.fetch, &metrics.compute, &metrics.quality);
        Self {
            fetch_pipeline: FetchJson {
                total_fetches: fetch.total,
                successful: fetch.successful,
                success_rate: share(fetch.successful, fetch.total).map(percent),
                avg_response_time_ms: fetch.avg_ms,
                p50_response_time_ms: fetch.p50_ms,
                p95_response_time_ms: fetch.p95_ms,
                p99_response_time_ms: fetch.p99_ms,
                rate_limited: fetch.rate_limited,
                rate_limited_share: percent(fetch.rate_limited_share()),
                retries: fetch.retries,
                bytes: fetch.bytes,
                api_quota_remaining: metrics.quota_remaining(),
            },
            compute_pipeline: ComputeJson {
                total_computations: compute.total,
                successful: compute.successful,
                success_rate: share(compute.successful, compute.total).map(percent),
                avg_computation_time_ms: compute.avg_ms,
            },
            data_quality: QualityJson {
                symbols_tracked: metrics.symbols_tracked,
                avg_validation_rate: quality.avg_validation_rate.map(percent),
                avg_quality_score: quality.avg_score,
                avg_completeness: quality.avg_completeness,
            },
            quotas: metrics
                .quotas
                .iter()
                .map(|quota| QuotaJson {
                    provider: quota.provider.clone(),
                    remaining: quota.requests,
                    limit: quota.at_once,
                })
                .collect(),
            window_seconds: metrics.window_seconds,
            timestamp: instant(now),
        }
    }
}

/// A share in percent.
#[must_use]
pub fn percent(share: f64) -> f64 {
    share * 100.0
}

/// The document of `metrics --json`.
#[derive(Serialize, JsonSchema)]
struct MetricsDocument {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    #[serde(flatten)]
    metrics: MetricsJson,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<MetricsDocument>("mdctl metrics --json")
}

/// Writes the figures as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, metrics: &Metrics, now: i64) -> io::Result<()> {
    let metrics = MetricsJson::of(metrics, now);
    super::json(out, &MetricsDocument { schema: super::SCHEMA, metrics })
}

/// Writes the figures for people.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, metrics: &Metrics, look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[Column::left("WHAT"), Column::left("FIGURE")];
    let (fetch, compute, quality) = (&metrics.fetch, &metrics.compute, &metrics.quality);
    let window = span(metrics.window_seconds);
    let of = |part: u64, whole: u64| match share(part, whole) {
        Some(share) => format!("{}, {:.1} %", count(part), percent(share)),
        None => count(part),
    };
    let mut rows = Rows::new(COLUMNS, look);
    rows.add([format!("requests in the last {window}"), count(fetch.total)]);
    if let (Some(avg), Some(p50), Some(p95), Some(p99)) =
        (fetch.avg_ms, fetch.p50_ms, fetch.p95_ms, fetch.p99_ms)
    {
        rows.add(["  successful".to_owned(), of(fetch.successful, fetch.total)]);
        rows.add(["  rate-limited".to_owned(), of(fetch.rate_limited, fetch.total)]);
        rows.add(["  retries".to_owned(), count(fetch.retries)]);
        let times = format!(
            "{avg:.0} ms on average; 50 % within {p50} ms, 95 % within {p95} ms, 99 % within {p99} ms"
        );
        rows.add(["  response time".to_owned(), times]);
        rows.add(["  unpacked bytes".to_owned(), bytes(fetch.bytes)]);
    }
    for quota in &metrics.quotas {
        let left = format!("{} of {} now", count(quota.requests), count(quota.at_once));
        rows.add([format!("quota of {}", quota.provider), left]);
    }
    rows.add([format!("computations in the last {window}"), count(compute.total)]);
    if let Some(avg) = compute.avg_ms {
        rows.add(["  successful".to_owned(), of(compute.successful, compute.total)]);
        rows.add(["  time".to_owned(), format!("{avg:.1} ms on average")]);
    }
    rows.add(["data".to_owned(), counted(metrics.symbols_tracked, "symbol")]);
    if let Some(rate) = quality.avg_validation_rate {
        rows.add(["  rows that could be true".to_owned(), format!("{:.2} %", percent(rate))]);
    }
    if let Some(complete) = quality.avg_completeness {
        rows.add(["  due bars stored".to_owned(), format!("{:.2} %", percent(complete))]);
    }
    if let Some(score) = quality.avg_score {
        rows.add(["  score on average".to_owned(), format!("{score:.4} of 1")]);
    }
    rows.write(out)
}
