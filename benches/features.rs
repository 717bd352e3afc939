//! Features: all of them for 20 series of 200,000 one-minute bars each, one after the other in one
//! thread, from bars in memory into rows in memory, in portions of 10,000 bars as a run would.
//!
//! The promise is TA-Lib 0.8.1 for the same columns: its C library, called from Python on whole arrays
//! whose memory is there already, takes 47.7 ns a bar for the thirteen functions of these that it has
//! (SMA of 20, 50 and 200, EMA of 12 and 26, RSI, MACD, BBANDS, ATR, ADX, STOCH, OBV, ROC), and numpy
//! 25.0 ns for the other four columns. Measured on two shared cores of an AMD EPYC: the sums of the best
//! times of each. With the memory to be had from the system first, as by default, it is 150 ns in all.
//!
//! ```text
//! cargo bench --bench features            ten rounds
//! cargo bench --bench features -- 30      thirty
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::time::{Duration, Instant};

use chrono_tz::Tz;
use mdctl::domain::bar::Bar;
use mdctl::domain::feature::{COUNT, Row};
use mdctl::feature::LOOKBACK;
use mdctl::feature::engine::Engine;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::figures::{Promise, Times, against};
use support::market::Market;
use support::rounds;

/// 2025-06-01T00:00:00Z.
const END: i64 = 1_748_736_000;

const SERIES: usize = 20;
const BARS: i64 = 200_000;
const PORTION: usize = 10_000;
/// How many series get one more bar.
const GROWING: usize = 1_000;
/// Nanoseconds a bar.
const TALIB: f64 = 47.7 + 25.0;

fn main() {
    let rounds = rounds(10);
    println!("features: {SERIES} series x {BARS} bars of 1m, {COUNT} features, {rounds} rounds");
    let bars = bars();
    let (mut whole, mut growing) = (Times::new(), Times::new());
    for _ in 0..rounds {
        whole.add(compute(&bars));
        growing.add(grow(&bars));
    }
    let count = BARS as f64 * SERIES as f64;
    println!("{}", whole.rate("whole series", count, "bars"));
    println!("{}", growing.rate("series with one new bar", GROWING as f64, "series"));
    let nanoseconds = whole.best() * 1e9 / count;
    println!("{}", against("a bar, best", nanoseconds, "ns", Promise::AtMost(TALIB)));
    let nanoseconds = whole.median() * 1e9 / count;
    println!("{}", against("a bar, median", nanoseconds, "ns", Promise::AtMost(TALIB)));
}

fn bars() -> Vec<Bar> {
    let market = Market::new("1/minute", (0..BARS).map(|index| END - (BARS - index) * 60), 0);
    let bar = |row: &support::market::Row| Bar {
        ts: row.ts,
        open: row.open,
        high: row.high,
        low: row.low,
        close: row.close,
        volume: Some(row.volume),
        vwap: Some(row.vwap),
        trades: Some(row.trades),
    };
    market.rows.iter().map(bar).collect()
}

/// All series from their first bar on.
fn compute(bars: &[Bar]) -> Duration {
    let mut rows: Vec<Row> = Vec::with_capacity(PORTION);
    let mut sum = 0.0;
    let started = Instant::now();
    for _ in 0..SERIES {
        let mut engine = Engine::new(Some(Tz::UTC));
        for portion in bars.chunks(PORTION) {
            rows.clear();
            engine.push_all(portion, &mut rows);
            // So that nothing is left out as never read.
            sum += rows.iter().map(|row| row.values[COUNT - 1]).sum::<f64>();
        }
    }
    let elapsed = started.elapsed();
    assert!(sum.is_finite(), "a session mean is lacking");
    elapsed
}

/// One bar more, from a stored state and the bars before.
fn grow(bars: &[Bar]) -> Duration {
    let mut engine = Engine::new(Some(Tz::UTC));
    let (old, new) = bars.split_at(bars.len() / 2);
    let mut rows = Vec::new();
    engine.push_all(old, &mut rows);
    let state = engine.state();
    rows.clear();
    let started = Instant::now();
    for _ in 0..GROWING {
        let earlier = &old[old.len() - LOOKBACK..];
        let engine = Engine::resume(state, earlier, Some(Tz::UTC));
        engine.expect("bars enough").push_all(&new[..1], &mut rows);
    }
    started.elapsed()
}
