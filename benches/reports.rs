//! Reports: a database with 5,000 x 5 series, 10,000 runs an hour apart, 1,000,000 jobs and as many
//! requests; whole processes, once with every series fresh and once with every one stale.
//!
//! The floor is the same program saying its version: what it costs to start a process at all.
//!
//! ```text
//! cargo bench --bench reports            ten rounds
//! cargo bench --bench reports -- 30      thirty
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::path::Path;

use mdctl::config::{self, Settings};
use rusqlite::{Connection, params};
use ulid::Ulid;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::figures::{Promise, Times, against};
use support::process::{run, run_watched};
use support::{Config, empty_database, rounds, scratch};

const SYMBOLS: usize = 5_000;
const TIMEFRAMES: [&str; 5] = ["5m", "15m", "30m", "1h", "1d"];
const RUNS: i64 = 10_000;
/// The newest runs have a job for every symbol: 1,000,000 in all.
const RUNS_WITH_JOBS: i64 = 200;
const FAILURES: i64 = 200;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// How old the bars of a stale series are.
const STALE: i64 = 100 * DAY;

/// What is measured: its arguments, the exit codes that are all right, the promise in milliseconds.
const REPORTS: [(&[&str], &[i32], Option<f64>); 14] = [
    (&["--version"], &[0], None),
    (&["staleness", "--json"], &[0], Some(150.0)),
    (&["staleness"], &[0], None),
    (&["health"], &[0, 1, 2], Some(60.0)),
    (&["health", "--json"], &[0, 1, 2], Some(60.0)),
    (&["history"], &[0], Some(60.0)),
    (&["history", "--json"], &[0], Some(60.0)),
    (&["history", "last"], &[0], None),
    (&["status"], &[0], None),
    (&["quality", "--json"], &[0], None),
    (&["slo"], &[0], None),
    (&["metrics", "--json"], &[0], None),
    (&["metrics", "--format", "prometheus"], &[0], None),
    (&["alerts"], &[0, 1, 2], None),
];

fn main() {
    let rounds = rounds(10);
    let names: Vec<String> = (0..SYMBOLS).map(|index| format!("S{index:04}")).collect();
    for (case, age) in [("fresh", 0), ("stale", STALE)] {
        let folder = scratch();
        let config = Config {
            url: "http://127.0.0.1:9",
            asset_class: "stock",
            timeframes: &TIMEFRAMES,
            lookback: 2 * 365 * DAY,
            symbols: &names,
        };
        config.write(folder.path());
        let settings = config::load(&folder.path().join("mdctl.toml"), None).expect("the config");
        fill(&settings, age).expect("the rows are stored");
        println!("reports: {SYMBOLS} x {} series, all {case}, {rounds} rounds", TIMEFRAMES.len());
        for (arguments, codes, promise) in REPORTS {
            measure(folder.path(), arguments, codes, promise, rounds);
        }
    }
}

fn measure(folder: &Path, arguments: &[&str], codes: &[i32], promise: Option<f64>, rounds: usize) {
    let mut times = Times::new();
    for _ in 0..rounds {
        let finished = run(folder, arguments);
        let code = finished.code.filter(|code| codes.contains(code)).unwrap_or(codes[0]);
        times.add(finished.expect(code, folder).wall);
    }
    let peak_mb = run_watched(folder, arguments).peak_mb;
    let (name, median) = (arguments.join(" "), times.median() * 1000.0);
    match promise {
        Some(bound) => println!("{}", against(&name, median, "ms", Promise::AtMost(bound))),
        None => println!("  {name:<44} {median:8.2} ms"),
    }
    println!("      best {:.2} ms, peak memory {peak_mb:.0} MB", times.best() * 1000.0);
}

/// Fills the config's database: series whose last bar is the last due one of `age` seconds ago.
fn fill(settings: &Settings, age: i64) -> rusqlite::Result<()> {
    let now = mdctl::clock::now();
    let mut connection = empty_database(&settings.database);
    let transaction = connection.transaction()?;
    symbols(&transaction, settings, now)?;
    series(&transaction, settings, now - age)?;
    runs(&transaction, settings, now)?;
    transaction.commit()
}

