//! What monitoring is told at an instant: all of it in one value, each figure the one that the other reports
//! show.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Settings;
use crate::domain::control::Pause;
use crate::domain::fact::{RequestCount, RunFact};
use crate::domain::gap::GapReason;
use crate::domain::provider_state::QuotaLeft;
use crate::domain::run::{ErrorKind, IMPORT, RunStatus, Totals};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::domain::total::{GrandTotals, RunCount};

use super::Facts;
use super::breaker::BreakerRow;
use super::health::{Health, Status};
use super::metrics::QualityMetrics;
use super::quality::SeriesQuality;
use super::staleness::Counts;

/// Everything that monitoring is told.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// When it was told, epoch seconds UTC.
    pub at: i64,
    /// The instant that data is judged at: the same, but for a run as of an earlier one.
    pub judged_at: i64,
    /// The oldest last finished run that is still all right, in seconds.
    pub max_run_age_seconds: u64,
    /// The last run that ended; `None` before the first.
    pub last_run: Option<LastRun>,
    /// What the database tells; `None` when it cannot be read.
    pub known: Option<Known>,
}

/// The last run that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LastRun {
    /// `backfill` or `enrich`.
    pub command: String,
    /// Who called it.
    pub trigger: String,
    /// How it ended.
    pub status: RunStatus,
    /// When it ended, epoch seconds UTC; of a crashed one when it began.
    pub ended_at: i64,
    /// How long it took, in seconds; `None` when that is not known.
    pub duration_seconds: Option<i64>,
    /// What it ended with; `None` when it crashed.
    pub exit_code: Option<i64>,
    /// What it did; `None` when it could not write that down.
    pub totals: Option<Totals>,
}

impl LastRun {
    /// The run of that row.
    #[must_use]
    pub fn of(run: &RunFact) -> Self {
        Self {
            command: run.command.clone(),
            trigger: run.trigger.clone(),
            status: run.status,
            ended_at: run.completed_at.unwrap_or(run.started_at),
            duration_seconds: run.duration_seconds(),
            exit_code: run.exit_code,
            totals: Some(run.totals),
        }
    }
}

/// What the database tells. Every list is ordered by its labels.
#[derive(Clone, Debug)]
pub struct Known {
    /// When the last run that succeeded ended, epoch seconds UTC.
    pub last_success_at: Option<i64>,
    /// Whether a run is at work.
    pub is_running: bool,
    /// The pause that is on; `None` when none is.
    pub pause: Option<Pause>,
    /// The verdict.
    pub status: Status,
    /// What is wrong by code and severity: how many series, providers or runs it is about.
    pub issues: BTreeMap<(&'static str, &'static str), u64>,
    /// Symbols of the config.
    pub symbols: u64,
    /// Series in each state.
    pub counts: Counts,
    /// Series whose features are stale or missing.
    pub stale_features: u64,
    /// The lag of every series' bars, in seconds.
    pub lags: Vec<(SeriesKey, i64)>,
    /// Stored bars by timeframe.
    pub bars: BTreeMap<Timeframe, u64>,
    /// Due bars that are not stored, by reason, as the last run wrote them down.
    pub missing: BTreeMap<GapReason, u64>,
    /// The worst score among each symbol's series, 0..1; symbols without bars have none.
    pub scores: BTreeMap<Symbol, f64>,
    /// The means over all series.
    pub quality: QualityMetrics,
    /// How the providers stand, by name.
    pub breakers: Vec<BreakerRow>,
    /// What is left of their quotas, by name.
    pub quotas: Vec<QuotaLeft>,
    /// What is counted for good; `None` in a database of an older schema.
    pub totals: Option<GrandTotals>,
    /// Bytes of the database's file.
    pub database_bytes: u64,
}

/// What [`Known`] rests on besides the verdict.
#[derive(Debug)]
pub struct Ground<'a> {
    /// What the store knows of the series.
    pub facts: &'a Facts,
    /// How good every series is.
    pub quality: &'a [SeriesQuality],
    /// What is left of the providers' quotas, by name.
    pub quotas: Vec<QuotaLeft>,
    /// What is counted for good; `None` in a database of an older schema.
    pub totals: Option<GrandTotals>,
    /// Bytes of the database's file.
    pub database_bytes: u64,
}

