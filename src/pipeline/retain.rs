//! Bars that are kept for a while only, as `bars` in `[database] retention` says.
//!
//! What goes is never due again: a series begins with the first bar that was kept. What was made of the bars
//! stays as it is: windows of coarser series are made before their parts go, and features go on from the
//! state after the last bar that counts as gone, for which the [`LOOKBACK`] bars up to it are kept.
//! The newest bar of a series stays, however old.

use std::collections::BTreeMap;

use crate::config::{Group, Member, Settings};
use crate::derive;
use crate::domain::database::BarsGone;
use crate::domain::fact::SeriesFact;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::time::week_start;
use crate::domain::timeframe::Timeframe;
use crate::domain::zone::Zone;
use crate::feature::LOOKBACK;
use crate::store::{Store, StoreResult, Writer};

use super::compute::state_after;
use super::{Holdings, holdings};

/// Deletes the bars that are kept no longer at `now`, a slice a transaction; tells what went, by timeframe.
/// Whatever ends it in the middle leaves nothing wrong, and the next call goes on.
///
/// The caller holds the database's lock.
///
/// # Errors
///
/// When the database cannot be read or written.
pub fn prune_bars(
    settings: &Settings,
    store: &mut Store,
    now: i64,
) -> StoreResult<BTreeMap<Timeframe, BarsGone>> {
    let kept = &settings.retention.bars;
    let mut gone: BTreeMap<Timeframe, BarsGone> =
        kept.keys().map(|timeframe| (*timeframe, BarsGone::default())).collect();
    if gone.is_empty() {
        return Ok(gone);
    }
    store.write(|tx| tx.coverage_reopen())?;
    let holdings = holdings(store)?;
    let places: BTreeMap<&Symbol, (&Group, &Member)> =
        settings.members().map(|(group, member)| (&member.symbol, (group, member))).collect();
    for fact in holdings.series.values() {
        let key = &fact.key;
        let Some(gone) = gone.get_mut(&key.timeframe) else { continue };
        let place = places.get(&key.symbol).copied();
        let Some(cut) = cut(settings, &holdings, (key, fact), place, now) else { continue };
        if waits(fact, place, cut) {
            gone.waiting += 1;
            continue;
        }
        let (bars, kept) = delete(settings, store, (fact, place), cut)?;
        gone.bars += bars;
        gone.series += u64::from(bars > 0);
        gone.kept_for_features += kept;
    }
    Ok(gone)
}

/// The `ts` before which the bars of a series are to go; `None` when none is.
fn cut(
    settings: &Settings,
    holdings: &Holdings,
    (key, fact): (&SeriesKey, &SeriesFact),
    place: Option<(&Group, &Member)>,
    now: i64,
) -> Option<i64> {
    let (first, last) = fact.first_ts.zip(fact.watermark_ts)?;
    let cut = settings.retention.bars_from(key.timeframe, now)?.min(last);
    let cut = match place {
        Some((group, member)) => {
            let derived = group.timeframes.iter();
            let derived = derived.filter(|(_, stored)| stored.derived_from == Some(key.timeframe));
            derived.fold(cut, |cut, (timeframe, _)| {
                let due = settings.due(group, member);
                let coverage = |key| {
                    let fact = holdings.series.get(key);
                    fact.and_then(|fact| holdings.coverage.get(&fact.series_id))
                };
                let nothing = RangeSet::new();
                let into = SeriesKey { symbol: key.symbol.clone(), timeframe: *timeframe };
                let made = coverage(&into).unwrap_or(&nothing);
                let of = (key.timeframe, first, coverage(key).unwrap_or(&nothing));
                let kept_from = settings.retention.bars_from(*timeframe, now).unwrap_or(i64::MIN);
                let left = derive::stale(&due, of, (*timeframe, made), now);
                let left = left.iter().filter(|part| part.end > kept_from).map(|part| part.start);
                left.min().map_or(cut, |left| left.max(kept_from).min(cut))
            })
        }
        None => cut,
    };
    let cut = aligned(settings, key.timeframe, place, cut);
    (first < cut).then_some(cut)
}

