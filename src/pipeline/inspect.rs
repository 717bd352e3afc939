//! What looks suspicious in what changed.
//!
//! A series bears a mark from where on its bars changed. From there, and a few bars before, since each is
//! judged by its neighbours, they are looked at in slices; what was found there before is replaced, and
//! the mark moves on with each slice, in one transaction with what was found. So after a crash the next
//! run goes on there, and whatever the slices were, the findings are those of the series as a whole.

use crate::domain::anomaly::{Anomaly, AnomalyCode};
use crate::domain::bar::Bar;
use crate::domain::range::TimeRange;
use crate::domain::series::SeriesKey;
use crate::domain::timeframe::DAY;
use crate::quality::{self, Carried, Carry, Series, Stretch};
use crate::store::{StoreResult, Writer};

use super::desk::Desk;

/// Bars before a changed one that may look different because of it.
const TOUCHED: usize = quality::AFTER;

/// Bars before a changed one that are read.
const READ_BEFORE: u64 = (TOUCHED + quality::BEFORE) as u64;

/// Bars of a series, some of them to be judged, and what the store has of them.
struct Slice {
    bars: Vec<Bar>,
    /// The first of those to be judged.
    first: usize,
    /// The first after them.
    end: usize,
    /// The `ts` that the judged ones lie in: half-open.
    range: TimeRange,
}

impl Desk<'_> {
    /// Looks at the bars of a series anew from where they changed, as far as there is `room` for rows;
    /// tells whether that is all.
    pub(super) fn inspect(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        room: &mut usize,
    ) -> StoreResult<bool> {
        let Some(line) = self.series.get(key) else { return Ok(true) };
        let (series_id, mut mark) = (line.series_id, line.quality_from);
        if mark.is_none() {
            return Ok(true);
        }
        let (group, member) = self.place(&key.symbol);
        let due = self.settings.due(group, member);
        let factors = tx.factors_of(series_id)?;
        let series = Series::of(key.timeframe, &due, &factors);
        while let Some(from) = mark.filter(|_| *room > 0) {
            mark = look(tx, series_id, &series, from, room)?;
        }
        if let Some(line) = self.series.get_mut(key) {
            line.quality_from = mark;
        }
        Ok(mark.is_none())
    }

    /// Looks at the bars of a page that is stored, as long as they are at hand: those that what comes
    /// later cannot make look different. Where more than these wait to be looked at, all of them do.
    pub(super) fn inspect_page(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        page: &[Bar],
    ) -> StoreResult<()> {
        let (group, member) = self.place(&key.symbol);
        let due = self.settings.due(group, member);
        let Some(line) = self.series.get_mut(key) else { return Ok(()) };
        let Some(mark) = line.quality_from else { return Ok(()) };
        // Where newer bars are stored already, they are looked at once the page's neighbours are there.
        if page.last().map(|bar| bar.ts) != line.watermark_ts {
            return Ok(());
        }
        let Some(slice) = slice_of_page(tx, line.series_id, mark, page)? else { return Ok(()) };
        let factors = tx.factors_of(line.series_id)?;
        let series = Series::of(key.timeframe, &due, &factors);
        line.quality_from = judge(tx, line.series_id, &series, &slice)?;
        Ok(())
    }

    /// Notes which rows of a series' file say again what one before them said: the `ts` of each, and its
    /// line. What an earlier reading found goes with the first page of a new one.
    pub(super) fn note_repeated(
        tx: &Writer<'_>,
        series_id: i64,
        rows: &[(i64, Option<u64>)],
    ) -> StoreResult<()> {
        tx.file_findings_add(series_id, AnomalyCode::DuplicateTs, rows)
    }

    /// Likewise of rows whose time lies before that of a row before them.
    pub(super) fn note_out_of_order(
        tx: &Writer<'_>,
        series_id: i64,
        rows: &[(i64, u64)],
    ) -> StoreResult<()> {
        let rows: Vec<_> = rows.iter().map(|(ts, line)| (*ts, Some(*line))).collect();
        tx.file_findings_add(series_id, AnomalyCode::OutOfOrder, &rows)
    }
}

