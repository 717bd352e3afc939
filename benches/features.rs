//! Features: all of them for 20 series of 200,000 one-minute bars each, one after the other in one
//! thread, from bars in memory into rows in memory, in portions of 10,000 bars as a run would.
//!
//! The promise is TA-Lib 0.8.1 for the same columns: its C library, called from Python on whole arrays
//! whose memory is there already, takes 47.7 ns a bar for the thirteen functions of these that it has
//! (SMA of 20, 50 and 200, EMA of 12 and 26, RSI, MACD, BBANDS, ATR, ADX, STOCH, OBV, ROC), and numpy
//! 25.0 ns for the other four columns. Measured on two shared cores of an AMD EPYC: the sums of the best
//! times of each. With the memory to be had from the system first, as by default, it is 150 ns in all.
//!
//! Then the program as a whole: the same series lie stored, without features, and a run as of the last
//! bar, for which no file has to be read, computes and writes all of them. The floor is a bare loop that
//! inserts the same rows, computed beforehand, into the same table of a new database, 20,000 a transaction.
//!
//! ```text
//! cargo bench --bench features            ten rounds
//! cargo bench --bench features -- 30      thirty
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use mdctl::domain::bar::Bar;
use mdctl::domain::feature::{COUNT, Row};
use mdctl::domain::zone::Zone;
use mdctl::feature::LOOKBACK;
use mdctl::feature::engine::Engine;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::figures::{Promise, Times, against};
use support::market::Market;
use support::process::run_watched;
use support::{empty_database, open, rounds, scratch};

/// 2025-06-01T00:00:00Z.
const END: i64 = 1_748_736_000;
/// Likewise, in words.
const END_WORDS: &str = "2025-06-01T00:00:00Z";

const SERIES: usize = 20;
const BARS: i64 = 200_000;
const PORTION: usize = 10_000;
/// How many series get one more bar.
const GROWING: usize = 1_000;
/// Nanoseconds a bar.
const TALIB: f64 = 47.7 + 25.0;
/// Of that, at most.
const SHARE: f64 = 0.7;

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
    println!("{}", against("a bar, best", nanoseconds, "ns", Promise::AtMost(SHARE * TALIB)));
    let nanoseconds = whole.median() * 1e9 / count;
    println!("{}", against("a bar, median", nanoseconds, "ns", Promise::AtMost(SHARE * TALIB)));
    stored(&bars, rounds.min(3));
}

/// The program as a whole.
fn stored(bars: &[Bar], rounds: usize) {
    let filled = fill(bars);
    let mut rows = Vec::with_capacity(bars.len());
    Engine::new(Some(Zone::UTC)).push_all(bars, &mut rows);
    let (mut program, mut floor) = (Times::new(), Times::new());
    let mut peak_mb = 0.0_f64;
    for _ in 0..rounds {
        let folder = scratch();
        for name in ["mdctl.toml", "bench.db"] {
            fs::copy(filled.path().join(name), folder.path().join(name)).expect("the copy");
        }
        std::os::unix::fs::symlink(filled.path().join("data"), folder.path().join("data"))
            .expect("the link");
        let finished = run_watched(folder.path(), &["backfill", "--as-of", END_WORDS]);
        let finished = finished.expect(0, folder.path());
        peak_mb = peak_mb.max(finished.peak_mb);
        program.add(finished.wall);
        let connection = open(&folder.path().join("bench.db"));
        let written: i64 = connection
            .query_row("SELECT count(*) FROM features", [], |row| row.get(0))
            .expect("the features");
        if written != BARS * SERIES as i64 {
            println!("  NO FIGURE: {written} rows of {}", BARS * SERIES as i64);
        }
        floor.add(bare_loop(&rows));
    }
    let count = BARS as f64 * SERIES as f64;
    println!("{}", program.rate("mdctl backfill", count, "rows"));
    println!("{}", floor.rate("floor: bare INSERTs", count, "rows"));
    let share = floor.median() / program.median();
    println!("{}", against("share of the floor (medians)", share, "", Promise::AtLeast(1.5)));
    let share = floor.best() / program.best();
    println!("{}", against("share of the floor (best)", share, "", Promise::AtLeast(1.5)));
    println!("{}", against("peak memory", peak_mb, "MB", Promise::AtMost(100.0)));
}

/// A folder with all bars stored, and nothing computed from them.
fn fill(bars: &[Bar]) -> tempfile::TempDir {
    let folder = scratch();
    let symbols: Vec<String> = (0..SERIES).map(|index| format!("C{index:02}")).collect();
    let config = format!(
        "[database]\npath = \"bench.db\"\n\n[providers.local]\nkind = \"files\"\npath = \"data\"\n\n\
         [[group]]\nname = \"bench\"\nprovider = \"local\"\nasset_class = \"crypto\"\n\
         symbols = {symbols:?}\ntimeframes = [\"1m\"]\nfeatures = {{ \"1m\" = [\"default\"] }}\n"
    );
    fs::write(folder.path().join("mdctl.toml"), config).expect("the config");
    let mut text = "ts,open,high,low,close,volume\n".to_owned();
    for bar in bars {
        let Bar { ts, open, high, low, close, volume, .. } = bar;
        let _ = writeln!(text, "{ts},{open},{high},{low},{close},{}", volume.unwrap_or_default());
    }
    fs::create_dir(folder.path().join("data")).expect("a folder");
    for symbol in &symbols {
        fs::write(folder.path().join(format!("data/{symbol}_1m.csv")), &text).expect("a file");
    }
    let filled = run_watched(folder.path(), &["backfill", "--no-features"]);
    let filled = filled.expect(0, folder.path());
    println!("filled in {:.1} s", filled.wall.as_secs_f64());
    folder
}

/// The floor.
fn bare_loop(rows: &[Row]) -> Duration {
    let folder = scratch();
    let mut connection = empty_database(&folder.path().join("floor.db"));
    connection.execute_batch(&features_table()).expect("the table");
    let sql = format!("INSERT INTO features VALUES ({})", vec!["?"; COUNT + 2].join(","));
    let started = Instant::now();
    for series in 1..=SERIES as i64 {
        for portion in rows.chunks(20_000) {
            let transaction = connection.transaction().expect("a transaction");
            let mut insert = transaction.prepare_cached(&sql).expect("the statement");
            for row in portion {
                let keys = [Value::Integer(series), Value::Integer(row.ts)].into_iter();
                let numbers = row.values.iter().map(|value| Value::Real(*value));
                insert.execute(params_from_iter(keys.chain(numbers))).expect("the row is stored");
            }
            drop(insert);
            transaction.commit().expect("the commit");
        }
    }
    drop(connection);
    started.elapsed()
}

/// The statement that makes the program's table.
fn features_table() -> String {
    let migration = include_str!("../migrations/0003_what_makes_bars_trustworthy.sql");
    let begin = migration.find("CREATE TABLE features (").expect("the table");
    let end = migration[begin..].find(';').expect("its end");
    migration[begin..=begin + end].to_owned()
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
        let mut engine = Engine::new(Some(Zone::UTC));
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
    let mut engine = Engine::new(Some(Zone::UTC));
    let (old, new) = bars.split_at(bars.len() / 2);
    let mut rows = Vec::new();
    engine.push_all(old, &mut rows);
    let state = engine.state();
    rows.clear();
    let started = Instant::now();
    for _ in 0..GROWING {
        let earlier = &old[old.len() - LOOKBACK..];
        let engine = Engine::resume(state, earlier, Some(Zone::UTC));
        engine.expect("bars enough").push_all(&new[..1], &mut rows);
    }
    started.elapsed()
}
