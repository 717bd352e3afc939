//! The books at a run's end: what nobody has answered for, and how fresh and how good every series is.

use std::collections::HashMap;

use chrono::DateTime;

use crate::config::Settings;
use crate::domain::fact::{FreshnessFact, QualityRow};
use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::RangeSet;
use crate::freshness::{self, Held};
use crate::plan::gaps::{self, unanswered_reason};
use crate::quality;
use crate::store::{StoreResult, Writer};

use super::want::{Holdings, Selection, wants};

/// Writes the gaps that nobody has answered for, and every series' freshness and quality.
pub(super) fn account(tx: &Writer<'_>, settings: &Settings, now: i64) -> StoreResult<()> {
    let holdings =
        Holdings { series: tx.series_all()?, coverage: tx.coverage_all()?, gaps: tx.gaps_all()? };
    let mut held: HashMap<i64, Vec<Gap>> = HashMap::new();
    for row in &holdings.gaps {
        held.entry(row.series_id).or_default().push(row.gap);
    }
    let (wants, _) = wants(settings, &Selection::default(), &holdings, now);
    for want in &wants {
        let Some(whole) = want.whole(now) else { continue };
        let reason = holdings.series.get(&want.key).map_or(GapReason::Unfetched, unanswered_reason);
        let old = held.get(&want.series_id).map(Vec::as_slice).unwrap_or_default();
        let mut new: Vec<Gap> =
            old.iter().filter(|gap| gap.reason.is_explained()).copied().collect();
        new.extend(gaps::unanswered(&want.known(now), whole, &want.coverage, reason, old));
        if new != old {
            new.sort_by_key(|gap| gap.range.start);
            tx.gaps_set(want.series_id, old, &new)?;
            held.insert(want.series_id, new);
        }
    }
    tx.freshness_set(&freshness(settings, &holdings, &held, now), now)?;
    tx.quality_set(&date_of(now), &quality(tx, settings, &holdings, &held, now)?)
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
    gaps: &HashMap<i64, Vec<Gap>>,
    now: i64,
) -> StoreResult<Vec<QualityRow>> {
    let found = tx.found_all()?;
    let mut rows = Vec::new();
    for (key, group, member) in settings.series() {
        let Some(series) = holdings.series.get(&key) else { continue };
        let due = settings.due(group, member);
        let early = match quality::early_from(series, &due, now) {
            Some(from) => tx.bars_in_session_from(series.series_id, from)?,
            None => 0,
        };
        let gaps = gaps.get(&series.series_id).map(Vec::as_slice).unwrap_or_default();
        let found = found.get(&series.series_id).copied().unwrap_or_default();
        let tally = quality::tally(series, &due, gaps, &found, early, now);
        rows.push(QualityRow { key, fact: quality::measure(&tally) });
    }
    Ok(rows)
}

/// How fresh every series of the config is at `now`.
fn freshness(
    settings: &Settings,
    holdings: &Holdings,
    gaps: &HashMap<i64, Vec<Gap>>,
    now: i64,
) -> Vec<FreshnessFact> {
    let mut facts = Vec::new();
    for (key, group, member) in settings.series() {
        let Some(series) = holdings.series.get(&key) else { continue };
        let explained: RangeSet = gaps
            .get(&series.series_id)
            .into_iter()
            .flatten()
            .filter(|gap| !gap.reason.is_hole())
            .map(|gap| gap.range)
            .collect();
        let due = settings.due(group, member);
        let held = Held {
            due: &due,
            timeframe: key.timeframe,
            watermark_ts: series.watermark_ts,
            added_at: series.added_at,
            explained: &explained,
        };
        let judged = freshness::judge(&held, group.freshness.thresholds(key.timeframe), now);
        facts.push(FreshnessFact {
            key,
            last_bar_ts: series.watermark_ts,
            lag_seconds: judged.lag_seconds,
            status: judged.status,
        });
    }
    facts
}
