//! Averages that remember every bar: EMA, MACD, RSI, ATR, ADX.
//!
//! A bar is either within the warm-up, where an average is still being seeded, or behind it, where
//! nothing is left to decide; which one depends on its index alone, so that every bar is computed by
//! the same steps however the bars are portioned. Averages that do not wait for each other are computed
//! in one loop: the processor waits for one while it computes another.

use super::engine::Portion;
use super::state::State;

/// From this index on every average is seeded.
const WARM: u64 = 34;

/// Which of `count` bars after `seen` are still within the warm-up.
fn warm_up(seen: u64, count: usize) -> usize {
    usize::try_from(WARM.saturating_sub(seen)).unwrap_or(count).min(count)
}

/// Adds `new` to an average that begins, at index `first + count - 1`, with the mean of the `count`
/// values before and at it, and goes on by `next`.
fn seeded(
    held: f64,
    new: f64,
    (index, first, count): (u64, u64, u64),
    next: impl Fn(f64, f64) -> f64,
) -> f64 {
    if index < first {
        0.0
    } else if index + 1 < first + count {
        held + new
    } else if index + 1 == first + count {
        (held + new) / count as f64
    } else {
        next(held, new)
    }
}

/// The next exponential average over `N` values. In this form, which is TA-Lib's, that of a flat run
/// does not drift.
fn exponential<const N: u32>(held: f64, new: f64) -> f64 {
    held + (new - held) * const { 2.0 / (N as f64 + 1.0) }
}

/// The next of Wilder's averages over 14 values. Without a division, for which the next bar would wait.
fn wilder(held: f64, new: f64) -> f64 {
    held * (13.0 / 14.0) + new * (1.0 / 14.0)
}

/// The next of ADX's decaying sums.
fn decaying(held: f64, new: f64) -> f64 {
    held * (13.0 / 14.0) + new
}

/// The columns that [`moving_averages`] writes.
pub(super) struct MovingAverages<'a> {
    pub(super) ema_12: &'a mut [f64],
    pub(super) ema_26: &'a mut [f64],
    pub(super) macd: &'a mut [f64],
    pub(super) macd_signal: &'a mut [f64],
    pub(super) macd_hist: &'a mut [f64],
}

/// EMA and MACD.
pub(super) fn moving_averages(state: &mut State, close: &[f64], columns: MovingAverages<'_>) {
    let count = close.len();
    let columns = MovingAverages {
        ema_12: &mut columns.ema_12[..count],
        ema_26: &mut columns.ema_26[..count],
        macd: &mut columns.macd[..count],
        macd_signal: &mut columns.macd_signal[..count],
        macd_hist: &mut columns.macd_hist[..count],
    };
    let warm_up = warm_up(state.seen, count);
    // A copy, which can live in registers.
    let mut held = *state;
    for (index, close) in close.iter().enumerate() {
        if index < warm_up {
            seed_moving_averages(&mut held, state.seen + index as u64, *close);
        } else {
            next_moving_averages(&mut held, *close);
        }
        let line = held.macd_fast - held.ema_26;
        columns.ema_12[index] = held.ema_12;
        columns.ema_26[index] = held.ema_26;
        columns.macd[index] = line;
        columns.macd_signal[index] = held.macd_signal;
        columns.macd_hist[index] = line - held.macd_signal;
    }
    *state = held;
}

#[inline]
fn next_moving_averages(held: &mut State, close: f64) {
    held.ema_12 = exponential::<12>(held.ema_12, close);
    held.ema_26 = exponential::<26>(held.ema_26, close);
    held.macd_fast = exponential::<12>(held.macd_fast, close);
    held.macd_signal = exponential::<9>(held.macd_signal, held.macd_fast - held.ema_26);
}

fn seed_moving_averages(held: &mut State, index: u64, close: f64) {
    held.ema_12 = seeded(held.ema_12, close, (index, 0, 12), exponential::<12>);
    held.ema_26 = seeded(held.ema_26, close, (index, 0, 26), exponential::<26>);
    held.macd_fast = seeded(held.macd_fast, close, (index, 14, 12), exponential::<12>);
    let line = held.macd_fast - held.ema_26;
    held.macd_signal = seeded(held.macd_signal, line, (index, 25, 9), exponential::<9>);
}

/// What RSI, ATR and ADX are made of, for each bar of a portion.
#[derive(Clone, Debug)]
pub(super) struct Movements {
    gain: Vec<f64>,
    loss: Vec<f64>,
    plus_dm: Vec<f64>,
    minus_dm: Vec<f64>,
    range: Vec<f64>,
    dx: Vec<f64>,
}

/// Below this much there was no movement: what is left of one after 10,000 flat bars has no digits.
const NOTHING: f64 = f64::MIN_POSITIVE;

impl Movements {
    /// Room for `length` bars.
    pub(super) fn with_room(length: usize) -> Self {
        let room = || vec![0.0; length];
        Self {
            gain: room(),
            loss: room(),
            plus_dm: room(),
            minus_dm: room(),
            range: room(),
            dx: room(),
        }
    }

    /// RSI, ATR and ADX.
    pub(super) fn averages(
        &mut self,
        state: &mut State,
        portion: &Portion<'_>,
        [rsi, atr, adx]: [&mut [f64]; 3],
    ) {
        self.measure(portion);
        self.average(state, atr);
        self.index_of_strength(rsi);
        self.index_of_direction(portion.close.len());
        average_of_direction(state, &self.dx[..adx.len()], adx);
    }

