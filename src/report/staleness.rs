//! Freshness of every series.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::calendar::due::Due;
use crate::config::{Group, Settings};
use crate::domain::fact::{Marks, SeriesFact};
use crate::domain::policy::{Freshness, Thresholds};
use crate::domain::quick::QuickMap;
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
    /// What is out of the ordinary with it; `None` when nothing is.
    pub marks: Option<Box<Marks>>,
    /// Since when nothing has come for it, however often it was asked, while others of its feed went on;
    /// epoch seconds UTC. `None` while something comes.
    pub silent_since: Option<i64>,
}

impl Staleness {
    /// How many series are in which state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for series in &self.series {
            *match series.status {
                Freshness::Fresh => &mut counts.fresh,
                Freshness::Aging => &mut counts.aging,
                Freshness::Stale => &mut counts.stale,
                Freshness::Missing => &mut counts.missing,
            } += 1;
        }
        counts
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
        let mut judge = Judge::new(group, facts, now);
        let terms: Vec<Terms> =
            group.timeframe_list.iter().map(|it| Terms::of(group, *it)).collect();
        for member in &group.members {
            let due = settings.due(group, member);
            let own = facts.series.of(&member.symbol);
            for terms in &terms {
                let key = SeriesKey { symbol: member.symbol.clone(), timeframe: terms.timeframe };
                let fact = own.iter().find(|fact| fact.key.timeframe == terms.timeframe);
                let silent_since = silent.get(&key).copied();
                series.push(judge.state(key, terms, &due, fact, silent_since));
            }
        }
    }
    worst_first(&mut series);
    Staleness { series }
}

/// The worst first, and of those that are as bad by key. Mostly the config has its symbols by name, and what
/// is in order already stays; a row is larger than what sorting likes to move again and again.
fn worst_first(series: &mut [SeriesState]) {
    if !series.is_sorted_by(|one, two| one.key <= two.key) {
        series.sort_by_cached_key(|row| row.key.clone());
    }
    let badness = |row: &SeriesState| (Reverse(row.status), Reverse(row.lag_seconds));
    if !series.is_sorted_by_key(badness) {
        series.sort_by_cached_key(badness);
    }
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

/// What the series of one timeframe of a group are held against.
struct Terms {
    timeframe: Timeframe,
    thresholds: Thresholds,
    /// Whether they are to have features.
    computed: bool,
}

impl Terms {
    fn of(group: &Group, timeframe: Timeframe) -> Self {
        let thresholds = group.freshness.thresholds(timeframe);
        Self { timeframe, thresholds, computed: !group.features(timeframe).is_empty() }
    }
}

/// Judges the series of one group. Most of them end with the same bar and share its verdict.
struct Judge<'a> {
    group: Arc<str>,
    provider: Arc<str>,
    facts: &'a Facts,
    now: i64,
    known: QuickMap<(Timeframe, i64), (Judged, i64)>,
}

impl<'a> Judge<'a> {
    fn new(group: &Group, facts: &'a Facts, now: i64) -> Self {
        let (group, provider) = (group.name.as_str().into(), group.provider.as_str().into());
        Self { group, provider, facts, now, known: QuickMap::default() }
    }

    fn state(
        &mut self,
        key: SeriesKey,
        terms: &Terms,
        due: &Due,
        fact: Option<&SeriesFact>,
        silent_since: Option<i64>,
    ) -> SeriesState {
        let last_bar_ts = fact.and_then(|fact| fact.watermark_ts);
        let (bars, closed_at) = self.judge(terms, due, fact, last_bar_ts);
        let features_status = self.features(terms, due, fact, bars);
        SeriesState {
            key,
            group: Arc::clone(&self.group),
            provider: Arc::clone(&self.provider),
            status: features_status.map_or(bars.status, |status| status.max(bars.status)),
            bars_status: bars.status,
            features_status,
            last_computed_at: fact.and_then(|fact| fact.features?.computed_at),
            last_bar_ts,
            due_at: bars.due_at,
            lag_seconds: bars.lag_seconds,
            data_age_seconds: closed_at.map(|at| self.now.saturating_sub(at).max(0)),
            beyond_stale: bars.lag_seconds.unsigned_abs() >= terms.thresholds.stale.as_secs(),
            marks: fact.and_then(|fact| fact.marks.clone()),
            silent_since,
        }
    }

    /// The verdict on a series whose last bar is that of `watermark_ts`, and when that one closed.
    fn judge(
        &mut self,
        terms: &Terms,
        due: &Due,
        fact: Option<&SeriesFact>,
        watermark_ts: Option<i64>,
    ) -> (Judged, Option<i64>) {
        let (timeframe, now) = (terms.timeframe, self.now);
        let explained = fact.map(|fact| self.facts.explained(fact.series_id, watermark_ts));
        let explained = &explained.unwrap_or_default();
        let added_at = fact.map_or(now, |fact| fact.added_at);
        let held = Held { due, timeframe, watermark_ts, added_at, explained };
        let judge = || freshness::judge(&held, terms.thresholds, now);
        let Some(last) = watermark_ts else { return (judge(), None) };
        let close_at = || due.calendar.close_at(timeframe, due.layout, last);
        if due.delisted.is_some() || !explained.is_empty() {
            return (judge(), Some(close_at()));
        }
        let (judged, closed_at) =
            *self.known.entry((timeframe, last)).or_insert_with(|| (judge(), close_at()));
        (judged, Some(closed_at))
    }

    /// How fresh the features of a series are, whose bars are judged already: their lag counts from the
    /// newest bar that has them. `None` where there are to be none.
    fn features(
        &mut self,
        terms: &Terms,
        due: &Due,
        fact: Option<&SeriesFact>,
        bars: Judged,
    ) -> Option<Freshness> {
        if !terms.computed {
            return None;
        }
        let Some(fact) = fact else { return Some(Freshness::Missing) };
        let computed_ts = fact.features?.up_to();
        if computed_ts == fact.watermark_ts {
            return Some(bars.status);
        }
        Some(self.judge(terms, due, Some(fact), computed_ts).0.status)
    }
}
