//! Freshness of every series.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::calendar::due::Due;
use crate::config::{Group, Settings};
use crate::domain::fact::SeriesFact;
use crate::domain::policy::Freshness;
use crate::domain::quick::QuickMap;
use crate::domain::range::RangeSet;
use crate::domain::series::SeriesKey;
use crate::domain::timeframe::Timeframe;
use crate::freshness::{self, Held, Judged};
use crate::plan::rest::{self, Heard};

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
    pub group: Arc<str>,
    /// Its provider's name in the config.
    pub provider: Arc<str>,
    /// The worse of its bars' and its features' freshness.
    pub status: Freshness,
    /// Its bars' freshness.
    pub bars_status: Freshness,
    /// Its features' freshness; `None` where none are asked for.
    pub features_status: Option<Freshness>,
    /// When its features were last computed.
    pub last_computed_at: Option<i64>,
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
    /// Bars before this `ts` are in the prices of before its provider restated them; `None` when none is.
    pub restated_to: Option<i64>,
    /// Since when nothing has come for it, however often it was asked, while others of its feed went on;
    /// epoch seconds UTC. `None` while something comes.
    pub silent_since: Option<i64>,
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
    let mut series = Vec::with_capacity(facts.series.len());
    let silent = silent(settings, facts);
    for group in &settings.groups {
        let names = (Arc::from(group.name.as_str()), Arc::from(group.provider.as_str()));
        let mut judge = Judge { group, now, known: QuickMap::default() };
        for member in &group.members {
            let due = settings.due(group, member);
            let own = facts.series.of(&member.symbol);
            for timeframe in &group.timeframe_list {
                let key = SeriesKey { symbol: member.symbol.clone(), timeframe: *timeframe };
                let fact = own.iter().find(|fact| fact.key.timeframe == *timeframe);
                let explained = fact.map(|fact| facts.explained(fact)).unwrap_or_default();
                let verdict = judge.judge(&due, *timeframe, fact, &explained);
                let beyond = group.freshness.thresholds(*timeframe).stale.as_secs();
                let silent_since = silent.get(&key).copied();
                let row = state(key, &names, fact, verdict, beyond, now);
                let features_status = judge.features(&due, *timeframe, fact, facts, verdict.0);
                let status = features_status.map_or(row.status, |status| status.max(row.status));
                series.push(SeriesState { silent_since, features_status, status, ..row });
            }
        }
    }
    let badness = |row: &SeriesState| (Reverse(row.status), Reverse(row.lag_seconds));
    let worst_first = |one: &SeriesState, two: &SeriesState| {
        badness(one).cmp(&badness(two)).then_with(|| one.key.cmp(&two.key))
    };
    // Where all are fresh and the config has its symbols by name, they are in order; else by small keys: a
    // row is larger than what sorting likes to move again and again.
    if !series.is_sorted_by(|one, two| worst_first(one, two).is_le()) {
        series.sort_by_cached_key(|row| (badness(row), row.key.clone()));
    }
    Staleness { series }
}

/// Since when which series are silent.
fn silent(settings: &Settings, facts: &Facts) -> HashMap<SeriesKey, i64> {
    if !facts.gaps.values().flatten().any(rest::is_suspect) {
        return HashMap::new();
    }
    let heard = || {
        settings.series().filter_map(|(key, group, _)| {
            let fact = facts.series.get(&key)?;
            Some(Heard {
                key: &fact.key,
                feed: (&group.provider, group.calendar.name()),
                watermark_ts: fact.watermark_ts,
                gaps: facts.gaps_of(fact.series_id),
            })
        })
    };
    let silent = rest::silent(heard).into_iter();
    silent.map(|(key, silence)| (key.clone(), silence.first_seen_at)).collect()
}

/// Judges the series of one group. Most of them end with the same bar and share its verdict.
struct Judge<'a> {
    group: &'a Group,
    now: i64,
    known: QuickMap<(Timeframe, i64), (Judged, i64)>,
}

impl Judge<'_> {
    /// The verdict on a series, and when its last bar closed.
    fn judge(
        &mut self,
        due: &Due,
        timeframe: Timeframe,
        fact: Option<&SeriesFact>,
        explained: &RangeSet,
    ) -> (Judged, Option<i64>) {
        let thresholds = self.group.freshness.thresholds(timeframe);
        let watermark_ts = fact.and_then(|fact| fact.watermark_ts);
        let added_at = fact.map_or(self.now, |fact| fact.added_at);
        let held = Held { due, timeframe, watermark_ts, added_at, explained };
        let judge = |now| freshness::judge(&held, thresholds, now);
        let Some(last) = watermark_ts else { return (judge(self.now), None) };
        let close_at = || due.calendar.close_at(timeframe, due.layout, last);
        if due.delisted.is_some() || !explained.is_empty() {
            return (judge(self.now), Some(close_at()));
        }
        let now = self.now;
        let (judged, closed_at) =
            *self.known.entry((timeframe, last)).or_insert_with(|| (judge(now), close_at()));
        (judged, Some(closed_at))
    }

    /// How fresh the features of a series are, whose bars are judged already: their lag counts from the
    /// newest bar that has them.
    fn features(
        &mut self,
        due: &Due,
        timeframe: Timeframe,
        fact: Option<&SeriesFact>,
        facts: &Facts,
        bars: Judged,
    ) -> Option<Freshness> {
        if self.group.features(timeframe).is_empty() {
            return None;
        }
        let Some(fact) = fact else { return Some(Freshness::Missing) };
        let watermark_ts = fact.features?.up_to();
        if watermark_ts == fact.watermark_ts {
            return Some(bars.status);
        }
        let computed = SeriesFact { watermark_ts, ..fact.clone() };
        let explained = facts.explained(&computed);
        Some(self.judge(due, timeframe, Some(&computed), &explained).0.status)
    }
}

fn state(
    key: SeriesKey,
    (group, provider): &(Arc<str>, Arc<str>),
    fact: Option<&SeriesFact>,
    (judged, closed_at): (Judged, Option<i64>),
    beyond_seconds: u64,
    now: i64,
) -> SeriesState {
    SeriesState {
        key,
        group: Arc::clone(group),
        provider: Arc::clone(provider),
        status: judged.status,
        bars_status: judged.status,
        features_status: None,
        last_computed_at: fact.and_then(|fact| fact.features?.computed_at),
        last_bar_ts: fact.and_then(|fact| fact.watermark_ts),
        due_at: judged.due_at,
        lag_seconds: judged.lag_seconds,
        data_age_seconds: closed_at.map(|at| now.saturating_sub(at).max(0)),
        beyond_stale: judged.lag_seconds.unsigned_abs() >= beyond_seconds,
        consecutive_failures: fact.map_or(0, |fact| fact.consecutive_failures),
        last_error: fact.and_then(|fact| fact.last_error.clone()),
        restated_to: fact.and_then(|fact| fact.restated_to),
        silent_since: None,
    }
}
