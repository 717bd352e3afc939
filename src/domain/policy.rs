//! The rules by which things are done and judged: filled by the config, read by the rooms.

use std::collections::BTreeMap;
use std::time::Duration;

use super::enum_words::enum_words;
use super::zone::Zone;
use chrono::NaiveTime;

use super::timeframe::Timeframe;

/// How failed requests are tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Tries after the first, at most.
    pub max_retries: u32,
    /// The longest first wait.
    pub initial: Duration,
    /// The longest wait of all, and the longest `Retry-After` that is waited for.
    pub max: Duration,
    /// By how much the longest wait grows from try to try; at least 1.
    pub multiplier: f64,
    /// Whether a wait is drawn evenly from 0 to its longest (full jitter), or is its longest.
    pub jitter: Jitter,
    /// Retries of a provider in a run: at most the larger of 10 and this share of its first tries.
    pub budget: f64,
}

/// How waits are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Evenly from 0 to the longest wait.
    Full,
    /// Always the longest wait.
    None,
}

/// How many requests a provider allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// So many requests …
    pub requests: u32,
    /// … in any such time, however it slides; with `burst`, the time in which so many tokens grow.
    pub per: Duration,
    /// A token bucket of this capacity instead of the strict window.
    pub burst: Option<u32>,
}

impl RateLimit {
    /// Its name: what it is remembered by, `5/1m` or `100/1m burst 150`.
    #[must_use]
    pub fn name(&self) -> String {
        let name = format!("{}/{}", self.requests, humantime::format_duration(self.per));
        match self.burst {
            None => name,
            Some(burst) => format!("{name} burst {burst}"),
        }
    }
}

/// The limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// From the first packet to the connection.
    pub connect_timeout: Duration,
    /// From the request to the last byte.
    pub request_timeout: Duration,
    /// Between two pieces of an answer.
    pub read_timeout: Duration,
    /// Bytes of an unpacked body.
    pub max_body: u64,
}

/// How many requests of a provider are in flight at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulkhead {
    /// At most so many.
    pub max_concurrent: u32,
    /// How long one waits for its place before it fails as `bulkhead_full`.
    pub timeout: Duration,
}

/// When a provider is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Opens at this share of failed calls.
    pub failure_rate: f64,
    /// Judges only once so many calls are in.
    pub min_calls: u32,
    /// Judges the last so many calls.
    pub window: u32,
    /// Stays open so long.
    pub recovery: Duration,
    /// Then lets so many probes through.
    pub half_open_calls: u32,
}

/// When a provider publishes a bar whose window has closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// So long after the close.
    pub lag: Duration,
    /// And not before this time of the day, for plans that publish at the end of the day.
    pub end_of_day: Option<EndOfDay>,
}

/// A time of the day in a zone, `21:30 America/New_York`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndOfDay {
    /// The local time.
    pub time: NaiveTime,
    /// Whose local time.
    pub zone: Zone,
}

/// Up to which lag a series counts as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Below this, fresh.
    pub fresh: Duration,
    /// Below this, aging; from here on stale.
    pub aging: Duration,
    /// From here on a stale series counts as critical.
    pub stale: Duration,
}

/// Thresholds, with those of single timeframes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshnessPolicy {
    /// For every timeframe that has none of its own.
    pub default: Thresholds,
    /// For single timeframes.
    pub by_timeframe: BTreeMap<Timeframe, Thresholds>,
}

impl FreshnessPolicy {
    /// What holds for `timeframe`.
    #[must_use]
    pub fn thresholds(&self, timeframe: Timeframe) -> Thresholds {
        self.by_timeframe.get(&timeframe).copied().unwrap_or(self.default)
    }
}

/// A series' lag, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// The lag is below `fresh`.
    Fresh,
    /// The lag is below `aging`.
    Aging,
    /// The lag is larger.
    Stale,
    /// There is nothing at all.
    Missing,
}

enum_words!(Freshness, "freshness", {
    Fresh => "fresh", Aging => "aging", Stale => "stale", Missing => "missing",
});

impl Freshness {
    /// The freshness of a series that has bars and this lag.
    #[must_use]
    pub fn of_lag(lag: Duration, thresholds: Thresholds) -> Self {
        if lag < thresholds.fresh {
            Self::Fresh
        } else if lag < thresholds.aging {
            Self::Aging
        } else {
            Self::Stale
        }
    }
}

/// What `health` holds against the facts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthPolicy {
    /// The oldest last finished run that is still all right.
    pub max_run_age: Duration,
    /// The largest share of failed jobs that is still all right.
    pub max_failure_rate: f64,
    /// How far back failures and requests are looked at.
    pub recent: Duration,
    /// From this share of series beyond `stale` on, stale series are critical.
    pub critical_share: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_belongs_to_the_worse_side() {
        let hours = |h: u64| Duration::from_secs(h * 3600);
        let thresholds = Thresholds { fresh: hours(1), aging: hours(6), stale: hours(24) };
        let of = |h| Freshness::of_lag(hours(h), thresholds);
        assert_eq!(of(0), Freshness::Fresh);
        assert_eq!(of(1), Freshness::Aging);
        assert_eq!(of(6), Freshness::Stale);
    }
}