/// Looks at the bars from `from` on, as many as there is room for; tells from where on some are left.
fn look(
    tx: &Writer<'_>,
    series_id: i64,
    series: &Series<'_>,
    from: i64,
    room: &mut usize,
) -> StoreResult<Option<i64>> {
    let slice = read(tx, series_id, from, *room)?;
    *room -= (slice.end - slice.first).clamp(1, *room);
    judge(tx, series_id, series, &slice)
}

/// Judges the bars of a slice; tells from where on some are left.
fn judge(
    tx: &Writer<'_>,
    series_id: i64,
    series: &Series<'_>,
    slice: &Slice,
) -> StoreResult<Option<i64>> {
    let carried = Carried {
        zero_volume: carried_silent(tx, series_id, slice)?,
        non_session: carried_outside(tx, series_id, series, slice)?,
    };
    let stretch = Stretch { bars: &slice.bars, judged: slice.first..slice.end, carried };
    let found = quality::inspect(series, &stretch);
    let held = held(tx, series_id, slice, carried)?;
    tx.anomalies_set(series_id, &held, &found)?;
    let left = (slice.range.end < i64::MAX).then_some(slice.range.end);
    Ok(left)
}

/// Reads at most `room` bars from `from` on, and what their judgement rests on.
fn read(tx: &Writer<'_>, series_id: i64, from: i64, room: usize) -> StoreResult<Slice> {
    let mut bars = tx.bars_before(series_id, from, READ_BEFORE)?;
    let before = bars.len();
    let first = before.saturating_sub(TOUCHED);
    let last_wanted = before + room;
    bars.extend(tx.bars_from(series_id, from, (room + quality::AFTER) as u64)?);
    let end = bars.len().min(last_wanted);
    let range_end = bars.get(end).map_or(i64::MAX, |next| next.ts);
    // Where no bar lies before, nothing that was found before is true any more.
    let range_start = if first == 0 { i64::MIN } else { bars[first].ts };
    Ok(Slice { bars, first, end, range: TimeRange::new(range_start, range_end) })
}

/// The slice of a page of new bars, which begins at or after `mark`: up to the last bar that has all its
/// neighbours. `None` when too few bars are new, or more wait than those right before the page.
fn slice_of_page(
    tx: &Writer<'_>,
    series_id: i64,
    mark: i64,
    page: &[Bar],
) -> StoreResult<Option<Slice>> {
    const READ: usize = READ_BEFORE as usize + quality::AFTER;
    let Some(next) = page.first().filter(|next| mark <= next.ts && page.len() > READ) else {
        return Ok(None);
    };
    let mut bars = tx.bars_before(series_id, next.ts, READ as u64)?;
    let marked = bars.partition_point(|bar| bar.ts < mark);
    if bars.len() == READ && marked < READ_BEFORE as usize {
        return Ok(None);
    }
    let first = marked.saturating_sub(TOUCHED);
    bars.extend_from_slice(page);
    let end = bars.len() - quality::AFTER;
    let range_start = if first == 0 { i64::MIN } else { bars[first].ts };
    let range = TimeRange::new(range_start, bars[end].ts);
    Ok(Some(Slice { bars, first, end, range }))
}

