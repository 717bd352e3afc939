//! Derived series at a job's end: their bars made of what their sources hold now.

use crate::calendar::due::Due;
use crate::clock;
use crate::derive::{self, Parts, Source};
use crate::domain::gap::GapReason;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::store::{StoreResult, Writer};

use super::desk::Desk;

impl Desk<'_> {
    /// Makes what a timeframe lacks that came into the config after its source was stored: nothing is
    /// asked for these symbols, so no job does it.
    pub(super) fn derive_idle(&mut self, tx: &Writer<'_>, idle: &[Symbol]) -> StoreResult<()> {
        for symbol in idle {
            let (group, member) = self.place(symbol);
            for (timeframe, stored) in &group.timeframes {
                let Some(source) = stored.derived_from else { continue };
                let key = |timeframe| SeriesKey { symbol: symbol.clone(), timeframe };
                let bars = |timeframe| self.series.get(&key(timeframe))?.watermark_ts;
                if bars(source).is_some() && bars(*timeframe).is_none() {
                    let due = self.settings.due(group, member);
                    self.derive(tx, symbol, *timeframe, source, &due)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the bars of a timeframe that the provider does not offer, where its source changed or
    /// more of it is known.
    pub(super) fn derive(
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
        let (series_id, adjustment) = (into.series_id, from.adjustment);
        let covered = from.coverage.clone();
        let known = Source { first_ts: from.first_ts, touched: from.touched, covered: &covered };
        let range = derive::stale_range(due, timeframe, &known, &into.coverage, self.now);
        let Some(range) = range else { return Ok(()) };
        // Time before the listing explains nothing: a week of which half was not listed is no week.
        let untraded = from.gaps.iter().filter(|gap| gap.reason == GapReason::NoTrade);
        let untraded: RangeSet = untraded.map(|gap| gap.range).collect();
        let bars = tx.bars_in(from.series_id, range)?;
        let parts = Parts { due, source, bars: &bars, untraded: &untraded };
        let derived = derive::bars(&parts, timeframe, range, self.now);
        let stamp = clock::now();
        let put = tx.bars_put(series_id, &self.run_id, stamp, &derived)?;
        tx.series_fetched(series_id, stamp, &put)?;
        tx.adjustment_set(series_id, adjustment)?;
        self.add(symbol, put);
        if let (Some(line), Some(first), Some(last)) =
            (self.series.get_mut(&key(timeframe)), derived.first(), derived.last())
        {
            line.wrote(first.ts, last.ts);
        }
        let whole = derive::whole_windows(&covered, range, timeframe);
        self.note_derived(tx, &key(timeframe), due, &whole)
    }

    /// Notes what is known of a derived series: the whole windows of its source's coverage, and what
    /// is missing in them.
    fn note_derived(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        due: &Due,
        whole: &RangeSet,
    ) -> StoreResult<()> {
        let Some(line) = self.series.get_mut(key) else { return Ok(()) };
        for part in whole.ranges() {
            let first = line.first_ts.unwrap_or(part.start);
            let listed = TimeRange::new(part.start.max(first), part.end);
            line.note_gaps(tx, due, self.now, listed, &[])?;
            line.cover(tx, *part)?;
        }
        line.reconsider(tx, due, self.now)?;
        tx.series_ended(line.series_id, line.watermark_ts, None)
    }
}
