//! Freshness of every series.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::calendar::due::Due;
use crate::config::{Group, Settings};
use crate::domain::fact::{Marks, SeriesFact};
use crate::domain::policy::{Freshness, Thresholds};
use crate::domain::quick::QuickMap;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::freshness::{self, Held, Judged};
use crate::plan::rest::{self, Heard};

use super::Facts;

mod left_out;
#[cfg(test)]
mod tests;

use left_out::is_old;
pub use left_out::{Lack, LeftOut};

/// Every series' freshness, worst first.
#[derive(Clone, Debug, Default)]
pub struct Staleness {
    /// A row a series, but for those that are left out.
    pub series: Vec<SeriesState>,
    /// What is left out, by their provider's name in the config.
    pub left_out: BTreeMap<Arc<str>, LeftOut>,
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

impl Counts {
    /// Counts one more in that state.
    pub const fn add(&mut self, status: Freshness) {
        *match status {
            Freshness::Fresh => &mut self.fresh,
            Freshness::Aging => &mut self.aging,
            Freshness::Stale => &mut self.stale,
            Freshness::Missing => &mut self.missing,
        } += 1;
    }

    /// Counts those of another count, too.
    const fn join(&mut self, other: Self) {
        self.fresh += other.fresh;
        self.aging += other.aging;
        self.stale += other.stale;
        self.missing += other.missing;
    }

    /// In all states.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.fresh + self.aging + self.stale + self.missing
    }
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

impl SeriesState {
    /// What it lacks most; `None` when nothing.
    #[must_use]
    pub fn lack(&self) -> Option<Lack> {
        Lack::of(self.bars_status, self.features_status)
    }

    /// Whether its features are stale or missing.
    #[must_use]
    pub const fn has_old_features(&self) -> bool {
        is_old(self.features_status)
    }
}

impl Staleness {
    /// How many series are in which state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.left_out.values().for_each(|left_out| counts.join(left_out.counts));
        self.series.iter().for_each(|series| counts.add(series.status));
        counts
    }

    /// The worst state of all that are not left out; fresh when there is no series.
    #[must_use]
    pub fn worst(&self) -> Freshness {
        self.series.iter().map(|series| series.status).max().unwrap_or(Freshness::Fresh)
    }
}

/// Judges every series of the config at `now`.
#[must_use]
pub fn judge(settings: &Settings, facts: &Facts, now: i64) -> Staleness {
    judge_rows(settings, facts, now, Rows::All)
}

/// Likewise; left out is what nothing is noted of, unless it is the worst of its kind. A verdict tells of no more,
/// and tens of thousands of rows take longer to write down than to judge.
#[must_use]
pub fn judge_worst(settings: &Settings, facts: &Facts, now: i64) -> Staleness {
    judge_rows(settings, facts, now, Rows::Worst)
}

/// Which series get a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    /// Those of which anything is noted, and the worst of those that lack the same.
    Worst,
}

fn judge_rows(settings: &Settings, facts: &Facts, now: i64, rows: Rows) -> Staleness {
    let mut series = Vec::with_capacity(facts.series.len());
    let mut left_out: BTreeMap<Arc<str>, LeftOut> = BTreeMap::new();
    let silent = silent(settings, facts);
    let mut walk = facts.series.walk();
    for group in &settings.groups {
        let mut judge = Judge::new(group, facts, now);
        let mut others = LeftOut::default();
        let terms: Vec<Terms> =
            group.timeframe_list.iter().map(|it| Terms::of(settings, group, *it, now)).collect();
        for member in &group.members {
            let due = settings.due(group, member);
            let own = walk.of(&member.symbol);
            for terms in &terms {
                let key =
                    || SeriesKey { symbol: member.symbol.clone(), timeframe: terms.timeframe };
                let fact = own.iter().find(|fact| fact.key.timeframe == terms.timeframe);
                let since = if silent.is_empty() { None } else { silent.get(&key()).copied() };
                let verdict = judge.verdict(terms, &due, fact);
                let noted = since.is_some() || fact.is_some_and(|fact| fact.marks.is_some());
                if rows == Rows::All || noted || judge.is_worst(&verdict, &member.symbol, terms) {
                    series.push(judge.state(key(), terms, fact, &verdict, since));
                } else {
                    others.add(&verdict, terms);
                }
            }
        }
        if others.counts.all() > 0 {
            left_out.entry(judge.provider).or_default().join(&others);
        }
    }
    worst_first(&mut series);
    Staleness { series, left_out }
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
    /// From which `ts` on their bars are wanted.
    wanted_from: i64,
    /// Whether they are to have features.
    computed: bool,
}