impl Known {
    /// All of it, from a verdict that rests on evidence.
    #[must_use]
    pub fn of(settings: &Settings, health: Health, ground: Ground<'_>) -> Option<Self> {
        let evidence = health.evidence?;
        let mut issues = BTreeMap::new();
        for issue in &health.issues {
            *issues.entry((issue.code.as_str(), issue.severity.as_str())).or_default() +=
                issue.count;
        }
        let states = evidence.staleness.series.into_iter();
        let mut lags: Vec<(SeriesKey, i64)> =
            states.map(|state| (state.key, state.lag_seconds)).collect();
        lags.sort_by(|(one, _), (two, _)| one.cmp(two));
        let (bars, missing) = stored(settings, ground.facts);
        let last_success = evidence.last_success.as_ref();
        Some(Self {
            last_success_at: last_success.map(|run| run.completed_at.unwrap_or(run.started_at)),
            is_running: evidence.running.is_some(),
            pause: evidence.pause,
            status: health.status,
            issues,
            symbols: health.monitored_symbols,
            counts: health.counts,
            stale_features: health.stale_features,
            lags,
            bars,
            missing,
            scores: scores(ground.quality),
            quality: QualityMetrics::of(ground.quality),
            breakers: evidence.breakers,
            quotas: ground.quotas,
            totals: ground.totals.map(|totals| filled(totals, settings)),
            database_bytes: ground.database_bytes,
        })
    }
}

/// Stored bars by timeframe, and lacking ones by reason.
fn stored(
    settings: &Settings,
    facts: &Facts,
) -> (BTreeMap<Timeframe, u64>, BTreeMap<GapReason, u64>) {
    let mut bars = BTreeMap::new();
    let mut missing: BTreeMap<GapReason, u64> =
        GapReason::ALL.into_iter().map(|reason| (reason, 0)).collect();
    for (key, _, _) in settings.series() {
        let stored: &mut u64 = bars.entry(key.timeframe).or_default();
        let Some(fact) = facts.series.get(&key) else { continue };
        *stored += fact.bar_count;
        for gap in facts.gaps_of(fact.series_id) {
            *missing.entry(gap.reason).or_default() += gap.missing;
        }
    }
    (bars, missing)
}

/// The worst score among each symbol's series.
fn scores(quality: &[SeriesQuality]) -> BTreeMap<Symbol, f64> {
    let mut scores: BTreeMap<Symbol, f64> = BTreeMap::new();
    for row in quality {
        let Some(score) = row.fact.quality_score else { continue };
        let worst = scores.entry(row.key.symbol.clone()).or_insert(score);
        *worst = worst.min(score);
    }
    scores
}

/// What a request may come to.
const OUTCOMES: [&str; 11] = [
    "ok",
    ErrorKind::Network.as_str(),
    ErrorKind::Timeout.as_str(),
    ErrorKind::RateLimited.as_str(),
    ErrorKind::Auth.as_str(),
    ErrorKind::NotEntitled.as_str(),
    ErrorKind::NotFound.as_str(),
    ErrorKind::BadRequest.as_str(),
    ErrorKind::Server.as_str(),
    ErrorKind::Malformed.as_str(),
    ErrorKind::TooLarge.as_str(),
];

/// The same with a zero for what has not happened yet: whoever watches a counter must see it rise.
fn filled(mut totals: GrandTotals, settings: &Settings) -> GrandTotals {
    let known: BTreeSet<(String, String)> =
        totals.requests.iter().map(|row| (row.provider.clone(), row.outcome.clone())).collect();
    for provider in settings.providers.values().filter(|provider| !provider.is_files()) {
        let lacking = OUTCOMES
            .iter()
            .map(|outcome| (provider.name.clone(), (*outcome).to_owned()))
            .filter(|pair| !known.contains(pair));
        totals.requests.extend(lacking.map(|(provider, outcome)| RequestCount {
            provider,
            outcome,
            count: 0,
        }));
    }
    totals.requests.sort_by(|a, b| (&a.provider, &a.outcome).cmp(&(&b.provider, &b.outcome)));
    let ended = RunStatus::ALL.iter().filter(|status| **status != RunStatus::Running);
    for status in ended.copied() {
        for command in ["backfill", "enrich", IMPORT] {
            if !totals.runs.iter().any(|run| run.command == command && run.status == status) {
                totals.runs.push(RunCount { command: command.to_owned(), status, count: 0 });
            }
        }
    }
    totals.runs.sort_by(|a, b| (&a.command, a.status).cmp(&(&b.command, b.status)));
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fact::QualityFact;

    #[test]
    fn a_symbols_score_is_its_worst_timeframes() {
        let row = |symbol: &str, timeframe, quality_score| SeriesQuality {
            key: SeriesKey { symbol: symbol.parse().expect("a symbol"), timeframe },
            fact: QualityFact { quality_score, ..QualityFact::default() },
            held_score: None,
            left_from: None,
        };
        let rows = [
            row("A", Timeframe::D1, Some(0.9)),
            row("A", Timeframe::H1, Some(0.4)),
            row("B", Timeframe::D1, None),
            row("A", Timeframe::W1, None),
        ];
        let scores = scores(&rows);
        let found: Vec<(&str, f64)> =
            scores.iter().map(|(symbol, score)| (symbol.as_str(), *score)).collect();
        assert_eq!(found, [("A", 0.4)]);
    }
}
