//! What is wrong with the data: series that are late, lacking, silent, of two prices, or of low quality.

use std::collections::{BTreeMap, HashSet};

use crate::config::Settings;
use crate::domain::alert::Severity;
use crate::domain::fact::Marks;
use crate::domain::policy::Freshness;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::words::{instant, span};
use crate::plan::rest;

use super::super::actions::ActionState;
use super::super::metrics::share;
use super::super::quality::SeriesQuality;
use super::super::staleness::SeriesState;
use super::{Code, Evidence, Issue};

pub(super) fn series_missing(series: &[&SeriesState]) -> Option<Issue> {
    let missing: Vec<_> =
        series.iter().filter(|row| row.bars_status == Freshness::Missing).collect();
    let first = missing.first()?;
    let count = missing.len() as u64;
    Some(Issue {
        code: Code::SeriesMissing,
        severity: Severity::Warning,
        subject: first.key.to_string(),
        count,
        since: None,
        message: format!("{count} of {} series have no bar, such as {}", series.len(), first.key),
        hint: format!("mdctl backfill {}", first.key.symbol),
    })
}

pub(super) fn series_stale(
    settings: &Settings,
    evidence: &Evidence,
    series: &[&SeriesState],
) -> Option<Issue> {
    let stale: Vec<_> = series.iter().filter(|row| row.bars_status == Freshness::Stale).collect();
    let worst = stale.first()?;
    let count = stale.len() as u64;
    let beyond = stale.iter().filter(|row| row.beyond_stale).count() as u64;
    let all = evidence.staleness.series.len() as u64;
    let critical = beyond > 0
        && share(beyond, all).is_some_and(|share| share >= settings.health.critical_share);
    Some(Issue {
        code: Code::SeriesStale,
        severity: if critical { Severity::Critical } else { Severity::Warning },
        subject: worst.key.to_string(),
        count,
        since: worst.due_at,
        message: format!(
            "{count} of {} series are stale, the worst is {}, {} behind",
            series.len(),
            worst.key,
            span(worst.lag_seconds)
        ),
        hint: format!(
            "mdctl gaps {}; then mdctl backfill --repair {}",
            worst.key.symbol, worst.key.symbol
        ),
    })
}

pub(super) fn has_old_features(row: &SeriesState) -> bool {
    matches!(row.features_status, Some(Freshness::Stale | Freshness::Missing))
}

/// Series whose bars are there, and whose features are not.
pub(super) fn features_stale(series: &[&SeriesState]) -> Option<Issue> {
    let has_bars =
        |row: &SeriesState| !matches!(row.bars_status, Freshness::Stale | Freshness::Missing);
    let behind: Vec<_> =
        series.iter().filter(|row| has_old_features(row) && has_bars(row)).collect();
    let first = behind.first()?;
    let count = behind.len() as u64;
    Some(Issue {
        code: Code::SeriesStale,
        severity: Severity::Warning,
        subject: first.key.to_string(),
        count,
        since: first.last_computed_at,
        message: format!(
            "the features of {count} of {} series are behind their bars, such as those of {}",
            series.len(),
            first.key
        ),
        hint: format!("mdctl backfill {}; then mdctl history last", first.key.symbol),
    })
}

pub(super) fn keeps_failing(series: &[&SeriesState]) -> Option<Issue> {
    let failing: Vec<(&SeriesState, &Marks)> = series
        .iter()
        .filter_map(|row| Some((*row, row.marks.as_deref()?)))
        .filter(|(_, marks)| marks.consecutive_failures >= rest::FAILURES)
        .collect();
    let (worst, marks) = failing.iter().max_by_key(|(_, marks)| marks.consecutive_failures)?;
    let error = marks.last_error.as_deref().unwrap_or("no reason recorded");
    Some(Issue {
        code: Code::KeepsFailing,
        severity: Severity::Warning,
        subject: worst.key.to_string(),
        count: failing.len() as u64,
        since: None,
        message: format!(
            "{} failed {} runs running: {error}",
            worst.key, marks.consecutive_failures
        ),
        hint: format!("mdctl status {}", worst.key.symbol),
    })
}