impl Terms {
    fn of(settings: &Settings, group: &Group, timeframe: Timeframe, now: i64) -> Self {
        let thresholds = group.freshness.thresholds(timeframe);
        let wanted_from = settings.wanted_from(group, timeframe, now);
        let computed = !group.features(timeframe).is_empty();
        Self { timeframe, thresholds, wanted_from, computed }
    }
}

/// What is judged of a series.
struct Verdict {
    bars: Judged,
    /// When its last bar closed; `None` without one.
    closed_at: Option<i64>,
    /// Its features' freshness; `None` where none are asked for.
    features: Option<Freshness>,
}

impl Verdict {
    /// The worse of the two.
    fn status(&self) -> Freshness {
        self.features.map_or(self.bars.status, |status| status.max(self.bars.status))
    }

    fn lack(&self) -> Option<Lack> {
        Lack::of(self.bars.status, self.features)
    }

    fn is_beyond_stale(&self, terms: &Terms) -> bool {
        self.bars.lag_seconds.unsigned_abs() >= terms.thresholds.stale.as_secs()
    }
}

/// How bad a series is: the larger, the worse; of those that are as bad, the first by key is told of.
type Badness = (Freshness, i64, Reverse<SeriesKey>);

/// Judges the series of one group. Most of them end with the same bar and share its verdict.
struct Judge<'a> {
    group: Arc<str>,
    provider: Arc<str>,
    facts: &'a Facts,
    now: i64,
    known: QuickMap<(Timeframe, i64), (Judged, i64)>,
    /// The worst so far of those that lack the same, in the order of [`Lack`].
    worst: [Option<Badness>; 3],
}

impl<'a> Judge<'a> {
    fn new(group: &Group, facts: &'a Facts, now: i64) -> Self {
        let (group, provider) = (group.name.as_str().into(), group.provider.as_str().into());
        let worst = [const { None }; 3];
        Self { group, provider, facts, now, known: QuickMap::default(), worst }
    }

    /// Whether a series is worse than all before it that lack the same.
    fn is_worst(&mut self, verdict: &Verdict, symbol: &Symbol, terms: &Terms) -> bool {
        let Some(lack) = verdict.lack() else { return false };
        let (status, lag) = (verdict.status(), verdict.bars.lag_seconds);
        let worst = &mut self.worst[lack as usize];
        let is_worse = worst.as_ref().is_none_or(|(held_status, held_lag, Reverse(held))| {
            let key = (&held.symbol, held.timeframe);
            (status, lag, Reverse((symbol, terms.timeframe)))
                > (*held_status, *held_lag, Reverse(key))
        });
        if is_worse {
            let key = SeriesKey { symbol: symbol.clone(), timeframe: terms.timeframe };
            *worst = Some((status, lag, Reverse(key)));
        }
        is_worse
    }

    fn verdict(&mut self, terms: &Terms, due: &Due, fact: Option<&SeriesFact>) -> Verdict {
        let watermark_ts = fact.and_then(|fact| fact.watermark_ts);
        let (bars, closed_at) = self.judge(terms, due, fact, watermark_ts);
        Verdict { bars, closed_at, features: self.features(terms, due, fact, bars) }
    }

    fn state(
        &self,
        key: SeriesKey,
        terms: &Terms,
        fact: Option<&SeriesFact>,
        verdict: &Verdict,
        silent_since: Option<i64>,
    ) -> SeriesState {
        let bars = verdict.bars;
        SeriesState {
            key,
            group: Arc::clone(&self.group),
            provider: Arc::clone(&self.provider),
            status: verdict.status(),
            bars_status: bars.status,
            features_status: verdict.features,
            last_computed_at: fact.and_then(|fact| fact.features?.computed_at),
            last_bar_ts: fact.and_then(|fact| fact.watermark_ts),
            due_at: bars.due_at,
            lag_seconds: bars.lag_seconds,
            data_age_seconds: verdict.closed_at.map(|at| self.now.saturating_sub(at).max(0)),
            beyond_stale: verdict.is_beyond_stale(terms),
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
        let excused = fact.map(|fact| self.facts.excused(fact.series_id, watermark_ts));
        let excused = &excused.unwrap_or_default();
        let added_at = fact.and_then(|fact| fact.added_at).unwrap_or(now);
        // Where there are bars they are to have features, however old they are.
        let has_bars = fact.is_some_and(|fact| fact.watermark_ts.is_some());
        let wanted_from = if has_bars { i64::MIN } else { terms.wanted_from };
        let held = Held { due, timeframe, watermark_ts, added_at, wanted_from, excused };
        let judge = || freshness::judge(&held, terms.thresholds, now);
        let Some(last) = watermark_ts else { return (judge(), None) };
        let close_at = || due.calendar.close_at(timeframe, due.layout, last);
        if due.delisted.is_some() || !excused.is_empty() {
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
