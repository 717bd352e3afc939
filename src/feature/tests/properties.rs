//! Any series, in any portions.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::LOOKBACK;
use super::super::engine::Engine;
use super::super::state::State;
use super::{index_of, plain};
use crate::domain::bar::Bar;
use crate::domain::feature::{COUNT, NAMES, Row};
use crate::domain::zone::Zone;

/// How one bar follows another.
#[derive(Clone, Debug)]
struct Step {
    /// What the close is multiplied by, and how far high and low lie outside.
    factor: f64,
    spread: f64,
    volume: Option<f64>,
    /// Bars that are lacking before it.
    skipped: i64,
}

fn step(jump: std::ops::Range<f64>) -> impl Strategy<Value = Step> {
    let factor = prop_oneof![
        4 => Just(1.0),
        8 => 0.99..1.01,
        1 => jump.prop_map(f64::exp),
    ];
    let spread = prop_oneof![1 => Just(0.0), 2 => 0.0..0.01];
    let volume = prop_oneof![
        12 => (0.0..1e6).prop_map(Some),
        2 => Just(Some(0.0)),
        1 => Just(None),
    ];
    let skipped = prop_oneof![9 => Just(0), 1 => 0_i64..100];
    (factor, spread, volume, skipped).prop_map(|(factor, spread, volume, skipped)| Step {
        factor,
        spread,
        volume,
        skipped,
    })
}

/// Bars of an hour whose closes stay within `bounds`. Every flat run is repeated to some length.
fn series(steps: &[Step], first: f64, bounds: (f64, f64)) -> Vec<Bar> {
    let (mut close, mut ts) = (first, 0);
    let mut bars = Vec::new();
    for step in steps {
        let before = close;
        close = (close * step.factor).clamp(bounds.0, bounds.1);
        let (high, low) = (before.max(close), before.min(close));
        let repeats = if step.factor == 1.0 && step.spread == 0.0 { 12 } else { 1 };
        for _ in 0..repeats {
            ts += 3_600 * (1 + step.skipped);
            bars.push(Bar {
                ts,
                open: before,
                high: high * (1.0 + step.spread),
                low: low * (1.0 - step.spread),
                close,
                volume: step.volume,
                vwap: None,
                trades: None,
            });
        }
    }
    bars
}

fn whole(bars: &[Bar], zone: Zone) -> Vec<Row> {
    let mut rows = Vec::new();
    Engine::new(Some(zone)).push_all(bars, &mut rows);
    rows
}

/// The same in portions, with nothing but a state's bytes and earlier bars in between.
fn in_portions(bars: &[Bar], zone: Zone, portions: &[usize]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut bytes = State::new().to_bytes();
    let mut at = 0;
    for portion in portions.iter().copied().chain([usize::MAX]) {
        let end = at + portion.min(bars.len() - at);
        let state = State::from_bytes(&bytes).unwrap();
        let earlier = &bars[at.saturating_sub(LOOKBACK)..at];
        let mut engine = Engine::resume(state, earlier, Some(zone)).unwrap();
        engine.push_all(&bars[at..end], &mut rows);
        bytes = engine.state().to_bytes();
        at = end;
    }
    rows
}

fn bits(row: &Row) -> (i64, [u64; COUNT]) {
    (row.ts, row.values.map(|value| if value.is_nan() { u64::MAX } else { value.to_bits() }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn portions_change_no_bit(
        steps in vec(step(-400.0..400.0), 1..500),
        first in prop_oneof![Just(1e-8), Just(60_000.0), Just(1e-200), Just(1e200)],
        portions in vec(prop_oneof![3 => 0_usize..4, 3 => 0_usize..60, 1 => 0_usize..1_500], 0..30),
        zone in prop_oneof![Just(Zone::UTC), Just(Zone::NEW_YORK)],
    ) {
        let bars = series(&steps, first, (1e-300, 1e300));
        let (whole, portioned) = (whole(&bars, zone), in_portions(&bars, zone, &portions));
        prop_assert_eq!(whole.len(), bars.len());
        prop_assert_eq!(portioned.len(), bars.len());
        for (index, (one, other)) in whole.iter().zip(&portioned).enumerate() {
            prop_assert_eq!(bits(one), bits(other), "bar {}", index);
            prop_assert!(one.values.iter().all(|value| !value.is_infinite()), "bar {}", index);
        }
    }

    #[test]
    fn values_are_those_of_the_plain_formulas(
        steps in vec(step(-3.0..3.0), 1..300),
        first in prop_oneof![Just(0.01), Just(1.1), Just(60_000.0)],
    ) {
        let bars = series(&steps, first, (0.001, 1e8));
        let rows = whole(&bars, Zone::UTC);
        let plain = plain::columns(&bars);
        for (column, wanted) in plain.iter().enumerate() {
            for (index, row) in rows.iter().enumerate() {
                let (value, wanted) = (row.value(column), wanted[index]);
                let tolerance = tolerance(column, &bars[..=index]);
                let is_near = match (value, wanted) {
                    (Some(value), Some(wanted)) => {
                        (value - wanted).abs() <= tolerance.max(1e-9 * wanted.abs())
                    }
                    (value, wanted) => value.is_none() && wanted.is_none(),
                };
                let name = NAMES[column];
                prop_assert!(is_near, "{name} of bar {index}: {value:?}, plainly {wanted:?}");
            }
        }
    }
}

/// The absolute error that the plain formula has itself: of differences, that of what they are
/// differences of.
fn tolerance(column: usize, bars: &[Bar]) -> f64 {
    let price = || {
        let recent = &bars[bars.len().saturating_sub(400)..];
        recent.iter().map(|bar| bar.high).fold(0.0, f64::max)
    };
    match NAMES[column] {
        name if name.starts_with("macd") || name.starts_with("bb_") => 1e-9 * price(),
        name if name.starts_with("stoch") => 1e-9,
        "adx_14" | "rsi_14" | "roc_10" | "log_return" | "volatility_20" => 1e-9,
        "obv" => 1e-9 * bars.iter().filter_map(|bar| bar.volume).sum::<f64>(),
        _ => 0.0,
    }
}

#[test]
fn a_jump_leaves_nothing_behind() {
    let steps: Vec<Step> = (0..1_000)
        .map(|index| Step {
            factor: match index {
                300 => 1e12,
                301 => 1e-12,
                _ => 1.0 + 0.001 * f64::from(index).sin(),
            },
            spread: 0.001,
            volume: Some(1.0),
            skipped: 0,
        })
        .collect();
    let bars = series(&steps, 1e-3, (1e-300, 1e300));
    let (rows, plain) = (whole(&bars, Zone::UTC), plain::columns(&bars));
    for name in ["sma_200", "bb_upper", "bb_lower", "volatility_20", "stoch_k"] {
        let column = index_of(name);
        for index in 510..1_000 {
            let (value, wanted) =
                (rows[index].value(column).unwrap(), plain[column][index].unwrap());
            assert!((value - wanted).abs() <= 1e-11 * wanted.abs(), "{name} of bar {index}");
        }
    }
}
