//! Upkeep of a large database: 1,000,000 requests, as many jobs, and 1,000,000 minutes that are all to go, and
//! 1,000,000 that stay; whole processes. What `db info`, `db check`, `db backup`, `db prune` and `db restore`
//! take, in time and in memory, and what prune leaves of the file.
//!
//! ```text
//! cargo bench --bench upkeep
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::fs;
use std::path::Path;

use mdctl::store::Store;
use rusqlite::Connection;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::process::run_watched;
use support::{Config, scratch};

/// Symbols, each with 20,000 minutes: half of them old.
const SYMBOLS: usize = 100;

const SETUP: &str = "
    INSERT INTO tracked_symbols (symbol, asset_class, provider, calendar, group_name, active, added_at)
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
        SELECT printf('S%04d', i), 'crypto', 'loopback', '24x7', 'bench', 1, 0 FROM n;
    INSERT INTO series (symbol, timeframe, provider) SELECT symbol, '1m', 'loopback' FROM tracked_symbols;
    INSERT INTO bars WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)
        SELECT series_id, (unixepoch() / 60 - 60 - i) * 60 - iif(i < 10000, 0, 864000), 100 + i % 7, 103 + i % 7,
               99 + i % 7, 101 + i % 7, 1000 + i, 100.5, i % 89 FROM series, n ORDER BY 1, 2;
    UPDATE series SET (bar_count, first_ts, watermark_ts) =
        (SELECT count(*), min(ts), max(ts) FROM bars WHERE bars.series_id = series.series_id);
    INSERT INTO coverage SELECT series_id, first_ts, watermark_ts + 60 FROM series;
    INSERT INTO runs (run_id, command, trigger, started_at, completed_at, status, symbols_total, successful,
                      exit_code, host, pid, version)
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        SELECT printf('01H%023d', i), 'backfill', 'manual', 1600000000 + i * 3600, 1600000600 + i * 3600,
               'succeeded', 100, 100, 0, 'bench', 1, '' FROM n;
    INSERT INTO run_totals SELECT command, status, count(*), 0, 0 FROM runs GROUP BY 1, 2;
    INSERT INTO jobs (run_id, symbol, status, started_at, completed_at)
        SELECT run_id, symbol, 'completed', started_at, completed_at FROM runs, tracked_symbols;
    INSERT INTO fetch_log (run_id, symbol, timeframe, provider, started_at, range_from, range_to, attempt, http_status, error_kind,
        response_time_ms, bytes, records_fetched, records_inserted, records_rejected, records_dropped, success)
        SELECT run_id, symbol, '1m', 'loopback', started_at, started_at, started_at, 1, 200,
        NULL, 80, 700, 4, 1, 0, 0, 1 FROM jobs;
    INSERT INTO request_totals SELECT 'loopback', 'ok', count(*), 0, 0 FROM fetch_log;";

fn main() {
    let folder = scratch();
    let names: Vec<String> = (0..SYMBOLS).map(|index| format!("S{index:04}")).collect();
    let config = Config {
        url: "http://127.0.0.1:9",
        asset_class: "crypto",
        timeframes: &["1m"],
        lookback: 30 * 86_400,
        symbols: &names,
    };
    config.write(folder.path());
    let path = folder.path().join("mdctl.toml");
    let text = fs::read_to_string(&path).expect("the config");
    let kept = "[database]\nretention = { runs = \"1d\", bars = { \"1m\" = \"8d\" } }";
    fs::write(&path, text.replace("[database]", kept)).expect("the config is written");
    drop(Store::open_write(&folder.path().join("bench.db")).expect("a database"));
    let database = Connection::open(folder.path().join("bench.db")).expect("it opens");
    database.execute_batch(&format!("BEGIN; {SETUP} COMMIT;")).expect("the rows are stored");
    drop(database);
    println!(
        "upkeep: 1,000,000 requests, jobs, old minutes and young ones, {}",
        size(folder.path())
    );
    for arguments in [
        &["db", "info"][..],
        &["db", "check"],
        &["db", "backup", "copy.db"],
        &["db", "restore", "copy.db", "restored.db"],
        &["db", "prune"],
        &["db", "prune"],
        &["db", "check"],
    ] {
        let finished = run_watched(folder.path(), arguments).expect(0, folder.path());
        let (wall, peak) = (finished.wall.as_secs_f64(), finished.peak_mb);
        let name = arguments.join(" ");
        println!("  {name:<34} {wall:8.2} s   peak memory {peak:4.0} MB   {}", size(folder.path()));
    }
}

/// The size of the database's file.
fn size(folder: &Path) -> String {
    let bytes = fs::metadata(folder.join("bench.db")).map_or(0, |metadata| metadata.len());
    format!("{:.1} MB", bytes as f64 / 1e6)
}
