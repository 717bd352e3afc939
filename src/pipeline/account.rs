//! The books at a run's end: what nobody has answered for, and how fresh and how good every series is.

use std::collections::HashMap;

use chrono::DateTime;

use crate::both::both;
use crate::config::Settings;
use crate::domain::fact::{FreshnessFact, QualityRow};
use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::RangeSet;
use crate::domain::shard::Shard;
use crate::freshness::{self, Held};
use crate::plan::gaps::{self, unanswered_reason};
use crate::quality::{self, DueCounts};
use crate::store::{StoreResult, Writer};

use super::want::{Holdings, Selection, wants};

/// Writes the gaps that nobody has answered for, and every series' freshness and quality, as they follow
/// from what is held now; tells the largest lag of this shard's symbols.
pub(super) fn account(
    tx: &Writer<'_>,
    settings: &Settings,
    mut holdings: Holdings,
    shard: Option<Shard>,
    now: i64,
) -> StoreResult<Option<i64>> {
    let (wants, _) = wants(settings, &Selection::default(), &holdings, now);
    for want in &wants {
        let Some(whole) = want.whole(now) else { continue };
        let reason = holdings.series.get(&want.key).map_or(GapReason::Unfetched, unanswered_reason);
        let old = holdings.gaps_of(want.series_id);
        let mut new: Vec<Gap> =
            old.iter().filter(|gap| gap.reason.is_explained()).copied().collect();
        new.extend(gaps::unanswered(&want.known(now), whole, &want.coverage, reason, old));
        if new != old {
            new.sort_by_key(|gap| gap.range.start);
            tx.gaps_set(want.series_id, old, &new)?;
            holdings.gaps.insert(want.series_id, new);
        }
    }
    let (freshness, quality) =
        both(|| freshness(settings, &holdings, now), || quality(tx, settings, &holdings, now));
    tx.freshness_set(&freshness, now)?;
    tx.quality_set(&date_of(now), &quality?)?;
    let own = |fact: &&FreshnessFact| shard.is_none_or(|shard| shard.holds(&fact.key.symbol));
    Ok(freshness.iter().filter(own).map(|fact| fact.lag_seconds).max())
}

/// The day that is judged at `now`: at its end it is still the same.
fn date_of(now: i64) -> String {
    let at = DateTime::from_timestamp(now.saturating_sub(1), 0).unwrap_or_default();
    at.date_naive().to_string()
}

/// The figures of every series of the config at `now`.
fn quality(
    tx: &Writer<'_>,
    settings: &Settings,
    holdings: &Holdings,
    now: i64,
) -> StoreResult<Vec<QualityRow>> {
    let found = tx.found_all()?;
    let mut rows = Vec::new();
    let mut counts: HashMap<&str, DueCounts> = HashMap::new();
    for (key, group, member) in settings.series() {
        let Some(series) = holdings.series.get(&key) else { continue };
        let due = settings.due(group, member);
        let counts = counts.entry(&group.name).or_insert_with(|| DueCounts::new(now));
        let mut undue = 0;
        for range in counts.undue(&due, series) {
            undue += tx.bars_in_session(series.series_id, range)?;
        }
        let gaps = holdings.gaps_of(series.series_id);
        let found = found.get(&series.series_id).copied().unwrap_or_default();
        let tally = quality::tally(series, (&due, counts), gaps, &found, undue);
        rows.push(QualityRow { key, fact: quality::measure(&tally) });
    }
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(rows)
}

/// How fresh every series of the config is at `now`.
fn freshness(settings: &Settings, holdings: &Holdings, now: i64) -> Vec<FreshnessFact> {
    let mut facts = Vec::new();
    for (key, group, member) in settings.series() {
        let Some(series) = holdings.series.get(&key) else { continue };
        let excused: RangeSet = holdings
            .gaps_of(series.series_id)
            .iter()
            .filter(|gap| !gap.reason.is_hole())
            .map(|gap| gap.range)
            .collect();
        let due = settings.due(group, member);
        let held = Held {
            due: &due,
            timeframe: key.timeframe,
            watermark_ts: series.watermark_ts,
            added_at: series.added_at.unwrap_or(now),
            wanted_from: match series.watermark_ts {
                Some(_) => i64::MIN,
                None => settings.wanted_from(group, key.timeframe, now),
            },
            excused: &excused,
        };
        let thresholds = group.freshness.thresholds(key.timeframe);
        let bars = freshness::judge(&held, thresholds, now);
        let features = (!group.features(key.timeframe).is_empty()).then(|| {
            let up_to = series.features.and_then(|features| features.up_to());
            if up_to == series.watermark_ts {
                return bars.status;
            }
            freshness::judge(&Held { watermark_ts: up_to, ..held }, thresholds, now).status
        });
        facts.push(FreshnessFact {
            key,
            last_bar_ts: series.watermark_ts,
            last_computed_at: series.features.and_then(|features| features.computed_at),
            lag_seconds: bars.lag_seconds,
            status: features.map_or(bars.status, |features| features.max(bars.status)),
        });
    }
    facts.sort_by(|a, b| a.key.cmp(&b.key));
    facts
}
