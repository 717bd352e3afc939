//! Features of what changed: from the state before the first changed bar on, a slice at a time.

use std::time::{Duration, Instant};

use crate::clock;
use crate::domain::action::Factors;
use crate::domain::bar::Bar;
use crate::domain::event::{Event, Took};
use crate::domain::fact::FeaturesFact;
use crate::domain::feature::{FeatureSet, Row};
use crate::domain::run::{ComputeFact, ErrorKind, Failure, Stage};
use crate::domain::series::SeriesKey;
use crate::domain::task::About;
use crate::domain::zone::Zone;
use crate::feature::engine::Engine;
use crate::feature::state::State;
use crate::feature::{LOOKBACK, NEAR};
use crate::store::{Ahead, StoreError, StoreResult, Wanted, Writer};

use super::desk::Desk;

/// Bars after which a state is kept for good: how far back computing begins at most.
const STEP: u64 = 20_000;

/// A series whose features are to be computed.
#[derive(Clone, Copy)]
struct Work<'a> {
    key: &'a SeriesKey,
    series_id: i64,
    set: FeatureSet,
    /// The first bar whose features are not what they should be.
    from: i64,
    /// The last bar that has any; `None` when none has.
    held_to: Option<i64>,
    /// The zone in which its sessions have dates; `None` for days and weeks.
    zone: Option<Zone>,
}

/// The computing of a series' features, a slice at a time.
pub(super) struct Computing {
    /// When its first slice began.
    begun: Instant,
    /// Rows written so far.
    rows: u64,
    /// How long all slices took so far.
    took: Duration,
}

impl Computing {
    fn begin() -> Self {
        Self { begun: Instant::now(), rows: 0, took: Duration::ZERO }
    }
}

/// How far a slice came.
struct Slice {
    /// Rows written.
    rows: u64,
    /// The last bar that has features now.
    last: Option<i64>,
    /// The bar to go on from; `None` when all are computed.
    left: Option<i64>,
}