/// The latest `ts` up to `cut` at which a window of what is made of the series begins: half of one would be
/// none.
fn aligned(
    settings: &Settings,
    timeframe: Timeframe,
    place: Option<(&Group, &Member)>,
    cut: i64,
) -> i64 {
    let Some((group, member)) = place else {
        // By which calendar it would be made into weeks nobody knows; they begin on Mondays.
        return week_start(cut);
    };
    let derived = group.timeframes.iter();
    let derived = derived.filter(|(_, stored)| stored.derived_from == Some(timeframe));
    let due = settings.due(group, member);
    derived.fold(cut, |cut, (into, _)| {
        derive::windows_of(&due, *into, TimeRange::new(cut, cut + 1)).start
    })
}

/// Whether features of bars before `cut` are to be computed before these go.
fn waits(fact: &SeriesFact, place: Option<(&Group, &Member)>, cut: i64) -> bool {
    let set = place.map(|(group, _)| group.features(fact.key.timeframe)).unwrap_or_default();
    let held = fact.features.unwrap_or_default();
    !set.is_empty() && (held.set != set || held.from.is_some_and(|from| from < cut))
}

/// A series some of whose bars go, and who keeps it; `None` where the config does not.
type Kept<'a> = (&'a SeriesFact, Option<(&'a Group, &'a Member)>);

/// Where what goes of a series ends.
#[derive(Clone, Copy)]
struct Ending {
    /// The first `ts` whose bar stays.
    bars: i64,
    /// The first one whose features do.
    features: i64,
}

/// Where the bars of a series end of which those before `cut` go. What features need of these is kept; `None`
/// when that is all.
fn ending(tx: &Writer<'_>, (fact, place): Kept<'_>, cut: i64) -> StoreResult<Option<Ending>> {
    let timeframe = fact.key.timeframe;
    let Some((group, _)) = place.filter(|(group, _)| !group.features(timeframe).is_empty()) else {
        return Ok(Some(Ending { bars: cut, features: cut }));
    };
    let zone = timeframe.is_intraday().then(|| group.calendar.zone());
    keep_state(tx, fact.series_id, zone, cut)
}

/// Keeps the state of features after the last bar before `cut`, and tells which bars it needs; `None` when
/// it needs all.
fn keep_state(
    tx: &Writer<'_>,
    series_id: i64,
    zone: Option<Zone>,
    cut: i64,
) -> StoreResult<Option<Ending>> {
    let earlier = tx.bars_before(series_id, cut, LOOKBACK as u64)?;
    let (Some(first), Some(last)) = (earlier.first(), earlier.last()) else { return Ok(None) };
    if earlier.len() < LOOKBACK {
        return Ok(None);
    }
    let state = state_after(tx, series_id, zone, last.ts)?;
    tx.feature_base_put(series_id, last.ts, state.seen(), &state.to_bytes())?;
    Ok(Some(Ending { bars: first.ts, features: last.ts + 1 }))
}

/// Deletes the bars of a series before `cut`; tells how many, and how many of them stay for features.
///
/// A slice a transaction, each a whole deletion that ends earlier: in between the series begins where its
/// bars do, and nothing before is missed.
fn delete(
    settings: &Settings,
    store: &mut Store,
    kept @ (fact, place): Kept<'_>,
    cut: i64,
) -> StoreResult<(u64, u64)> {
    let (mut first, mut bars) = (fact.first_ts.unwrap_or(cut), 0);
    loop {
        let (end, begins) = store.write(|tx| {
            let end = tx.bars_slice_end(fact.series_id, cut)?;
            let end = end.map(|end| aligned(settings, fact.key.timeframe, place, end));
            let end = end.filter(|end| *end > first).unwrap_or(cut);
            let Some(ending) = ending(tx, kept, end)?.filter(|ending| ending.bars > first) else {
                return Ok((cut, first));
            };
            tx.coverage_begin(fact.series_id, ending.bars)?;
            bars += tx.bars_prune(fact.series_id, ending.bars, ending.features)?;
            Ok((end, ending.bars))
        })?;
        first = begins;
        if end >= cut {
            let left = TimeRange::new(first, cut.max(first));
            let left = store.write(|tx| tx.bars_count(fact.series_id, left))?;
            return Ok((bars, left));
        }
    }
}
