//! `split_jump`: the level changes for good by about a split's ratio, and no split is declared: one that
//! the provider did not tell, or an adjustment that reaches over half of the history.
//!
//! From the close before to the open of the bar the price changes by a usual ratio of splits, 5:4 the
//! smallest, to within 6 %, or as far as bars usually go here, 15 % at most. It is a jump when
//!
//! - **it stays**: of the five bars before and the five from it on (three at the series' ends) no open
//!   or close reaches farther than half of the way to the other side;
//! - **it is out of scale**: at least four times what bars usually go here. Shares in free fall change
//!   their price by every ratio there is;
//! - **nobody minds**: the bar's volume, in shares or in money, is at most six times the usual (the
//!   median of ten). A share that truly loses half of its price is sold by everybody (AAPL on
//!   2000-09-29: 18 times the shares, 9 times the money); one that is split is not, whichever of the two
//!   the provider's volume counts. After a pause within a day (a night), volumes say nothing.
//!
//! Moves of the size of 5:4 and 4:3 are common: such a ratio is to be met within 4 %, six times as far as
//! bars usually go, on a day with at most twice the usual volume (AIG on 1999-08-02); upwards none is:
//! nobody makes four shares of five.

use crate::domain::anomaly::{Anomaly, AnomalyCode};
use crate::domain::bar::{Bar, BarFields};

use super::Series;
use super::spike::significant;
use super::window::{REACH, Window, median};

/// New shares for one old, or old ones for one new.
const RATIOS: [f64; 21] = [
    1.25,
    4.0 / 3.0,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    6.0,
    7.0,
    8.0,
    9.0,
    10.0,
    12.0,
    15.0,
    20.0,
    25.0,
    30.0,
    40.0,
    50.0,
    100.0,
];

/// No change below this one is about any ratio.
const LEAST: f64 = 0.19;

/// Below this one, moves of that size are common: it must be told more closely, by a quieter day.
const COMMON: f64 = 0.36;

/// How far from its ratio a change may be, as a logarithm: at least, and at most.
const TOLERANCE: (f64, f64) = (0.06, 0.15);

/// How many bars on either side show that it stays: where they are, and at least.
const STAYS: (usize, usize) = (5, 3);

/// How much of the way the bars on either side keep from each other.
const APART: f64 = 0.5;

/// How many times what bars usually go.
const OUT_OF_SCALE: f64 = 4.0;

/// How many times the usual volume is still no event; for a ratio as small as moves are.
const EVENT: (f64, f64) = (6.0, 2.0);

/// How close a ratio as small as moves are is to be met, as a logarithm.
const CLOSE: f64 = 0.04;

/// How many times what bars usually go, for a ratio as small as moves are.
const FAR_OUT_OF_SCALE: f64 = 6.0;

/// Whether the level changes with the bar of `at`.
pub(super) fn find(window: &Window<'_>, at: usize, series: &Series<'_>) -> Option<Anomaly> {
    let bars = window.bars;
    let bar = &bars[at];
    let close = bars.get(at.checked_sub(1)?)?.close;
    // Nearly every bar ends here, without a logarithm: `e^x` is more than `1 + x`.
    if close < bar.open * (1.0 + LEAST) && bar.open < close * (1.0 + LEAST) {
        return None;
    }
    let change = (close / bar.open).ln();
    if change.abs() < LEAST {
        return None;
    }
    let (before, after) = (&bars[at.saturating_sub(STAYS.0)..at], &bars[at..]);
    let after = &after[..after.len().min(STAYS.0)];
    if before.len() < STAYS.1 || after.len() < STAYS.1 {
        return None;
    }
    let nearest = |a: &&f64, b: &&f64| {
        let off = |ratio: f64| (ratio.ln() - change.abs()).abs();
        off(**a).total_cmp(&off(**b))
    };
    let ratio = *RATIOS.iter().min_by(nearest)?;
    let usual = window.usual(at);
    let is_common = ratio.ln() < COMMON;
    if is_common && change < 0.0 {
        return None;
    }
    let (tolerance, scale, event) = if is_common {
        (CLOSE, FAR_OUT_OF_SCALE, EVENT.1)
    } else {
        (usual.clamp(TOLERANCE.0, TOLERANCE.1), OUT_OF_SCALE, EVENT.0)
    };
    let is_ratio = (ratio.ln() - change.abs()).abs() <= tolerance;
    let out_of_scale = ratio.ln() >= scale * usual;
    let stays = if change > 0.0 { apart(before, after) } else { apart(after, before) }
        >= APART * ratio.ln();
    if !(is_ratio && out_of_scale && stays) || is_event(bars, at, series, event) {
        return None;
    }
    // As it stands in the oracles of splits: before over after.
    let ratio = if change > 0.0 { ratio } else { 1.0 / ratio };
    let factor = |bar: &Bar| series.factors.at(bar.ts).0;
    let (close, open) = (close / factor(&bars[at - 1]), bar.open / factor(bar));
    Some(Anomaly {
        code: AnomalyCode::SplitJump,
        ts: bar.ts,
        ts_end: bar.ts,
        count: 1,
        fields: BarFields::NONE,
        detail: Some(format!(
            "ratio {}: from a close of {} to an open of {}, for good, and no such split is declared",
            significant(ratio),
            significant(close),
            significant(open)
        )),
    })
}

/// How far the opens and closes of some bars lie above those of others, as a logarithm.
fn apart(above: &[Bar], below: &[Bar]) -> f64 {
    let bottom = above.iter().map(|bar| bar.open.min(bar.close)).fold(f64::INFINITY, f64::min);
    let top = below.iter().map(|bar| bar.open.max(bar.close)).fold(0.0, f64::max);
    (bottom / top).ln()
}

/// Whether so much was traded that something happened.
fn is_event(bars: &[Bar], at: usize, series: &Series<'_>, most: f64) -> bool {
    let bar = &bars[at];
    let length = series.timeframe.seconds();
    if series.timeframe.is_intraday() && bar.ts - bars[at - 1].ts != length {
        return false;
    }
    let before = &bars[at.saturating_sub(REACH)..at];
    let shares = |bar: &Bar| bar.volume.unwrap_or(0.0);
    let money = |bar: &Bar| bar.volume.unwrap_or(0.0) * bar.close;
    [shares(bar) / usual(before, shares), money(bar) / usual(before, money)]
        .into_iter()
        .all(|times| times.is_finite() && times > most)
}

fn usual(bars: &[Bar], volume: impl Fn(&Bar) -> f64) -> f64 {
    median(bars.iter().map(volume).collect())
}
