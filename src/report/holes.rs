//! Holes in what is stored: the bars before and after them are there. How late the end of a series is,
//! `staleness` tells; a hole is behind its last bar, and no lag shows it.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::config::{Group, Settings};
use crate::domain::gap::Gap;
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
    let is_recent = |gap: &&Gap| {
        gap.reason.is_hole() && gap.range.start < now && gap.range.end > now.saturating_sub(RECENT)
    };
    // Mostly there is none at all, and else there are few.
    if !facts.gaps.values().flatten().any(|gap| is_recent(&gap)) {
        return Vec::new();
    }
    let least = settings.groups.iter().flat_map(|group| {
        group.timeframe_list.iter().map(|timeframe| stale_seconds(group, *timeframe))
    });
    let least = least.min().unwrap_or(u64::MAX);
    let large = facts.series.values().filter_map(|fact| {
        let last = fact.watermark_ts?;
        let gaps = facts.gaps_of(fact.series_id).iter().filter(is_recent);
        let gap = gaps.filter(|gap| gap.range.end <= last).max_by_key(|gap| gap.missing)?;
        (lacking(fact.key.timeframe, gap) >= least).then_some((&fact.key, *gap))
    });
    let large: Vec<(&SeriesKey, Gap)> = large.collect();
    if large.is_empty() {
        return Vec::new();
    }
    let group_of: HashMap<&Symbol, &Group> =
        settings.members().map(|(group, member)| (&member.symbol, group)).collect();
    let mut holes: Vec<Hole> = large
        .into_iter()
        .filter_map(|(key, gap)| {
            let group = group_of.get(&key.symbol)?;
            let is_large = lacking(key.timeframe, &gap) >= stale_seconds(group, key.timeframe);
            let provider = group.provider.clone();
            is_large.then(|| Hole { key: key.clone(), provider, gap })
        })
        .collect();
    holes.sort_by_cached_key(|hole| {
        (Reverse(lacking(hole.key.timeframe, &hole.gap)), hole.key.clone())
    });
    holes
}

/// From how late on a series of a group is critical, in seconds.
fn stale_seconds(group: &Group, timeframe: Timeframe) -> u64 {
    group.freshness.thresholds(timeframe).stale.as_secs()
}

/// How long the bars are that a gap lacks, in seconds.
fn lacking(timeframe: Timeframe, gap: &Gap) -> u64 {
    gap.missing.saturating_mul(timeframe.seconds().unsigned_abs())
}
