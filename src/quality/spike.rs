//! `price_spike`: a value far off both neighbours, which agree with each other; a high or a low alone
//! too. Most bad prints of real feeds are a high or a low of a day whose close looks normal.
//!
//! How far off a value is, is its distance (by logarithm) from the range of both neighbouring bars, from
//! the lower low to the higher high. It is a spike when that distance is
//!
//! - **far**: at least 0.13, about 14 %: true days of shares, coins and currencies reach a tenth beyond
//!   their neighbours (AAPL on 2010-05-06: 0.12). Where the market is so quiet that it is twenty times
//!   what bars nearby go and ten times what they usually go, 0.06 is far: 6 % in a minute of a currency.
//! - **out of scale**: at least three times as far as the bars nearby go (the second farthest of the two
//!   on either side) and 1.75 times as far as they usually go (the fourth farthest of ten on either
//!   side). What is true comes in storms: around a crash all bars are long. What is wrong stands alone.
//!   And a price of few ticks hops by ten percent all day long.
//! - **farther than the neighbours are from each other**: from the close before to the open after. Else
//!   it is a move, not a spike.

use crate::domain::action::Factors;
use crate::domain::anomaly::{Anomaly, AnomalyCode};
use crate::domain::bar::{Bar, BarFields};

use super::window::Window;

/// How far off is far, and out of which scale.
struct Tier {
    far: f64,
    nearby: f64,
    usual: f64,
}

/// Anywhere, and in a quiet market.
const TIERS: [Tier; 2] =
    [Tier { far: 0.13, nearby: 3.0, usual: 1.75 }, Tier { far: 0.06, nearby: 20.0, usual: 10.0 }];

/// The smallest distance that any tier takes for far.
const LEAST: f64 = 0.06;

/// The neighbours agree when they are at most so far from each other, in distances.
const AGREEMENT: f64 = 0.95;

/// What is wrong with the bar of `at`.
pub(super) fn find(window: &Window<'_>, at: usize, factors: &Factors) -> Option<Anomaly> {
    let (before, after) = window.neighbours(at)?;
    let bar = &window.bars[at];
    let (low, high) = (before.low.min(after.low), before.high.max(after.high));
    let distance = |price: f64| (price / high).max(low / price).ln();
    // Nearly every bar ends here, without a logarithm: `e^x` is more than `1 + x`.
    if bar.high < high * (1.0 + LEAST) && low < bar.low * (1.0 + LEAST) {
        return None;
    }
    let (nearby, usual) = (window.nearby(at), window.usual(at));
    let apart = (before.close / after.open).ln().abs();
    let is_spike = |price: f64| {
        let distance = distance(price);
        let is_far = |tier: &Tier| {
            distance >= tier.far
                && distance >= tier.nearby * nearby
                && distance >= tier.usual * usual
        };
        TIERS.iter().any(is_far) && apart <= AGREEMENT * distance
    };
    let fields = BarFields::prices_where(bar, is_spike);
    (!fields.is_empty()).then(|| Anomaly {
        code: AnomalyCode::PriceSpike,
        ts: bar.ts,
        ts_end: bar.ts,
        count: 1,
        fields,
        detail: Some(words(bar, fields, (low, high), factors)),
    })
}

/// In prices as they are stored.
fn words(bar: &Bar, fields: BarFields, (low, high): (f64, f64), factors: &Factors) -> String {
    let (factor, _) = factors.at(bar.ts);
    let stored = |price: f64| significant(price / factor);
    let prices = [("open", bar.open), ("high", bar.high), ("low", bar.low), ("close", bar.close)];
    let wrong = prices.into_iter().filter(|(name, _)| fields.names().any(|field| field == *name));
    let wrong: Vec<String> =
        wrong.map(|(name, price)| format!("{name} {}", stored(price))).collect();
    format!("{}; the bars beside it go from {} to {}", wrong.join(", "), stored(low), stored(high))
}

/// A price without the noise of floating point.
pub(super) fn significant(price: f64) -> f64 {
    format!("{price:.9e}").parse().unwrap_or(price)
}
