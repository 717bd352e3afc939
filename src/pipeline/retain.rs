//! Bars that are kept for a while only, as `bars` in `[database] retention` says.
//!
//! What goes is never due again: a series begins with the first bar that was kept. What was made of the bars
//! stays as it is: windows of coarser series are made before their parts go, and features go on from the
//! state after the last bar that counts as gone, for which the [`LOOKBACK`] bars up to it are kept.
//! The newest bar of a series stays, however old.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use crate::config::{Group, Member, Settings};
use crate::derive;
use crate::domain::database::BarsGone;
use crate::domain::fact::SeriesFact;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::{DAY, Timeframe};
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
    for (key, fact) in &holdings.series {
        let Some(gone) = gone.get_mut(&key.timeframe) else { continue };
        let place = places.get(&key.symbol).copied();
        let Some(cut) = cut(settings, &holdings, (key, fact), place, now) else { continue };
        let ending = match store.write(|tx| begin(tx, fact, place, cut))? {
            Begun::At(ending) => ending,
            Begun::Nowhere => continue,
            Begun::Waits => {
                gone.waiting += 1;
                continue;
            }
        };
        let bars = delete(store, fact.series_id, ending)?;
        gone.bars += bars;
        gone.series += u64::from(bars > 0);
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
                let cut = left.min().map_or(cut, |left| left.max(kept_from).min(cut));
                derive::windows_of(&due, *timeframe, TimeRange::new(cut, cut + 1)).start
            })
        }
        // By which calendar it would be made into weeks nobody knows; they begin on Mondays.
        None => cut.saturating_sub(4 * DAY).div_euclid(7 * DAY) * 7 * DAY + 4 * DAY,
    };
    (first < cut).then_some(cut)
}

/// Where the bars of a series are to begin from now on.
enum Begun {
    At(Ending),
    /// None goes.
    Nowhere,
    /// Its features are to be computed before.
    Waits,
}

/// Where what goes of a series ends.
#[derive(Clone, Copy)]
struct Ending {
    /// The first `ts` whose bar stays.
    bars: i64,
    /// The first one whose features do.
    features: i64,
}

/// Says where the bars of a series begin from now on: before it nothing is missed. What features need of
/// the bars that go is kept.
fn begin(
    tx: &Writer<'_>,
    fact: &SeriesFact,
    place: Option<(&Group, &Member)>,
    cut: i64,
) -> StoreResult<Begun> {
    let set = place.map(|(group, _)| group.features(fact.key.timeframe)).unwrap_or_default();
    let ending = match place.filter(|_| !set.is_empty()) {
        None => Ending { bars: cut, features: cut },
        Some((group, _)) => {
            let held = fact.features.unwrap_or_default();
            if held.set != set || held.from.is_some_and(|from| from < cut) {
                return Ok(Begun::Waits);
            }
            let zone = fact.key.timeframe.is_intraday().then(|| group.calendar.zone());
            match keep_state(tx, fact.series_id, zone, cut)? {
                Some(ending) if fact.first_ts < Some(ending.bars) => ending,
                _ => return Ok(Begun::Nowhere),
            }
        }
    };
    tx.coverage_begin(fact.series_id, ending.bars)?;
    Ok(Begun::At(ending))
}

/// Keeps the state of features after the last bar before `cut`, and tells which bars it needs; `None` when
/// it needs all.
fn keep_state(
    tx: &Writer<'_>,
    series_id: i64,
    zone: Option<Tz>,
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

/// Deletes what goes of a series; tells how many bars.
fn delete(store: &mut Store, series_id: i64, ending: Ending) -> StoreResult<u64> {
    let mut bars = 0;
    loop {
        let slice = store.write(|tx| tx.bars_prune(series_id, ending.bars, ending.features))?;
        if slice == 0 {
            return Ok(bars);
        }
        bars += slice;
    }
}