impl Desk<'_> {
    /// Computes the features of a series anew from where its bars changed, as far as there is `room`
    /// for rows; tells whether that is all. What cannot be computed is logged, and tried again by the
    /// next run; the bars are what they are.
    pub(super) fn compute(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        room: &mut usize,
    ) -> StoreResult<bool> {
        let Some(work) = self.work_on(tx, key)? else { return Ok(true) };
        let mut so_far = self.computed.remove(key).unwrap_or_else(Computing::begin);
        let started = Instant::now();
        let most = (*room as u64).max(1);
        let (engine, mut ahead) = (&mut self.engine, self.ahead.as_mut());
        let mut slice_of = |work: &Work<'_>| {
            tx.attempt(|tx| compute_slice(tx, engine, ahead.as_deref_mut(), work, most))
        };
        let slice = match slice_of(&work)? {
            // Rows may stand where the series says that there are none: they go as well.
            Err(_) => slice_of(&Work { held_to: Some(i64::MAX), ..work })?,
            slice => slice,
        };
        let slice = match slice {
            Ok(slice) => slice,
            Err(error) => {
                so_far.took += started.elapsed();
                self.compute_failed(tx, &work, so_far, &error)?;
                return Ok(true);
            }
        };
        *room = room.saturating_sub(usize::try_from(slice.rows).unwrap_or(usize::MAX).max(1));
        so_far.rows += slice.rows;
        so_far.took += started.elapsed();
        if let Some(line) = self.series.get_mut(key) {
            line.features = FeaturesFact {
                set: work.set,
                from: slice.left,
                last_ts: slice.last,
                computed_at: Some(clock::now()),
            };
        }
        if slice.left.is_some() {
            *room = 0;
            self.computed.insert(key.clone(), so_far);
            return Ok(false);
        }
        self.log_compute(tx, &work, so_far, None)?;
        Ok(true)
    }

    /// What there is to compute of a series; `None` when nothing is.
    fn work_on<'key>(
        &mut self,
        tx: &Writer<'_>,
        key: &'key SeriesKey,
    ) -> StoreResult<Option<Work<'key>>> {
        let (group, _) = self.place(&key.symbol);
        let set = group.features(key.timeframe);
        let zone = key.timeframe.is_intraday().then(|| group.calendar.zone());
        let Some(line) = self.series.get_mut(key) else { return Ok(None) };
        if self.no_features || self.uncomputed.contains(key) {
            return Ok(None);
        }
        if set.is_empty() {
            if line.features.set != FeatureSet::NONE {
                tx.features_clear(line.series_id)?;
                line.features = FeaturesFact::default();
            }
            return Ok(None);
        }
        let (series_id, held_to) = (line.series_id, line.features.last_ts);
        // All of them anew where other columns are asked for than there are, or none can reach where they are
        // said to.
        let is_known =
            line.features.set == set && held_to.is_some() && held_to <= line.watermark_ts;
        let first = line.first_ts.filter(|_| !is_known);
        let next = held_to.filter(|last| Some(*last) < line.watermark_ts).map(|last| last + 1);
        let from = line.features.from.into_iter().chain(first).chain(next).min();
        Ok(from.map(|from| Work { key, series_id, set, from, held_to, zone }))
    }

    /// Logs that a series' features could not be computed; they are not tried again in this run.
    fn compute_failed(
        &mut self,
        tx: &Writer<'_>,
        work: &Work<'_>,
        done: Computing,
        error: &StoreError,
    ) -> StoreResult<()> {
        self.uncomputed.insert(work.key.clone());
        let failure = Failure {
            series: work.key.clone(),
            about: About::Bars,
            stage: Stage::Compute,
            kind: ErrorKind::Compute,
            message: error.to_string(),
            attempts: 1,
            at: clock::now(),
        };
        tx.failure_add(&self.run_id, &failure)?;
        self.log_compute(tx, work, done, Some(error.to_string()))?;
        self.said.push(Event::Failed(failure));
        Ok(())
    }

    fn log_compute(
        &mut self,
        tx: &Writer<'_>,
        work: &Work<'_>,
        done: Computing,
        error: Option<String>,
    ) -> StoreResult<()> {
        let fact = ComputeFact {
            series: work.key.clone(),
            features: work.set.indices().count() as u64,
            rows: done.rows,
            took: done.took,
            error,
            at: clock::now(),
        };
        tx.compute_log_add(&self.run_id, &fact)?;
        let took = Took { from: done.begun, to: Instant::now() };
        self.said.push(Event::Computed { fact, took });
        Ok(())
    }
}

/// Computes the next rows of a series, about `most`.
fn compute_slice(
    tx: &Writer<'_>,
    engine: &mut Engine,
    mut ahead: Option<&mut Ahead>,
    work: &Work<'_>,
    most: u64,
) -> StoreResult<Slice> {
    let id = work.series_id;
    let factors = tx.factors_of(id)?;
    // Where old bars were deleted, all goes on from the state that was kept for it.
    let from = tx.feature_base(id, work.from)?.map_or(work.from, |base| base.ts + 1);
    // Behind the last bar that has features there is nothing to take away.
    if work.held_to >= Some(from) {
        tx.feature_states_drop(id, from)?;
        tx.features_drop(id, from)?;
    }
    let mut next = resume(tx, engine, (id, from), work.zone, &factors)?;
    let mut slice = Slice { rows: 0, last: None, left: None };
    let mut rows: Vec<Row> = Vec::new();
    while slice.rows < most {
        let step = STEP - engine.state().seen() % STEP;
        let wanted = Wanted { series_id: id, from: next, most: step };
        let mut bars = next_bars(tx, ahead.as_deref_mut(), wanted)?;
        adjust(&factors, &mut bars);
        let Some(last) = bars.last().map(|bar| bar.ts) else { break };
        rows.clear();
        engine.push_all(&bars, &mut rows);
        // Those before the first changed bar are what they were.
        let kept = rows.partition_point(|row| row.ts < from);
        tx.features_put(id, &rows[kept..], work.set)?;
        slice.rows += (rows.len() - kept) as u64;
        (slice.last, next) = (Some(last), last + 1);
        let state = engine.state();
        tx.feature_state_put(id, last, (state.seen(), STEP), &state.to_bytes())?;
        if (bars.len() as u64) < step {
            break;
        }
        slice.left = Some(next);
    }
    let more = slice.left.map(|left| tx.bars_from(id, left, 1));
    slice.left = more.transpose()?.and_then(|more| more.first().map(|bar| bar.ts));
    // Without a bar from there on, the last one before it is the last that has any.
    if slice.last.is_none() {
        slice.last = tx.bars_before(id, i64::MAX, 1)?.first().map(|bar| bar.ts);
    }
    Ok(slice)
}

