//! Size: how many bytes a stored bar and a row of features take on disk, beside a Parquet file of the same
//! bars (pyarrow, zstd) and a plain SQLite table (symbol and timeframe as text in every row, and the index
//! of its primary key).
//!
//! Real bars are those of `examples/data`. Made-up ones stand for two stores that people keep, a part of
//! each; what the whole would take, in bytes and in time, is computed from it.
//!
//! ```text
//! cargo bench --bench size
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mdctl::calendar::{Calendar, Layout, Overrides};
use mdctl::domain::range::TimeRange;
use mdctl::domain::timeframe::Timeframe;
use rusqlite::Connection;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::market::Market;
use support::process::run_watched;
use support::{Config, scratch};

/// 2025-06-28T00:00:00Z, the end of a Friday with a session.
const END: i64 = 1_751_068_800;
const AS_OF: &str = "2025-06-27";
const YEAR: i64 = 365 * 86_400;

/// A store that people keep, and how much of it is made here.
struct Store {
    name: &'static str,
    timeframe: Timeframe,
    /// What polygon calls it.
    span: &'static str,
    /// The provider stamps a bar so many seconds after its label.
    offset: i64,
    symbols: usize,
    years: i64,
    /// Of so many symbols one is made.
    share: usize,
}

const STORES: [Store; 2] = [
    Store {
        name: "10 years of 5,000 symbols by day",
        timeframe: Timeframe::D1,
        span: "1/day",
        offset: 5 * 3600,
        symbols: 5_000,
        years: 10,
        share: 10,
    },
    Store {
        name: "1 year of 500 symbols by minute",
        timeframe: Timeframe::M1,
        span: "1/minute",
        offset: 0,
        symbols: 500,
        years: 1,
        share: 25,
    },
];

fn main() {
    let folder = scratch();
    println!("size: the bars of examples/data");
    sample(folder.path());
    sizes(&folder.path().join("quickstart.db"));
    for store in &STORES {
        println!("size: {}, one of {} made", store.name, store.share);
        project(store);
    }
}

/// Reads the bars of the examples into a database, and computes their features.
fn sample(folder: &Path) {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    fs::copy(format!("{examples}/quickstart.toml"), folder.join("mdctl.toml")).expect("the copy");
    std::os::unix::fs::symlink(format!("{examples}/data"), folder.join("data")).expect("the link");
    run_watched(folder, &["backfill"]).expect(0, folder);
}

/// Makes a part of a store, and says what the whole takes.
fn project(store: &Store) {
    let calendar = Calendar::named("XNYS", Overrides::default()).expect("a known calendar");
    let range = TimeRange::new(END - store.years * YEAR, END);
    let times = calendar.windows(store.timeframe, Layout::default(), range).map(|window| window.ts);
    let market = Arc::new(Market::new(store.span, times, store.offset));
    let bars = market.rows.len();
    let server = Arc::clone(&market).serve(HashMap::new());
    let symbols: Vec<String> =
        (0..store.symbols / store.share).map(|index| format!("S{index:04}")).collect();
    let folder = scratch();
    let config = Config {
        url: &server.url(),
        asset_class: "stock",
        timeframes: &[store.timeframe.as_str()],
        lookback: store.years * YEAR,
        symbols: &symbols,
    };
    config.write(folder.path());
    let filled = run_watched(folder.path(), &["backfill", "--as-of", AS_OF, "--no-features"]);
    let filled = filled.expect(0, folder.path()).wall.as_secs_f64() * store.share as f64;
    let database = folder.path().join("bench.db");
    let without = bytes(&database) * store.share as f64;
    println!(
        "  the whole, {} bars: {:.2} GB, filled in {filled:.0} s",
        bars * store.symbols,
        without / 1e9
    );
    let features = format!("features = {{ \"{}\" = [\"default\"] }}\n", store.timeframe.as_str());
    let text = fs::read_to_string(folder.path().join("mdctl.toml")).expect("the config");
    fs::write(folder.path().join("mdctl.toml"), text + &features).expect("the config");
    let computed = run_watched(folder.path(), &["backfill", "--as-of", AS_OF]);
    let computed = computed.expect(0, folder.path()).wall.as_secs_f64() * store.share as f64;
    let with = bytes(&database) * store.share as f64;
    println!("  with features: {:.2} GB, computed in {computed:.0} s more", with / 1e9);
    sizes(&database);
}

/// Says how many bytes a row takes, here and elsewhere.
fn sizes(database: &Path) {
    let connection = Connection::open(database).expect("the database");
    let number = |sql: &str| -> f64 {
        connection.query_row(sql, [], |row| row.get(0)).expect("a number of the database")
    };
    let table = |name: &str| {
        number(&format!("SELECT CAST(sum(pgsize) AS REAL) FROM dbstat WHERE name = '{name}'"))
    };
    let bars = number("SELECT CAST(count(*) AS REAL) FROM bars");
    let features = number("SELECT CAST(count(*) AS REAL) FROM features");
    let say = |what: &str, bytes: f64| println!("  {what:<44} {bytes:8.1} bytes");
    say("a bar", table("bars") / bars);
    say("a row of features", table("features") / features);
    say("all else, a bar", (bytes(database) - table("bars") - table("features")) / bars);
    say("a bar in a plain SQLite table", plain(database) / bars);
    if let Some(bytes) = parquet(database) {
        say("a bar in Parquet", bytes / bars);
    }
}

/// The bytes of a plain table with the same bars.
fn plain(database: &Path) -> f64 {
    let folder = scratch();
    let path = folder.path().join("plain.db");
    let connection = Connection::open(&path).expect("a database");
    connection.execute("ATTACH ? AS kept", [database.display().to_string()]).expect("the database");
    connection
        .execute_batch(
            "CREATE TABLE bars (symbol TEXT NOT NULL, timeframe TEXT NOT NULL, ts INTEGER NOT NULL,
                 open REAL, high REAL, low REAL, close REAL, volume REAL, vwap REAL, trades INTEGER,
                 PRIMARY KEY (symbol, timeframe, ts));
             INSERT INTO bars
             SELECT symbol, timeframe, ts, open, high, low, close, volume, vwap, trades
               FROM kept.bars JOIN kept.series USING (series_id) ORDER BY series_id, ts;",
        )
        .expect("the plain table");
    bytes(&path)
}

/// The bytes of a Parquet file with the same bars; `None` where nothing can write one.
fn parquet(database: &Path) -> Option<f64> {
    let folder = scratch();
    let file: PathBuf = folder.path().join("bars.parquet");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/parquet.py");
    let ended = Command::new("python3").arg(script).arg(database).arg(&file).status();
    if !ended.is_ok_and(|status| status.success()) {
        println!("  NO FIGURE: no Parquet file was written; `pip install pyarrow`");
        return None;
    }
    Some(bytes(&file))
}

fn bytes(file: &Path) -> f64 {
    fs::metadata(file).expect("the file").len() as f64
}
