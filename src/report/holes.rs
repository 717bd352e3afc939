//! Holes in what is stored: the bars before and after them are there. How late the end of a series is,
//! `staleness` tells; a hole is behind its last bar, and no lag shows it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::calendar::due::Due;
use crate::config::{Group, Member, Settings};
use crate::domain::fact::SeriesFact;
use crate::domain::gap::Gap;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::{DAY, Timeframe};

use super::Facts;

/// A hole that ended longer ago is told by `mdctl gaps` alone: what is computed today hardly rests on it.
const RECENT: i64 = 30 * DAY;

/// Hardly a session is shorter, in seconds; its bars count as a day's.
const SHORTEST_SESSION: i64 = 3 * 3_600;

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
    let suspects = suspects(settings, facts, now);
    // Mostly there is none at all, and else there are few.
    if suspects.is_empty() {
        return Vec::new();
    }
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
            let holes = inner(&due, fact, facts.gaps_of(fact.series_id), now).into_iter();
            let sized = holes.map(|gap| (lacking(&due, fact, &gap), gap));
            let (size, gap) = sized.max_by_key(|(size, _)| *size)?;
            let hole = Hole { key: fact.key.clone(), provider: group.provider.clone(), gap };
            (size >= stale_seconds(group, fact.key.timeframe)).then_some((size, hole))
        })
        .collect();
    holes.sort_by_cached_key(|(size, hole)| (Reverse(*size), hole.key.clone()));
    holes.into_iter().map(|(_, hole)| hole).collect()
}

/// The series that may have a recent hole that matters: it is not looked at closely yet.
fn suspects<'a>(settings: &Settings, facts: &'a Facts, now: i64) -> Vec<&'a SeriesFact> {
    if !facts.gaps.values().flatten().any(|gap| is_recent(gap, now)) {
        return Vec::new();
    }
    let least = settings.groups.iter().flat_map(|group| {
        group.timeframe_list.iter().map(|timeframe| stale_seconds(group, *timeframe))
    });
    let least = least.min().unwrap_or(u64::MAX);
    let may_matter = |fact: &&SeriesFact| {
        let recent = facts.gaps_of(fact.series_id).iter().filter(|gap| is_recent(gap, now));
        let missing: u64 = recent.map(|gap| gap.missing).sum();
        let timeframe = fact.key.timeframe;
        let counts_for = if timeframe.is_intraday() { DAY / SHORTEST_SESSION } else { 1 };
        let seconds = (timeframe.seconds() * counts_for).unsigned_abs();
        missing.saturating_mul(seconds) >= least
    };
    facts.series.values().filter(may_matter).collect()
}

fn is_recent(gap: &Gap, now: i64) -> bool {
    gap.reason.is_hole() && gap.range.start < now && gap.range.end > now.saturating_sub(RECENT)
}

/// From how late on a series of a group is critical, in seconds.
fn stale_seconds(group: &Group, timeframe: Timeframe) -> u64 {
    group.freshness.thresholds(timeframe).stale.as_secs()
}

/// The recent holes between a series' first bar and its last one; `gaps` ascend. What lies side by side is one,
/// for whatever reasons its parts are lacking; it has that of its largest part.
fn inner(due: &Due, fact: &SeriesFact, gaps: &[Gap], now: i64) -> Vec<Gap> {
    let (Some(first), Some(last)) = (fact.first_ts, fact.watermark_ts) else { return Vec::new() };
    let timeframe = fact.key.timeframe;
    let next = |ts| due.calendar.first_from(timeframe, due.layout, ts);
    let mut holes: Vec<Gap> = Vec::new();
    let mut largest = 0;
    let is_inside = |gap: &&Gap| gap.range.start > first && gap.range.end <= last;
    for gap in gaps.iter().filter(|gap| is_recent(gap, now)).filter(is_inside) {
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
    let labels = due.session_labels(timeframe, ts)?;
    Some(calendar.count(timeframe, due.layout, labels)).filter(|bars| *bars > 0)
}
