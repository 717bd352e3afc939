//! Freshness of every series.

use crate::config::Settings;
use crate::domain::policy::Freshness;
use crate::domain::series::SeriesKey;
use crate::freshness::{self, Held};

use super::Facts;

/// Every series' freshness, worst first.
#[derive(Clone, Debug, Default)]
pub struct Staleness {
    /// A row a series.
    pub series: Vec<SeriesState>,
}

/// How many series are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In good time.
    pub fresh: u64,
    /// Late, and not yet badly.
    pub aging: u64,
    /// Badly late.
    pub stale: u64,
    /// Without a bar.
    pub missing: u64,
}

/// One series, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesState {
    /// Which series.
    pub key: SeriesKey,
    /// Its group.
    pub group: String,
    /// Its provider's name in the config.
    pub provider: String,
    /// The worse of its bars' and its features' freshness.
    pub status: Freshness,
    /// Its bars' freshness.
    pub bars_status: Freshness,
    /// The `ts` of its last bar; `None` without one.
    pub last_bar_ts: Option<i64>,
    /// When the first bar after it became, or is going to be, due.
    pub due_at: Option<i64>,
    /// How late that bar is; 0 when it is not due yet.
    pub lag_seconds: i64,
    /// How long ago its last bar closed; `None` without one.
    pub data_age_seconds: Option<i64>,
    /// Whether the lag is beyond what counts as critical.
    pub beyond_stale: bool,
    /// Failed runs since the last good one.
    pub consecutive_failures: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
}

impl Staleness {
    /// How many series are in which state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count =
            |status| self.series.iter().filter(|series| series.status == status).count() as u64;
        Counts {
            fresh: count(Freshness::Fresh),
            aging: count(Freshness::Aging),
            stale: count(Freshness::Stale),
            missing: count(Freshness::Missing),
        }
    }

    /// The worst state of all; fresh when there is no series.
    #[must_use]
    pub fn worst(&self) -> Freshness {
        self.series.iter().map(|series| series.status).max().unwrap_or(Freshness::Fresh)
    }
}

/// Judges every series of the config at `now`.
#[must_use]
pub fn judge(settings: &Settings, facts: &Facts, now: i64) -> Staleness {
    let mut series = Vec::new();
    for (group, member) in settings.members() {
        let due = settings.due(group, member);
        for timeframe in &group.timeframe_list {
            let key = SeriesKey { symbol: member.symbol.clone(), timeframe: *timeframe };
            let fact = facts.series.get(&key);
            let explained = fact.map(|fact| facts.explained(fact.series_id)).unwrap_or_default();
            let watermark_ts = fact.and_then(|fact| fact.watermark_ts);
            let held = Held {
                due: &due,
                timeframe: *timeframe,
                watermark_ts,
                added_at: fact.map_or(now, |fact| fact.added_at),
                explained: &explained,
            };
            let thresholds = group.freshness.thresholds(*timeframe);
            let judged = freshness::judge(&held, thresholds, now);
            let closed_at = |ts| due.calendar.close_at(*timeframe, due.layout, ts);
            series.push(SeriesState {
                key,
                group: group.name.clone(),
                provider: group.provider.clone(),
                status: judged.status,
                bars_status: judged.status,
                last_bar_ts: watermark_ts,
                due_at: judged.due_at,
                lag_seconds: judged.lag_seconds,
                data_age_seconds: watermark_ts.map(|ts| now.saturating_sub(closed_at(ts)).max(0)),
                beyond_stale: judged.lag_seconds.unsigned_abs() >= thresholds.stale.as_secs(),
                consecutive_failures: fact.map_or(0, |fact| fact.consecutive_failures),
                last_error: fact.and_then(|fact| fact.last_error.clone()),
            });
        }
    }
    series
        .sort_by(|a, b| (b.status, b.lag_seconds, &a.key).cmp(&(a.status, a.lag_seconds, &b.key)));
    Staleness { series }
}
