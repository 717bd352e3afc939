//! What is wrong with the data: series that are late, lacking, silent, of two prices, or of low quality.

use std::collections::{BTreeMap, HashSet};

use crate::config::Settings;
use crate::domain::alert::Severity;
use crate::domain::fact::Marks;
use crate::domain::series::Symbol;
use crate::domain::words::{instant, span};
use crate::plan::rest;

use super::super::actions::ActionState;
use super::super::holes::Hole;
use super::super::metrics::share;
use super::super::quality::SeriesQuality;
use super::super::staleness::{Lack, LeftOut, SeriesState};
use super::{Code, Evidence, Issue};

/// How many series lack that, and the worst of them.
fn lacking<'a>(
    series: &[&'a SeriesState],
    others: &LeftOut,
    lack: Lack,
) -> Option<(u64, &'a SeriesState)> {
    let mut told = series.iter().filter(|row| row.lack() == Some(lack));
    let worst = *told.next()?;
    Some((1 + told.count() as u64 + others.lacking(lack), worst))
}

/// How many series there are, left out or not.
const fn all(series: &[&SeriesState], others: &LeftOut) -> u64 {
    series.len() as u64 + others.counts.all()
}

pub(super) fn no_symbols(evidence: &Evidence) -> Option<Issue> {
    evidence.tracks_none.then(|| Issue {
        code: Code::NoSymbols,
        severity: Severity::Critical,
        subject: "symbols".to_owned(),
        count: 1,
        since: None,
        message: "the config tracks no symbol: nothing is fetched, and nothing is watched"
            .to_owned(),
        hint: "mdctl symbols add; or see whether the config, or its symbols_file, has lost them"
            .to_owned(),
    })
}

pub(super) fn series_missing(
    evidence: &Evidence,
    series: &[&SeriesState],
    others: &LeftOut,
) -> Option<Issue> {
    let (count, first) = lacking(series, others, Lack::Bars)?;
    let all = all(series, others);
    // Those of a provider that is down may well have bars.
    let is_each = count == evidence.staleness.counts().all();
    Some(Issue {
        code: Code::SeriesMissing,
        severity: if is_each { Severity::Critical } else { Severity::Warning },
        subject: first.key.to_string(),
        count,
        since: None,
        message: format!("{count} of {all} series have no bar, such as {}", first.key),
        hint: format!("mdctl backfill {}", first.key.symbol),
    })
}

pub(super) fn series_stale(
    settings: &Settings,
    evidence: &Evidence,
    series: &[&SeriesState],
    others: &LeftOut,
) -> Option<Issue> {
    let (count, worst) = lacking(series, others, Lack::NewBars)?;
    let all = all(series, others);
    let is_beyond = |row: &&&SeriesState| row.lack() == Some(Lack::NewBars) && row.beyond_stale;
    let beyond = series.iter().filter(is_beyond).count() as u64 + others.beyond_stale;
    let critical = beyond > 0
        && share(beyond, evidence.staleness.counts().all())
            .is_some_and(|share| share >= settings.health.critical_share);
    Some(Issue {
        code: Code::SeriesStale,
        severity: if critical { Severity::Critical } else { Severity::Warning },
        subject: worst.key.to_string(),
        count,
        since: worst.due_at,
        message: format!(
            "{count} of {all} series are stale, the worst is {}, {} behind",
            worst.key,
            span(worst.lag_seconds)
        ),
        hint: format!(
            "mdctl gaps {}; then mdctl backfill --repair {}",
            worst.key.symbol, worst.key.symbol
        ),
    })
}

/// Series whose bars are there, and whose features are not.
pub(super) fn features_stale(series: &[&SeriesState], others: &LeftOut) -> Option<Issue> {
    let (count, first) = lacking(series, others, Lack::Features)?;
    let all = all(series, others);
    Some(Issue {
        code: Code::SeriesStale,
        severity: Severity::Warning,
        subject: first.key.to_string(),
        count,
        since: first.last_computed_at,
        message: format!(
            "the features of {count} of {all} series are behind their bars, such as those of {}",
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
    let others = match failing.len() - 1 {
        0 => String::new(),
        others => format!("; {others} more keep failing"),
    };
    Some(Issue {
        code: Code::KeepsFailing,
        severity: Severity::Warning,
        subject: worst.key.to_string(),
        count: failing.len() as u64,
        since: None,
        message: format!(
            "{} failed {} runs running: {error}{others}",
            worst.key, marks.consecutive_failures
        ),
        hint: format!(
            "mdctl status {}; once that is mended, mdctl backfill {}",
            worst.key.symbol, worst.key.symbol
        ),
    })
}

/// Series that lack bars between those that they have.
pub(super) fn series_holes(evidence: &Evidence, down: &BTreeMap<String, Issue>) -> Option<Issue> {
    let mut told = evidence.holes.iter().filter(|hole| !down.contains_key(&hole.provider));
    let worst = told.next()?;
    let count = 1 + told.count() as u64;
    let Hole { key, gap, .. } = worst;
    Some(Issue {
        code: Code::SeriesHoles,
        severity: Severity::Warning,
        subject: key.to_string(),
        count,
        since: Some(gap.range.start),
        message: format!(
            "{count} of {} series have a hole in their last 30 days, the largest is that of {key}: {} bars \
             between {} and {} ({})",
            evidence.staleness.counts().all(),
            gap.missing,
            instant(gap.range.start),
            instant(gap.range.end),
            gap.reason
        ),
        hint: format!("mdctl gaps {}; then mdctl backfill --repair {}", key.symbol, key.symbol),
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
            "nothing has come for {symbol} since {}, however often it was asked for; a provider is asked \
             for it less and less often",
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

/// Series of low quality, but for those of providers that are down. That bars are late is told as
/// staleness, and not again here.
pub(super) fn low_quality(
    settings: &Settings,
    evidence: &Evidence,
    down: &BTreeMap<String, Issue>,
) -> Option<Issue> {
    let mut low: Vec<&SeriesQuality> = evidence.low_quality.iter().collect();
    if !low.is_empty() && !down.is_empty() {
        let members = settings.members().filter(|(group, _)| down.contains_key(&group.provider));
        let hushed: HashSet<&Symbol> = members.map(|(_, member)| &member.symbol).collect();
        low.retain(|row| !hushed.contains(&row.key.symbol));
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
            evidence.staleness.counts().all(),
            worst.key
        ),
        hint: format!("mdctl quality {}", worst.key.symbol),
    })
}
