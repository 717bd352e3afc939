//! The engine: bars in, rows out.

use crate::domain::bar::Bar;
use crate::domain::feature::{COUNT, Row};
use crate::domain::zone::Zone;

use super::recursive::{self, Movements, MovingAverages};
use super::session::Sessions;
use super::state::State;
use super::window::{self, Stochastic, Sums};
use super::{FIRST, LOOKBACK, NEAR, volume};

/// How many bars are computed at a time, column by column: as many as leave the columns in the cache.
/// No power of two, with which the same places of all columns would compete for one place of it.
const BLOCK: usize = 1000;

/// Numbers of the bars before a block, then of those in it. NaN where there are none.
type Lane = Vec<f64>;

/// Computes the features of one series, whose bars it takes in the order of their time.
#[derive(Clone, Debug)]
pub struct Engine {
    state: State,
    sessions: Option<Sessions>,
    close: Lane,
    high: Lane,
    low: Lane,
    volume: Lane,
    log_return: Lane,
    /// The features of the bars in the block.
    columns: Box<[[f64; BLOCK]; COUNT]>,
    sums: Sums,
    stochastic: Stochastic,
    movements: Movements,
    /// Means or deviations on their way to a column.
    between: Vec<f64>,
    /// Whether there was a number so large that what follows from it may be infinite.
    is_extreme: bool,
}

/// Some bars by their columns, with the columns of the bars that come right before each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portion<'a> {
    pub(super) close_before: &'a [f64],
    pub(super) high_before: &'a [f64],
    pub(super) low_before: &'a [f64],
    pub(super) close: &'a [f64],
    pub(super) high: &'a [f64],
    pub(super) low: &'a [f64],
    pub(super) volume: &'a [f64],
}

impl<'a> Portion<'a> {
    /// `length` of its bars, from one on.
    pub(super) fn part(&self, from: usize, length: usize) -> Self {
        let part = |column: &'a [f64]| &column[from..from + length];
        Self {
            close_before: part(self.close_before),
            high_before: part(self.high_before),
            low_before: part(self.low_before),
            close: part(self.close),
            high: part(self.high),
            low: part(self.low),
            volume: part(self.volume),
        }
    }
}

impl Engine {
    /// An engine before the first bar of a series. `session` is the zone whose local date is a
    /// session's (UTC for what trades around the clock); `None` for daily and weekly bars, which have
    /// no `vwap_session`.
    #[must_use]
    pub fn new(session: Option<Zone>) -> Self {
        let lane = || vec![f64::NAN; LOOKBACK + BLOCK];
        Self {
            state: State::new(),
            sessions: session.map(Sessions::new),
            close: lane(),
            high: lane(),
            low: lane(),
            volume: lane(),
            log_return: lane(),
            columns: Box::new([[f64::NAN; BLOCK]; COUNT]),
            sums: Sums::with_room(LOOKBACK + BLOCK),
            stochastic: Stochastic::with_room(LOOKBACK + BLOCK),
            movements: Movements::with_room(BLOCK),
            between: vec![0.0; BLOCK],
            is_extreme: false,
        }
    }

    /// An engine after the bars that `state` is the state after, of which `earlier` are the last ones, as
    /// [`Engine::go_on`] has it.
    #[must_use]
    pub fn resume(state: State, earlier: &[Bar], session: Option<Zone>) -> Option<Self> {
        let mut engine = Self::new(session);
        let (far, near) = earlier.split_at(earlier.len().saturating_sub(NEAR));
        let closes: Vec<f64> = far.iter().map(|bar| bar.close).collect();
        engine.go_on(state, &closes, near, session).then_some(engine)
    }

    /// Begins before the first bar of another series, as a new engine would, which is larger than what it
    /// does for one bar. `session` as for [`Engine::new`].
    pub fn begin(&mut self, session: Option<Zone>) {
        self.state = State::new();
        self.sessions = session.map(Sessions::new);
        for lane in
            [&mut self.close, &mut self.high, &mut self.low, &mut self.volume, &mut self.log_return]
        {
            lane[..LOOKBACK].fill(f64::NAN);
        }
        // Days and weeks leave it as it is.
        self.columns[COUNT - 1].fill(f64::NAN);
        self.is_extreme = false;
    }

    /// Goes on after the bars that `state` is the state after, of which `near` are the last ones, and `closes`
    /// the closes of those before them, all ascending; of more than [`LOOKBACK`] only the last are looked at.
    /// `session` is the one that the engine of the state had. When bars are lacking it begins, and tells so:
    /// there must be [`LOOKBACK`] of them, the last [`NEAR`] as a whole, or as many as the state has seen.
    pub fn go_on(
        &mut self,
        state: State,
        closes: &[f64],
        near: &[Bar],
        session: Option<Zone>,
    ) -> bool {
        self.begin(session);
        let needed = usize::try_from(state.seen).unwrap_or(LOOKBACK).min(LOOKBACK);
        let near = &near[near.len().saturating_sub(needed)..];
        let Some(first) = (closes.len() + near.len()).checked_sub(needed) else { return false };
        if near.len() < needed.min(NEAR) {
            return false;
        }
        let closes = &closes[first..];
        self.is_extreme = state.is_extreme();
        self.state = state;
        let far = LOOKBACK - needed..LOOKBACK - near.len();
        self.close[far].copy_from_slice(closes);
        self.is_extreme |= !closes.iter().all(|close| is_tame_price(*close));
        self.load(near, LOOKBACK - near.len());
        // The one before the first of the lane is never asked for.
        window::log_returns(&self.close[..LOOKBACK], &mut self.log_return[1..LOOKBACK]);
        true
    }