    /// Each bar by itself, against the one before it.
    fn measure(&mut self, portion: &Portion<'_>) {
        let count = portion.close.len();
        let closes = portion.close_before.iter().zip(portion.close);
        for ((gain, loss), (before, close)) in
            self.gain[..count].iter_mut().zip(&mut self.loss).zip(closes)
        {
            let change = close - before;
            *gain = if change > 0.0 { change } else { 0.0 };
            *loss = if change < 0.0 { -change } else { 0.0 };
        }
        let highs = portion.high_before.iter().zip(portion.high);
        let lows = portion.low_before.iter().zip(portion.low);
        for ((plus, minus), ((high_before, high), (low_before, low))) in
            self.plus_dm[..count].iter_mut().zip(&mut self.minus_dm).zip(highs.zip(lows))
        {
            let (up, down) = (high - high_before, low_before - low);
            *plus = if up > down && up > 0.0 { up } else { 0.0 };
            *minus = if down > up && down > 0.0 { down } else { 0.0 };
        }
        let bars = portion.high.iter().zip(portion.low).zip(portion.close_before);
        for (range, ((high, low), before)) in self.range[..count].iter_mut().zip(bars) {
            let top = if before > high { before } else { high };
            let bottom = if before < low { before } else { low };
            *range = top - bottom;
        }
    }

    /// Puts the averages in the place of what they are averages of.
    fn average(&mut self, state: &mut State, atr: &mut [f64]) {
        let count = atr.len();
        let [gain, loss] = [&mut self.gain[..count], &mut self.loss[..count]];
        let [plus_dm, minus_dm] = [&mut self.plus_dm[..count], &mut self.minus_dm[..count]];
        let range = &self.range[..count];
        // A copy, which can live in registers.
        let mut held = *state;
        let warm_up = warm_up(held.seen, count);
        for at in 0..count {
            if at < warm_up {
                let index = held.seen + at as u64;
                let bar = [gain[at], loss[at], plus_dm[at], minus_dm[at], range[at]];
                seed_movements(&mut held, index, bar);
            } else {
                held.gain = wilder(held.gain, gain[at]);
                held.loss = wilder(held.loss, loss[at]);
                held.atr = wilder(held.atr, range[at]);
                held.plus_dm = decaying(held.plus_dm, plus_dm[at]);
                held.minus_dm = decaying(held.minus_dm, minus_dm[at]);
            }
            (gain[at], loss[at], atr[at]) = (held.gain, held.loss, held.atr);
            (plus_dm[at], minus_dm[at]) = (held.plus_dm, held.minus_dm);
        }
        *state = held;
    }

    fn index_of_strength(&self, rsi: &mut [f64]) {
        for ((rsi, gain), loss) in rsi.iter_mut().zip(&self.gain).zip(&self.loss) {
            let both = gain + loss;
            let share = 100.0 * gain / both;
            *rsi = if both < NOTHING { 0.0 } else { share };
        }
    }

    /// DX; NaN where there was no movement.
    fn index_of_direction(&mut self, count: usize) {
        let moves = self.plus_dm.iter().zip(&self.minus_dm);
        for (dx, (plus, minus)) in self.dx[..count].iter_mut().zip(moves) {
            let both = plus + minus;
            let share = 100.0 * (plus - minus).abs() / both;
            *dx = if both < NOTHING { f64::NAN } else { share };
        }
    }
}

/// `bar`: gain, loss, +DM, -DM, true range. The first bar has none.
fn seed_movements(held: &mut State, index: u64, bar: [f64; 5]) {
    let [gain, loss, plus_dm, minus_dm, range] = bar;
    held.gain = seeded(held.gain, gain, (index, 1, 14), wilder);
    held.loss = seeded(held.loss, loss, (index, 1, 14), wilder);
    held.atr = seeded(held.atr, range, (index, 1, 14), wilder);
    let sum = |held: f64, new: f64| match index {
        0 => 0.0,
        1..14 => held + new,
        _ => decaying(held, new),
    };
    held.plus_dm = sum(held.plus_dm, plus_dm);
    held.minus_dm = sum(held.minus_dm, minus_dm);
}

/// ADX of DX.
fn average_of_direction(state: &mut State, dx: &[f64], adx: &mut [f64]) {
    let mut held = state.adx;
    let warm_up = warm_up(state.seen, dx.len());
    // The decision is made for the two factors, for which the next bar does not have to wait.
    let next = |held: f64, dx: f64| {
        let (kept, added) = if dx.is_nan() { (1.0, 0.0) } else { (13.0 / 14.0, dx * (1.0 / 14.0)) };
        held * kept + added
    };
    for (at, (adx, dx)) in adx[..warm_up].iter_mut().zip(dx).enumerate() {
        let index = state.seen + at as u64;
        // While it is seeded, a bar without movement counts as one without direction.
        let dx = if index < 28 && dx.is_nan() { 0.0 } else { *dx };
        held = seeded(held, dx, (index, 14, 14), next);
        *adx = held;
    }
    for (adx, dx) in adx[warm_up..].iter_mut().zip(&dx[warm_up..]) {
        held = next(held, *dx);
        *adx = held;
    }
    state.adx = held;
}