/// The run without volume that reaches up to the slice.
fn carried_silent(tx: &Writer<'_>, series_id: i64, slice: &Slice) -> StoreResult<Option<Carry>> {
    let before = &slice.bars[..slice.first];
    let silent = before.iter().rev().take_while(|bar| quality::is_silent(bar)).count();
    let Some(last) = before.last().filter(|_| silent > 0) else { return Ok(None) };
    if silent < before.len() || before.len() < quality::LONGEST_LOOK_BACK {
        let (rest, run) = before.split_at(before.len() - silent);
        let after_trade = rest.last().is_some_and(quality::has_traded);
        return Ok(Some(Carry { since: run[0].ts, count: silent as u64, after_trade }));
    }
    // It began out of sight. One that began after a trade was found when it was looked at.
    if let Some(run) = tx.anomaly_over(series_id, AnomalyCode::ZeroVolumeRun, last.ts, last.ts)? {
        let count = tx.bars_count(series_id, TimeRange::new(run.ts, last.ts + 1))?;
        let before = tx.bars_before(series_id, run.ts, 1)?;
        return Ok(Some(Carry {
            since: run.ts,
            count,
            after_trade: before.iter().any(quality::has_traded),
        }));
    }
    // Else no trade stands before it. Where it began matters only once one stands after it.
    if slice.bars.iter().all(quality::is_silent) {
        return Ok(Some(Carry { since: last.ts, count: silent as u64, after_trade: false }));
    }
    let since = tx.silent_since(series_id, last.ts)?;
    let count = tx.bars_count(series_id, TimeRange::new(since, last.ts + 1))?;
    Ok(Some(Carry { since, count, after_trade: false }))
}

/// The bars in no session that reach up to the slice.
fn carried_outside(
    tx: &Writer<'_>,
    series_id: i64,
    series: &Series<'_>,
    slice: &Slice,
) -> StoreResult<Option<Carry>> {
    let (Some(last), Some(next)) = (slice.bars[..slice.first].last(), slice.bars.get(slice.first))
    else {
        return Ok(None);
    };
    let goes_on = last.ts.div_euclid(DAY) == next.ts.div_euclid(DAY)
        && !series.calendar.in_session(series.timeframe, series.layout, last.ts);
    if !goes_on {
        return Ok(None);
    }
    let run = tx.anomaly_over(series_id, AnomalyCode::NonSessionBar, last.ts + 1, last.ts)?;
    let since = run.map_or(last.ts, |run| run.ts);
    let count = tx.bars_count(series_id, TimeRange::new(since, last.ts + 1))?;
    Ok(Some(Carry { since, count, after_trade: false }))
}

