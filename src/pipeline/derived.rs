//! Derived series at a job's end: their bars made of what their sources hold now.

use std::collections::BTreeSet;

use crate::calendar::due::Due;
use crate::clock;
use crate::derive::{self, Parts};
use crate::domain::bar::Bar;
use crate::domain::gap::GapReason;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::store::{Claim, StoreResult, Writer};

use super::desk::Desk;

impl Desk<'_> {
    /// Takes the windows that bars of `range` go into out of what was made of `source`: said with the
    /// bars, so that whoever comes next, after a crash too, makes them anew.
    pub(super) fn unmake(
        &mut self,
        tx: &Writer<'_>,
        source: &SeriesKey,
        range: TimeRange,
    ) -> StoreResult<()> {
        let (group, member) = self.place(&source.symbol);
        let coarser = Timeframe::ALL.into_iter().filter(|coarser| *coarser > source.timeframe);
        for timeframe in coarser {
            // One that left the config may come back, and was made of this one then.
            let stored = group.timeframes.get(&timeframe);
            if stored.is_some_and(|stored| stored.derived_from != Some(source.timeframe)) {
                continue;
            }
            let key = SeriesKey { symbol: source.symbol.clone(), timeframe };
            if let Some(line) = self.series.get_mut(&key) {
                let due = self.settings.due(group, member);
                line.uncover(tx, derive::windows_of(&due, timeframe, range))?;
            }
        }
        Ok(())
    }

    /// Ends the series of symbols for which nothing is asked, where a crash came before their end, and
    /// makes what derived ones lack: also of a timeframe that came into the config later.
    pub(super) fn derive_idle(&mut self, tx: &Writer<'_>, idle: &[Symbol]) -> StoreResult<()> {
        for symbol in idle {
            self.end_idle(tx, symbol, &BTreeSet::new())?;
            if self.is_unsettled(symbol) {
                self.settle_actions(tx, symbol)?;
            }
            self.derive_all(tx, symbol)?;
            self.to_conclude.push_back(symbol.clone());
        }
        Ok(())
    }

    /// Makes what the derived series of a symbol lack.
    pub(super) fn derive_all(&mut self, tx: &Writer<'_>, symbol: &Symbol) -> StoreResult<()> {
        let (group, member) = self.place(symbol);
        for (timeframe, stored) in &group.timeframes {
            let Some(source) = stored.derived_from else { continue };
            let due = self.settings.due(group, member);
            self.derive(tx, symbol, *timeframe, source, &due)?;
        }
        Ok(())
    }

    /// Does what a series' end does for those of `symbol` that were not `asked` for: all their pages may
    /// have come before a crash. Of a series that was ended, it changes nothing.
    pub(super) fn end_idle(
        &mut self,
        tx: &Writer<'_>,
        symbol: &Symbol,
        asked: &BTreeSet<Timeframe>,
    ) -> StoreResult<()> {
        let (group, member) = self.place(symbol);
        let (due, now) = (self.settings.due(group, member), self.now);
        let stored = group.timeframes.iter().filter(|(_, stored)| stored.derived_from.is_none());
        for (timeframe, _) in stored.filter(|(timeframe, _)| !asked.contains(timeframe)) {
            let key = SeriesKey { symbol: symbol.clone(), timeframe: *timeframe };
            let Some(line) = self.series.get_mut(&key) else { continue };
            line.settle(group.settle, &due, now);
            for range in line.reconsider(tx, &due, now)? {
                self.unmake(tx, &key, range)?;
            }
        }
        Ok(())
    }

    /// Makes the bars of a timeframe that the provider does not offer, as far as their source is known
    /// and they are not made yet.
    fn derive(
        &mut self,
        tx: &Writer<'_>,
        symbol: &Symbol,
        timeframe: Timeframe,
        source: Timeframe,
        due: &Due,
    ) -> StoreResult<()> {
        let key = |timeframe| SeriesKey { symbol: symbol.clone(), timeframe };
        let (Some(from), Some(into)) =
            (self.series.get(&key(source)), self.series.get(&key(timeframe)))
        else {
            return Ok(());
        };
        let Some(first_ts) = from.first_ts else { return Ok(()) };
        let mut stale = derive::stale(
            due,
            (source, first_ts, &from.coverage),
            (timeframe, &into.coverage),
            self.now,
        );
        // What is kept no longer is not made again of a source that is.
        if let Some(kept_from) = self.settings.retention.bars_from(timeframe, self.now) {
            stale.iter_mut().for_each(|part| part.start = part.start.max(kept_from));
            stale.retain(|part| !part.is_empty());
        }
        if stale.is_empty() {
            return Ok(());
        }
        // Time before the listing explains nothing: a week of which half was not listed is no week.
        let untraded = from.gaps.iter().filter(|gap| gap.reason == GapReason::NoTrade);
        let untraded: RangeSet = untraded.map(|gap| gap.range).collect();
        let (source_id, adjustment, due_from) = (from.series_id, from.adjustment, from.due_from);
        let factors = tx.factors_of(source_id)?;
        for part in stale {
            let bars = tx.bars_in(source_id, derive::windows_of(due, timeframe, part))?;
            let parts = Parts { due, source, bars: &bars, untraded: &untraded, factors: &factors };
            let derived = derive::bars(&parts, timeframe, part, self.now);
            self.store_derived(tx, &key(timeframe), due, part, &derived)?;
        }
        let settle = self.place(symbol).0.settle;
        let Some(line) = self.series.get_mut(&key(timeframe)) else { return Ok(()) };
        line.adjustment = adjustment;
        line.due_from = due_from;
        line.reconsider(tx, due, self.now)?;
        line.settled_at(settle, self.now);
        line.ended(None);
        Ok(())
    }

    /// Stores what was made of a stretch, and notes what is missing in it.
    fn store_derived(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        due: &Due,
        part: TimeRange,
        derived: &[Bar],
    ) -> StoreResult<()> {
        let Some(line) = self.series.get_mut(key) else { return Ok(()) };
        let stamp = clock::now();
        let put = tx.bars_put(line.series_id, &self.run_id, stamp, derived, Claim::Provider)?;
        line.fetched(Some(stamp), put.inserted);
        if let Some(ts) = put.changed_from {
            tx.feature_states_drop(line.series_id, ts)?;
            line.changed(ts);
        }
        if let (Some(first), Some(last)) = (derived.first(), derived.last()) {
            line.wrote(first.ts, last.ts);
        }
        let first = line.first_ts.unwrap_or(part.start);
        let listed = TimeRange::new(part.start.max(first), part.end);
        line.note_gaps(tx, due, self.now, listed, (derived, &[]))?;
        line.cover(tx, part)?;
        self.add(&key.symbol, &put);
        Ok(())
    }
}