    /// The state after all bars so far.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Takes the next bars, ascending and checked, and appends a row for each to `rows`.
    pub fn push_all(&mut self, bars: &[Bar], rows: &mut Vec<Row>) {
        rows.reserve(bars.len());
        for block in bars.chunks(BLOCK) {
            self.load(block, LOOKBACK);
            self.compute(block);
            self.blank(block.len());
            self.write(block, rows);
            self.keep(block.len());
        }
    }

    /// Puts numbers of `bars` into the lanes, from `at` on.
    fn load(&mut self, bars: &[Bar], at: usize) {
        let place = at..at + bars.len();
        let mut is_tame = true;
        let lanes = self.close[place.clone()]
            .iter_mut()
            .zip(&mut self.high[place.clone()])
            .zip(&mut self.low[place.clone()])
            .zip(&mut self.volume[place]);
        for ((((close, high), low), volume), bar) in lanes.zip(bars) {
            (*close, *high, *low) = (bar.close, bar.high, bar.low);
            *volume = bar.volume.unwrap_or(f64::NAN);
            is_tame &= is_tame_price(bar.close) & is_tame_price(bar.high) & is_tame_price(bar.low);
            is_tame &= bar.volume.is_none_or(is_tame_number);
        }
        self.is_extreme |= !is_tame;
    }

    /// Fills the columns.
    fn compute(&mut self, bars: &[Bar]) {
        let count = bars.len();
        let all = LOOKBACK + count;
        let (close, high, low) = (&self.close[..all], &self.high[..all], &self.low[..all]);
        let portion = Portion {
            close_before: &close[LOOKBACK - 1..all - 1],
            high_before: &high[LOOKBACK - 1..all - 1],
            low_before: &low[LOOKBACK - 1..all - 1],
            close: &close[LOOKBACK..],
            high: &high[LOOKBACK..],
            low: &low[LOOKBACK..],
            volume: &self.volume[LOOKBACK..all],
        };
        let state = &mut self.state;
        let [
            sma_20,
            sma_50,
            sma_200,
            ema_12,
            ema_26,
            rsi_14,
            macd,
            macd_signal,
            macd_hist,
            bb_upper,
            bb_middle,
            bb_lower,
            atr_14,
            adx_14,
            stoch_k,
            stoch_d,
            obv,
            roc_10,
            log_return,
            volatility_20,
            volume_ratio_20,
            vwap_session,
        ] = self.columns.each_mut().map(|column| &mut column[..count]);
        let between = &mut self.between[..count];

        self.sums.means(close, [sma_20, sma_50, sma_200]);
        self.sums.deviations(close, 20.0, between);
        bb_middle.copy_from_slice(sma_20);
        window::bands(sma_20, between, bb_upper, bb_lower);
        self.stochastic.of([high, low, close], stoch_k, stoch_d);
        window::change_of_10(close, roc_10);
        window::log_returns(close, log_return);
        self.log_return[LOOKBACK..all].copy_from_slice(log_return);
        self.sums.deviations(&self.log_return[..all], 19.0, volatility_20);
        self.sums.means_of_20(&self.volume[..all], between);
        volume::ratios(portion.volume, between, volume_ratio_20);

        let columns = MovingAverages { ema_12, ema_26, macd, macd_signal, macd_hist };
        recursive::moving_averages(state, portion.close, columns);
        self.movements.averages(state, &portion, [rsi_14, atr_14, adx_14]);
        volume::on_balance(state, &portion, obv);
        if let Some(sessions) = &mut self.sessions {
            volume::session_mean(state, sessions, bars, &portion, vwap_session);
        }
        state.seen += count as u64;
    }

    /// Takes away what is not defined yet, and what is infinite.
    fn blank(&mut self, count: usize) {
        let before = self.state.seen - count as u64;
        for (column, first) in self.columns.iter_mut().zip(FIRST) {
            let lacking = (first as u64).saturating_sub(before);
            let lacking = usize::try_from(lacking).unwrap_or(count).min(count);
            column[..lacking].fill(f64::NAN);
            if self.is_extreme {
                let infinite = column[..count].iter_mut().filter(|value| value.is_infinite());
                infinite.for_each(|value| *value = f64::NAN);
            }
        }
    }

    fn write(&self, bars: &[Bar], rows: &mut Vec<Row>) {
        let columns = &self.columns;
        let mut index = 0;
        rows.extend(bars.iter().map(|bar| {
            let row =
                Row { ts: bar.ts, values: std::array::from_fn(|column| columns[column][index]) };
            index += 1;
            row
        }));
    }

    /// Makes the last bars of the block those before the next one.
    fn keep(&mut self, count: usize) {
        for lane in
            [&mut self.close, &mut self.high, &mut self.low, &mut self.volume, &mut self.log_return]
        {
            lane.copy_within(count..count + LOOKBACK, 0);
        }
    }
}

/// Whether nothing that is computed of such prices is infinite: neither squares nor quotients.
fn is_tame_price(price: f64) -> bool {
    (price > 1e-100) & (price < 1e100)
}

/// Likewise of a volume or a sum.
pub(super) fn is_tame_number(number: f64) -> bool {
    number.abs() < 1e100
}
