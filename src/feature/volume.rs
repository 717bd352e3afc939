//! Features of the volume. A volume of NaN is none.

use crate::domain::bar::Bar;

use super::engine::Portion;
use super::session::Sessions;
use super::state::State;

/// `obv`.
pub(super) fn on_balance(state: &mut State, portion: &Portion<'_>, values: &mut [f64]) {
    let mut held = state.obv;
    let closes = portion.close_before.iter().zip(portion.close);
    for ((value, (before, close)), volume) in values.iter_mut().zip(closes).zip(portion.volume) {
        // No branch on which way the close went: nobody can foretell it.
        let way = f64::from(i8::from(close > before) - i8::from(close < before));
        if volume.is_nan() {
            *value = f64::NAN;
            continue;
        }
        held = if held.is_nan() { *volume } else { held + way * volume };
        *value = held;
    }
    state.obv = held;
}

/// `volume_ratio_20`, of the means of 20 volumes. NaN where one is lacking, or all are 0.
pub(super) fn ratios(volume: &[f64], means: &[f64], ratios: &mut [f64]) {
    for ((ratio, volume), mean) in ratios.iter_mut().zip(volume).zip(means) {
        *ratio = volume / mean;
    }
}

/// `vwap_session`.
pub(super) fn session_mean(
    state: &mut State,
    sessions: &mut Sessions,
    bars: &[Bar],
    portion: &Portion<'_>,
    values: &mut [f64],
) {
    let mut from = 0;
    while from < bars.len() {
        let session = sessions.at(bars[from].ts);
        if session.date != state.session {
            (state.session, state.turnover, state.traded) = (session.date, 0.0, 0.0);
        }
        let length = bars[from..].partition_point(|bar| bar.ts < session.end).max(1);
        accumulate(state, &portion.part(from, length), &mut values[from..from + length]);
        from += length;
    }
}

/// Goes through bars of one session.
fn accumulate(state: &mut State, portion: &Portion<'_>, values: &mut [f64]) {
    let (mut turnover, mut traded) = (state.turnover, state.traded);
    let prices = portion.high.iter().zip(portion.low).zip(portion.close);
    for ((value, ((high, low), close)), volume) in values.iter_mut().zip(prices).zip(portion.volume)
    {
        if volume.is_nan() {
            *value = f64::NAN;
            continue;
        }
        turnover += (high + low + close) * (1.0 / 3.0) * volume;
        traded += volume;
        // Before the first volume it is 0 / 0, which is NaN.
        *value = turnover / traded;
    }
    (state.turnover, state.traded) = (turnover, traded);
}