/// What was found before of the slice, and the runs that reach up to it.
fn held(
    tx: &Writer<'_>,
    series_id: i64,
    slice: &Slice,
    carried: Carried,
) -> StoreResult<Vec<Anomaly>> {
    let mut held = Vec::new();
    let runs = [
        (AnomalyCode::ZeroVolumeRun, carried.zero_volume),
        (AnomalyCode::NonSessionBar, carried.non_session),
    ];
    for (code, carry) in runs {
        let Some(Carry { since, .. }) = carry else { continue };
        let begun = tx.anomalies_in(series_id, TimeRange::new(since, since + 1))?;
        held.extend(begun.into_iter().filter(|run| run.code == code));
    }
    held.extend(tx.anomalies_in(series_id, slice.range)?);
    held.sort_by_key(|row| (row.ts, row.code));
    held.dedup();
    Ok(held)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calendar::{Calendar, Layout, Overrides};
    use crate::domain::action::{Factors, Step};
    use crate::domain::run::RunId;
    use crate::domain::timeframe::Timeframe;
    use crate::store::Store;

    const HOUR: i64 = 3_600;

    /// An odd bar at times: a spike, no volume, none supplied; and a level that jumps.
    fn bar(hour: i64, kind: u8, level: f64) -> Bar {
        let mut bar = Bar {
            ts: hour * HOUR,
            open: level,
            high: level * 1.01,
            low: level * 0.99,
            close: level,
            volume: Some(10.0),
            vwap: None,
            trades: None,
        };
        match kind {
            0 => bar.high *= 3.0,
            1 => bar.low *= 0.4,
            2 => bar.volume = None,
            3..=40 => bar.volume = Some(0.0),
            _ => {}
        }
        bar
    }

    fn folder() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        (folder, store)
    }

    fn put(store: &mut Store, bars: &[Bar]) {
        let run = RunId("run".to_owned());
        store
            .write(|tx| tx.bars_put(1, &run, 0, bars, crate::store::Claim::Provider))
            .expect("the bars are stored");
    }

    /// Looks at all from `from` on in slices of `room`; tells what is found then.
    fn looked(store: &mut Store, factors: &Factors, from: i64, room: usize) -> Vec<Anomaly> {
        let calendar = Calendar::named("XNYS", Overrides::default()).expect("a calendar");
        let (timeframe, layout) = (Timeframe::H1, Layout::default());
        let series = Series { timeframe, calendar: &calendar, layout, factors };
        let mut mark = Some(from);
        while let Some(from) = mark {
            let mut left = room;
            let looked = store.write(|tx| look(tx, 1, &series, from, &mut left));
            mark = looked.expect("the bars are looked at");
        }
        let all = TimeRange::new(i64::MIN, i64::MAX);
        store.write(|tx| tx.anomalies_in(1, all)).expect("the findings")
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// However bars come and in whatever slices they are looked at, the findings are those of the
        /// series as a whole; and looking again finds nothing to write.
        #[test]
        fn slices_and_order_change_nothing(
            kinds in prop::collection::vec((0u8..60, 1i64..4), 60..200),
            silent in (0usize..150, 0usize..80),
            jump in 0usize..200,
            order in prop::collection::vec((0usize..200, 1usize..60, 1usize..50), 1..6),
            room in 1usize..70,
        ) {
            let mut hour = 474_000;
            let bars: Vec<Bar> = kinds
                .iter()
                .enumerate()
                .map(|(index, (kind, step))| {
                    hour += step;
                    let quiet = (silent.0..silent.0 + silent.1).contains(&index);
                    bar(hour, if quiet { 3 } else { *kind }, if index < jump { 100.0 } else { 50.0 })
                })
                .collect();
            let factors = Factors::new(vec![Step { until_ts: bars[30].ts, split: 0.5, total: 0.5 }]);

            let (_whole, mut whole) = folder();
            put(&mut whole, &bars);
            let expected = looked(&mut whole, &factors, i64::MIN, 100_000);

            let (_parts, mut parts) = folder();
            for (from, many, room) in order {
                // First with other values, which are revised later.
                let part: Vec<Bar> = bars.iter().skip(from).step_by(2).take(many).copied().collect();
                let other: Vec<Bar> =
                    part.iter().map(|bar| Bar { volume: Some(0.0), ..*bar }).collect();
                for some in [other, part] {
                    put(&mut parts, &some);
                    if let Some(first) = some.first() {
                        looked(&mut parts, &factors, first.ts, room);
                    }
                }
            }
            let held = parts
                .write(|tx| tx.bars_ts(1, TimeRange::new(i64::MIN, i64::MAX)))
                .expect("what is stored");
            let lacking = bars.iter().find(|bar| held.binary_search(&bar.ts).is_err());
            put(&mut parts, &bars);
            if let Some(first) = lacking {
                prop_assert_eq!(&looked(&mut parts, &factors, first.ts, room), &expected);
            }
            prop_assert_eq!(&looked(&mut parts, &factors, i64::MIN, room), &expected);
        }
    }

    #[test]
    fn looking_again_finds_nothing_to_write() {
        let (_folder, mut store) = folder();
        let bars: Vec<Bar> = (0..300).map(|hour| bar(hour, (hour % 45) as u8, 100.0)).collect();
        put(&mut store, &bars);
        let found = looked(&mut store, &Factors::default(), i64::MIN, 100);
        assert!(found.len() > 5, "{found:?}");
        let slice = store.write(|tx| read(tx, 1, bars[150].ts, 40)).expect("a slice");
        let held =
            store.write(|tx| held(tx, 1, &slice, Carried::default())).expect("what was found");
        let again = looked(&mut store, &Factors::default(), bars[150].ts, 40);
        assert_eq!(again, found);
        assert!(!held.is_empty());
    }
}