/// Symbols for which nothing comes any more, while others of their feed go on.
pub(super) fn suspected_delisted(series: &[&SeriesState]) -> Option<Issue> {
    let silent: BTreeMap<&Symbol, i64> =
        series.iter().rev().filter_map(|row| Some((&row.key.symbol, row.silent_since?))).collect();
    let (symbol, since) = silent.iter().min_by_key(|(_, since)| **since)?;
    let count = silent.len() as u64;
    Some(Issue {
        code: Code::SuspectedDelisted,
        severity: Severity::Warning,
        subject: symbol.to_string(),
        count,
        since: Some(*since),
        message: format!(
            "nothing has come for {symbol} since {}, however often it was asked; it is asked less and \
             less often",
            instant(*since)
        ),
        hint: format!(
            "if it is delisted, say so in the config, {{ symbol = \"{symbol}\", delisted = \"DATE\" }}, or \
             mdctl symbols remove {symbol}; to ask it now, mdctl backfill {symbol}"
        ),
    })
}

/// Series whose provider restated its prices, and of which not all was to be had again.
pub(super) fn half_restated(series: &[&SeriesState]) -> Option<Issue> {
    let half: Vec<(&SeriesState, i64)> =
        series.iter().filter_map(|row| Some((*row, row.marks.as_deref()?.restated_to?))).collect();
    let (first, end) = half.first()?;
    let end = instant(*end);
    Some(Issue {
        code: Code::LowQuality,
        severity: Severity::Warning,
        subject: first.key.to_string(),
        count: half.len() as u64,
        since: None,
        message: format!(
            "bars of {} before {end} are in the prices of before its provider restated them, as after a split",
            first.key
        ),
        hint: format!(
            "mdctl backfill {}; what its provider has no more stays as it is: keep raw prices instead, \
             with `adjusted = false` and another database",
            first.key.symbol
        ),
    })
}

/// An issue for each symbol with actions that the bars contradict.
pub(super) fn split_disputed(evidence: &Evidence) -> Vec<Issue> {
    let same_symbol = |a: &ActionState, b: &ActionState| a.symbol == b.symbol;
    let mut issues = Vec::new();
    for disputed in evidence.disputed.chunk_by(same_symbol) {
        let [ActionState { symbol, fact }, rest @ ..] = disputed else { continue };
        let more = if rest.is_empty() { String::new() } else { format!("; {} more", rest.len()) };
        issues.push(Issue {
            code: Code::SplitDisputed,
            severity: Severity::Warning,
            subject: symbol.to_string(),
            count: disputed.len() as u64,
            since: disputed.iter().map(|state| state.fact.first_seen_at).min(),
            message: format!(
                "{symbol}: {} of {} is not applied: {}{more}",
                fact.action.kind,
                fact.action.ex_date,
                fact.reason.as_deref().unwrap_or("the bars contradict it")
            ),
            hint: format!(
                "mdctl actions {symbol}; then mdctl actions accept|reject {symbol} {} --reason TEXT",
                fact.action.ex_date
            ),
        });
    }
    issues
}

/// Series of low quality, of those that may raise issues of their own. That bars are late is told as
/// staleness, and not again here.
pub(super) fn low_quality(evidence: &Evidence, series: &[&SeriesState]) -> Option<Issue> {
    let mut low: Vec<&SeriesQuality> = evidence.low_quality.iter().collect();
    if !low.is_empty() {
        let may: HashSet<&SeriesKey> = series.iter().map(|row| &row.key).collect();
        low.retain(|row| may.contains(&row.key));
    }
    let worst = low.first()?;
    let score = worst.fact.quality_score.unwrap_or_default();
    Some(Issue {
        code: Code::LowQuality,
        severity: Severity::Warning,
        subject: worst.key.to_string(),
        count: low.len() as u64,
        since: None,
        message: format!(
            "{} of {} series are of low quality, the worst is {} with a score of {score:.2}",
            low.len(),
            evidence.staleness.series.len(),
            worst.key
        ),
        hint: format!("mdctl quality {}", worst.key.symbol),
    })
}
