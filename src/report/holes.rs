//! Holes in what is stored: the bars before and after them are there. How late the end of a series is,
//! `staleness` tells; a hole is behind its last bar, and no lag shows it.

use std::cmp::Reverse;

use crate::config::Settings;
use crate::domain::gap::Gap;
use crate::domain::series::SeriesKey;
use crate::domain::timeframe::DAY;

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

impl Hole {
    /// How long the bars are that are lacking, in seconds.
    fn seconds(&self) -> u64 {
        lacking(&self.key, &self.gap)
    }
}

/// The largest recent hole of each series that has one that matters, the largest first: one that lacks as
/// much as would make its series critical, if it lay at its end. A bar that could not be true, or an hour in
/// which an exchange stood still, is no reason to wake anybody.
#[must_use]
pub fn judge(settings: &Settings, facts: &Facts, now: i64) -> Vec<Hole> {
    let is_recent = |gap: &&Gap| {
        gap.reason.is_hole() && gap.range.start < now && gap.range.end > now.saturating_sub(RECENT)
    };
    // Mostly there is none at all.
    if !facts.gaps.values().flatten().any(|gap| is_recent(&gap)) {
        return Vec::new();
    }
    let mut holes: Vec<Hole> = settings
        .series()
        .filter_map(|(key, group, _)| {
            let fact = facts.series.get(&key)?;
            let last = fact.watermark_ts?;
            let stale = group.freshness.thresholds(key.timeframe).stale.as_secs();
            let gaps = facts.gaps_of(fact.series_id).iter().filter(is_recent);
            let large = gaps.filter(|gap| gap.range.end <= last && lacking(&key, gap) >= stale);
            let gap = *large.max_by_key(|gap| gap.missing)?;
            Some(Hole { key, provider: group.provider.clone(), gap })
        })
        .collect();
    holes.sort_by(|a, b| Reverse(a.seconds()).cmp(&Reverse(b.seconds())).then(a.key.cmp(&b.key)));
    holes
}

fn lacking(key: &SeriesKey, gap: &Gap) -> u64 {
    gap.missing.saturating_mul(key.timeframe.seconds().unsigned_abs())
}
