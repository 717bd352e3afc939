//! Holes in what is stored: the bars before and after them are there. How late the end of a series is,
//! `staleness` tells; a hole is behind its last bar, and no lag shows it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::calendar::due::Due;
use crate::config::{Group, Member, Settings};
use crate::domain::fact::SeriesFact;
use crate::domain::gap::Gap;
use crate::domain::range::TimeRange;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::{DAY, Timeframe};

use super::Facts;

/// A hole that ended longer ago is told by `mdctl gaps` alone: what is computed today hardly rests on it.
const RECENT: i64 = 30 * DAY;

/// A hole in a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// In which series.
    pub key: SeriesKey,
    /// From whom its bars come.
    pub provider: String,
    /// Where, how large, and why.
    pub gap: Gap,
}

/// The largest recent hole of each series that has one that matters, the largest first: one that lacks as
/// much as would make its series critical, if it lay at its end. A bar that could not be true, or an hour in
/// which an exchange stood still, is no reason to wake anybody.
#[must_use]
pub fn judge(settings: &Settings, facts: &Facts, now: i64) -> Vec<Hole> {
    let is_recent = |gap: &Gap| {
        gap.reason.is_hole() && gap.range.start < now && gap.range.end > now.saturating_sub(RECENT)
    };
    // Mostly there is none at all, and else there are few.
    if !facts.gaps.values().flatten().any(is_recent) {
        return Vec::new();
    }
    let has_some = |fact: &&SeriesFact| facts.gaps_of(fact.series_id).iter().any(is_recent);
    let suspects: Vec<&SeriesFact> = facts.series.values().filter(has_some).collect();
    let named: HashSet<&Symbol> = suspects.iter().map(|fact| &fact.key.symbol).collect();
    let members = settings.members().filter(|(_, member)| named.contains(&member.symbol));
    let members: HashMap<&Symbol, (&Group, &Member)> =
        members.map(|(group, member)| (&member.symbol, (group, member))).collect();
    let mut holes: Vec<(u64, Hole)> = suspects
        .into_iter()
        .filter_map(|fact| {
            let (group, member) = *members.get(&fact.key.symbol)?;
            // Of a timeframe that the config has no more nothing is asked for; and a week that is made of days
            // is lacking for want of one of them: what they lack is told of them.
            let stored = group.timeframes.get(&fact.key.timeframe)?;
            if stored.derived_from.is_some() {
                return None;
            }
            let due = settings.due(group, member);
            let recent = facts.gaps_of(fact.series_id).iter().filter(|gap| is_recent(gap));
            let holes = inner(&due, fact, recent, now).into_iter();
            let sized = holes.map(|gap| (lacking(&due, fact, &gap), gap));
            let (size, gap) = sized.max_by_key(|(size, _)| *size)?;
            let stale = group.freshness.thresholds(fact.key.timeframe).stale.as_secs();
            let hole = Hole { key: fact.key.clone(), provider: group.provider.clone(), gap };
            (size >= stale).then_some((size, hole))
        })
        .collect();
    holes.sort_by_cached_key(|(size, hole)| (Reverse(*size), hole.key.clone()));
    holes.into_iter().map(|(_, hole)| hole).collect()
}

/// Those of `recent`, which are holes and ascend, that lie between a series' first bar and its last one. What
/// lies side by side is one, for whatever reasons its parts are lacking; it has that of its largest part.
fn inner<'a>(
    due: &Due,
    fact: &SeriesFact,
    recent: impl Iterator<Item = &'a Gap>,
    now: i64,
) -> Vec<Gap> {
    let (Some(first), Some(last)) = (fact.first_ts, fact.watermark_ts) else { return Vec::new() };
    let timeframe = fact.key.timeframe;
    let next = |ts| due.calendar.first_from(timeframe, due.layout, ts);
    let mut holes: Vec<Gap> = Vec::new();
    let mut largest = 0;
    for gap in recent.filter(|gap| gap.range.start > first && gap.range.end <= last) {
        // The calendar may have learned since of days on which nothing was to come.
        let missing = gap.missing.min(due.count(timeframe, gap.range, now));
        if missing == 0 {
            continue;
        }
        let gap = Gap { missing, ..*gap };
        let before = holes.last_mut().filter(|before| {
            next(before.range.end).is_some_and(|window| window.ts >= gap.range.start)
        });
        let Some(before) = before else {
            largest = gap.missing;
            holes.push(gap);
            continue;
        };
        before.range = before.range.hull(gap.range);
        before.missing = before.missing.saturating_add(gap.missing);
        if gap.missing > largest {
            (largest, before.reason) = (gap.missing, gap.reason);
        }
    }
    holes
}

/// How much a gap lacks, in seconds: as much as its bars are long, but where a market has sessions, a
/// session's bars are a day's.
fn lacking(due: &Due, fact: &SeriesFact, gap: &Gap) -> u64 {
    let timeframe = fact.key.timeframe;
    let length = timeframe.seconds().unsigned_abs();
    let session = session_bars(due, timeframe, gap.range.start);
    session.map_or(gap.missing.saturating_mul(length), |bars| {
        gap.missing.saturating_mul(DAY.unsigned_abs()) / bars
    })
}

/// How many bars of that timeframe the session has in which the one labelled `ts` lies; `None` where none
/// is shorter than a session.
fn session_bars(due: &Due, timeframe: Timeframe, ts: i64) -> Option<u64> {
    let calendar = &due.calendar;
    if !timeframe.is_intraday() || !calendar.has_sessions() {
        return None;
    }
    let session = calendar.session(calendar.zone().date(ts)?)?;
    // The window in which the session opens may be named by an earlier full hour.
    let labels = TimeRange::new(session.open - timeframe.seconds() + 1, session.close);
    Some(calendar.count(timeframe, due.layout, labels)).filter(|bars| *bars > 0)
}