fn symbols(connection: &Connection, settings: &Settings, now: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO tracked_symbols (symbol, asset_class, provider, calendar, group_name, active,
             added_at) VALUES (?, 'stock', 'loopback', 'XNYS', 'bench', 1, ?)",
    )?;
    for (_, member) in settings.members() {
        insert.execute(params![member.symbol.as_str(), now - 2 * 365 * DAY])?;
    }
    Ok(())
}

/// Series, what is covered of them, and for every tenth two gaps, one of them a hole.
fn series(connection: &Connection, settings: &Settings, until: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO series (series_id, symbol, timeframe, provider, first_ts, watermark_ts,
             settled_ts, bar_count, last_fetched_at) VALUES (?, ?, ?, 'loopback', ?, ?, ?, ?, ?)",
    )?;
    let mut cover = connection.prepare("INSERT INTO coverage VALUES (?, ?, ?)")?;
    let mut gap = connection.prepare("INSERT INTO gaps VALUES (?, ?, ?, 1, ?, ?, 1, NULL)")?;
    for (index, (key, group, member)) in settings.series().enumerate() {
        let (id, length) = (index as i64 + 1, key.timeframe.seconds());
        let last = settings.due(group, member).last(key.timeframe, until).expect("a bar").ts;
        let first = last - 365 * DAY;
        insert.execute(params![
            id,
            key.symbol.as_str(),
            key.timeframe.as_str(),
            first,
            last,
            last - 2 * DAY,
            365 * DAY / length,
            until
        ])?;
        cover.execute(params![id, first, last + length])?;
        if index % 10 == 0 {
            let (early, late) = (first + 20 * length, last - 20 * length);
            gap.execute(params![id, early, early + length, "no_trade", until])?;
            gap.execute(params![id, late, late + length, "provider_empty", until])?;
        }
    }
    Ok(())
}

/// One run an hour, the newest an hour ago, with jobs, requests and failures.
fn runs(connection: &Connection, settings: &Settings, now: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO runs (run_id, command, trigger, started_at, completed_at, status, symbols_total,
             successful, records_inserted, requests, exit_code, host, pid, version)
         VALUES (?1, 'backfill', 'manual', ?2, ?2 + 600, 'succeeded', ?3, ?3, ?3, ?3, 0, 'bench', 1, '')",
    )?;
    for age in (0..RUNS).rev() {
        let started_at = now - HOUR - age * HOUR;
        let millis = started_at.cast_unsigned() * 1000;
        let run = Ulid::from_parts(millis, 1).to_string();
        insert.execute(params![run, started_at, SYMBOLS as i64])?;
        if age < RUNS_WITH_JOBS {
            jobs(connection, settings, &run, started_at)?;
        }
        if age == 0 {
            failures(connection, &run, started_at)?;
        }
    }
    Ok(())
}

fn jobs(connection: &Connection, settings: &Settings, run: &str, at: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO jobs (run_id, symbol, status, started_at, completed_at, records_inserted)
         VALUES (?1, ?2, 'completed', ?3, ?3, 1)",
    )?;
    let mut request = connection.prepare_cached(
        "INSERT INTO fetch_log (run_id, symbol, timeframe, provider, started_at, range_from, range_to, attempt, http_status, error_kind,
             response_time_ms, bytes, records_fetched, records_inserted, records_rejected, records_dropped, success)
             VALUES (?1, ?2, '1d', 'loopback', ?3, ?3, ?3, 1, 200, NULL, 80, 700, 4,
             1, 0, 0, 1)",
    )?;
    for (_, member) in settings.members() {
        insert.execute(params![run, member.symbol.as_str(), at])?;
        request.execute(params![run, member.symbol.as_str(), at])?;
    }
    Ok(())
}

fn failures(connection: &Connection, run: &str, at: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO failures VALUES (?, ?, '1d', 'fetch', 'timeout', 'no answer in time', 6, ?)",
    )?;
    for index in 0..FAILURES {
        insert.execute(params![run, format!("S{index:04}"), at])?;
    }
    Ok(())
}
