//! Computes the features of a series from its bars: numbers from numbers. Pure.
//!
//! An [`engine::Engine`] takes bars in the order of their time, in portions of any size, and gives a row
//! for each. What it must remember of all bars before is a small [`state::State`]; what it needs of the
//! last few it takes from the bars themselves, at most [`LOOKBACK`] of them. So a series is computed
//! once, and then bar by bar as it grows, with the same bits as if it were computed anew: no feature
//! depends on how the bars were portioned.
//!
//! # The features
//!
//! Conventions, seeds and warm-ups are those of TA-Lib 0.8.1 with its default settings; where TA-Lib has
//! no such function, the formula stands here. A window counts bars, not time: a hole in the data is
//! neither filled nor does it restart anything. `close[-n]` is the close of n bars before; "first" is
//! the index of the first bar with a value, when the first bar of the series has index 0.
//!
//! | feature | first | unit | definition |
//! |---|---|---|---|
//! | `sma_20`, `sma_50`, `sma_200` | n-1 | price | mean of the last n closes, this bar's among them (`SMA`) |
//! | `ema_12`, `ema_26` | n-1 | price | mean of the first n closes; then `e += (close - e) * 2 / (n + 1)` (`EMA`) |
//! | `rsi_14` | 14 | 0 to 100 | `100 * gain / (gain + loss)`, averaged by Wilder over 14 bars; 0 when both are 0 (`RSI`) |
//! | `macd` | 33 | price | EMA(12) - EMA(26), where the fast one is seeded with the mean of closes 14 to 25, so that both begin at index 25 (`MACD`) |
//! | `macd_signal`, `macd_hist` | 33 | price | EMA(9) of that line, seeded with its mean over 25 to 33; the line less the signal (`MACD`) |
//! | `bb_middle`, `bb_upper`, `bb_lower` | 19 | price | `sma_20`, and 2 population standard deviations above and below it (`BBANDS`) |
//! | `atr_14` | 14 | price | true range, averaged by Wilder over 14 bars from index 1 on (`ATR`) |
//! | `adx_14` | 27 | 0 to 100 | see below (`ADX`) |
//! | `stoch_k`, `stoch_d` | 17 | 0 to 100 | `100 * (close - low) / (high - low)` with the extremes of 14 bars, 0 when they are equal; its mean over 3 bars, and the mean of that over 3 (`STOCH`) |
//! | `obv` | 0 | volume | begins with the first volume; plus volume when close rose, minus volume when it fell (`OBV`) |
//! | `roc_10` | 10 | percent | `(close / close[-10] - 1) * 100` (`ROC`) |
//! | `log_return` | 1 | 1 | `ln(close / close[-1])` |
//! | `volatility_20` | 20 | 1 | sample standard deviation of the last 20 log returns, a bar's, not a year's |
//! | `volume_ratio_20` | 19 | 1 | volume / mean of the last 20 volumes, this bar's among them; not defined when that mean is 0 |
//! | `vwap_session` | 0 | price | `sum(volume * (high + low + close) / 3) / sum(volume)` since midnight in the calendar's zone (a forex session has two parts); not defined before its first volume, and on daily and weekly bars |
//!
//! *Wilder's average* over n bars begins with the mean of the first n and goes on as
//! `average = (average * (n - 1) + new) / n`. *True range* is the greatest of `high - low`,
//! `|high - close[-1]|` and `|low - close[-1]|`. *ADX*: a bar's upward move `high - high[-1]` counts as
//! +DM when it is positive and greater than the downward one, `low[-1] - low`, which else counts as -DM
//! likewise; both are summed over bars 1 to 13, and go on as `sum = sum - sum / 14 + new`;
//! `DX = 100 * |+DM - -DM| / (+DM + -DM)`, from which the range that TA-Lib divides both by has gone;
//! ADX begins with the mean of DX 14 to 27 and goes on as Wilder's average. A bar after which both are 0
//! leaves it as it was; while it begins, it counts as a DX of 0.
//!
//! # Without volume
//!
//! A bar without volume (`None`) has no `obv`, no `vwap_session` and, nor have the 19 after it, no
//! `volume_ratio_20`. The next bar with volume goes on from the last OBV, by its close against that of
//! the bar before it; the session's sums go on likewise. A volume of 0 is a volume: a series whose
//! volumes are all 0 has an OBV of 0, and neither of the other two.
//!
//! # Numbers
//!
//! What is not defined, or not finite, is NaN in a row. Windows are not kept as running sums, from which
//! old values are subtracted and their rounding errors are not: each is added up afresh from sums of
//! parts, so that a price jump leaves nothing behind when it has left the window, and a flat run
//! deviates by nothing from its mean.

pub mod engine;
mod recursive;
mod session;
pub mod state;
mod volume;
mod window;

use crate::domain::feature::COUNT;

/// How many bars before the first one to be computed are needed, at most: those of the longest window,
/// and one.
pub const LOOKBACK: usize = 200;

/// Of these, so many last ones are needed as a whole: those of the longest window of anything but closes. Of the
/// others nothing but the close is looked at.
pub const NEAR: usize = 20;

/// The index of the first bar for which each feature is defined, in the order of the columns.
const FIRST: [usize; COUNT] =
    [19, 49, 199, 11, 25, 14, 33, 33, 33, 19, 19, 19, 14, 27, 17, 17, 0, 10, 1, 20, 19, 0];

#[cfg(test)]
mod tests;