/// The bars to go on with. Where somebody reads ahead he is told which ones follow, before these are worked on.
fn next_bars(tx: &Writer<'_>, ahead: Option<&mut Ahead>, wanted: Wanted) -> StoreResult<Vec<Bar>> {
    let read = || tx.bars_from(wanted.series_id, wanted.from, wanted.most);
    let Some(ahead) = ahead else { return read() };
    let bars = ahead.take(wanted).map_or_else(read, Ok)?;
    if let Some(last) = bars.last().filter(|_| bars.len() as u64 == wanted.most) {
        ahead.ask(Wanted { from: last.ts + 1, most: STEP, ..wanted });
    }
    Ok(bars)
}

/// Puts bars of a series into shares of today.
fn adjust(factors: &Factors, bars: &mut [Bar]) {
    if !factors.steps().is_empty() {
        bars.iter_mut().for_each(|bar| *bar = factors.adjusted(bar));
    }
}

/// Makes the engine go on after the last bar before `from` whose state is kept, or begin before the first
/// bar where none is; tells the `ts` to go on from.
fn resume(
    tx: &Writer<'_>,
    engine: &mut Engine,
    (series_id, from): (i64, i64),
    zone: Option<Zone>,
    factors: &Factors,
) -> StoreResult<i64> {
    let held = tx.feature_state_before(series_id, from)?;
    let held = held.and_then(|held| Some((held.ts, State::from_bytes(&held.state)?)));
    let Some((ts, state)) = held else {
        engine.begin(zone);
        return Ok(i64::MIN);
    };
    let mut near = tx.bars_before(series_id, ts + 1, NEAR as u64)?;
    let first = near.first().map_or(i64::MIN, |bar| bar.ts);
    let far = tx.closes_before(series_id, first, (LOOKBACK - NEAR) as u64)?;
    let closes: Vec<f64> =
        far.iter().map(|(ts, close)| factors.adjusted_close(*ts, *close)).collect();
    adjust(factors, &mut near);
    Ok(if engine.go_on(state, &closes, &near, zone) { ts + 1 } else { i64::MIN })
}

/// The state of a series' features after the bar of `ts`.
pub(super) fn state_after(
    tx: &Writer<'_>,
    series_id: i64,
    zone: Option<Zone>,
    ts: i64,
) -> StoreResult<State> {
    let factors = tx.factors_of(series_id)?;
    let mut engine = Engine::new(zone);
    let mut next = resume(tx, &mut engine, (series_id, ts + 1), zone, &factors)?;
    let mut rows = Vec::new();
    loop {
        let mut bars = tx.bars_from(series_id, next, STEP)?;
        bars.retain(|bar| bar.ts <= ts);
        let Some(last) = bars.last() else { return Ok(engine.state()) };
        next = last.ts + 1;
        adjust(&factors, &mut bars);
        rows.clear();
        engine.push_all(&bars, &mut rows);
    }
}
